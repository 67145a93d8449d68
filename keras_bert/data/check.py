"""What is wrong with labelled data: repeats, contradictions, leaks, classes, lengths, damaged texts."""

import warnings
from array import array
from collections.abc import Iterable, Mapping

from keras_bert.data.check_findings import findings
from keras_bert.data.check_labels import TargetStatistics
from keras_bert.data.check_texts import NUM_EXAMPLES, TextStatistics, excerpt, normalised, suggested_length
from keras_bert.errors import DataError

NUM_REFUSED = 20  # unreadable rows that are listed
_MOST_EXCERPTS = 100


def check_files(files: Mapping[str, Iterable], tokenizer=None, max_length: int = 128) -> dict:
    """Reads labelled rows once and says what is wrong with them.

        report = check_files({"train": rows_from("train.tsv", ...), "eval": rows_from("dev.tsv", ...)})
        [finding["what"] for finding in report["findings"]]

    Texts are compared after NFKC, case folding and collapsing of white space, both texts of a pair together;
    kept of a row are hashes of 8 bytes and its location.

    Args:
        files: dict from a name to an iterable of `(location, row)`, which is read once. A row is a dict with
            "text" and perhaps "text_pair", or "question" and "context"; and with one of "label", "labels",
            "score", "spans", "answers". In its place may stand a `DataError`: what was wrong with it. The
            first file is the one that is trained on; the others are compared with it.
        tokenizer: `Tokenizer` or None. With it lengths are counted in pieces.
        max_length: int. Pieces a sequence may have, special tokens included.

    Returns:
        dict that can be written as JSON: "files" (per file "rows", "unreadable", "repeats",
        "contradictions", "targets", "texts"), "leaks" (per file but the first), "suggested_length" (the least
        multiple of 16 that holds 99 % of the rows of each file), and "findings", the worst first: dicts with
        "level" ("grave", "warning", "note"), "kind", "file", "rows", "what", "remedy" and "examples" (of
        "places", "text", and perhaps "labels").

    Raises:
        DataError: a file of which no row can be read.
    """
    checked, first = {}, None
    for name, rows in files.items():
        checked[name] = _File(tokenizer, max_length, first)
        checked[name].read(rows)
        first = first or checked[name]
    files = {name: file.report() for name, file in checked.items()}
    tokens = [file["texts"]["tokens"] for file in files.values() if "tokens" in file["texts"]]
    lengths = [suggested_length(counts["lengths"]["99"]) for counts in tokens]
    report = {
        "max_length": max_length,
        "suggested_length": max(lengths, default=None),
        "files": files,
        "leaks": {name: file.leaks() for name, file in checked.items() if file is not first},
    }
    return {**report, "findings": findings(report)}


class _Places:
    """The locations of many rows in one string, for they would else take most of the memory."""

    def __init__(self):
        self._text, self._ends = bytearray(), array("q", [0])

    def append(self, where: str):
        self._text += where.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._text))

    def __getitem__(self, index: int) -> str:
        return self._text[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogatepass")


class _File:
    """One file: what of it has to be remembered to compare rows, and its statistics.

    Args:
        tokenizer, max_length: as `check_files`.
        training: `_File` or None. The file that is trained on, already read.
    """

    def __init__(self, tokenizer, max_length: int, training: "_File | None"):
        self.training = training
        self.texts, self.targets = TextStatistics(tokenizer, max_length), TargetStatistics()
        self.rows = 0
        self.places = _Places()
        self.first = {}  # hash of the normalised text -> number of the first row that has it
        self.again = {}  # the same -> numbers of all rows that have it, if there are several
        self.exact, self.target = array("q"), array("q")  # of each row: hashes of its text, of its target
        self._excerpts = {}  # hash of the normalised text -> its beginning
        self._num_excerpts = {}
        self._refused, self._num_refused, self._ended, self._warnings = [], 0, False, []

    def read(self, rows: Iterable):
        """Takes all rows."""
        first_error = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                for where, row in rows:
                    try:
                        if isinstance(row, DataError):
                            raise row
                        self._add(where, row)
                    except DataError as error:
                        first_error = first_error or error
                        self._refuse(error)
            except DataError as error:  # of the reader, which cannot go on
                if not self.rows:
                    raise first_error or error from None
                self._refuse(error)
                self._ended = True
        self._warnings = [str(warning.message) for warning in caught]
        if not self.rows:
            raise first_error or DataError("There are no rows", expected="at least one row of data")

    def _refuse(self, error: DataError):
        self._num_refused += 1
        if len(self._refused) < NUM_REFUSED:
            self._refused.append({"places": [error.where], "text": error.what})

    def _add(self, where: str, row: dict):
        if "question" in row:
            text, text_pair = row["question"], row.get("context")
        else:
            text, text_pair = row["text"], row.get("text_pair")
        target = self.targets.add(row, where)
        if text_pair is None:
            exact, key = hash(text), hash(normalised(text))
        else:
            exact, key = hash((text, text_pair)), hash((normalised(text), normalised(text_pair)))
        number, self.rows = self.rows, self.rows + 1
        self.places.append(where)
        self.exact.append(exact)
        self.target.append(target)
        self.texts.add(where, text, text_pair)
        first = self.first.setdefault(key, number)
        if first != number:
            self.again.setdefault(key, [first]).append(number)
            self._keep(key, "repeat" if target == self.target[first] else "contradiction", text, text_pair)
        if self.training and key in self.training.first:
            other = self.training.target[self.training.first[key]]
            self._keep(key, "leak" if target == other else "contradicting leak", text, text_pair)

    def _keep(self, key: int, kind: str, text: str, text_pair):
        """Remembers the beginning of a text that may become an example."""
        count = self._num_excerpts.get(kind, 0)
        if count < _MOST_EXCERPTS and key not in self._excerpts:
            self._excerpts[key] = excerpt(text, text_pair)
            self._num_excerpts[kind] = count + 1

    def _numbers(self, key: int) -> list[int]:
        return self.again.get(key) or [self.first[key]]

    def _label(self, number: int) -> str:
        return self.targets.names.get(self.target[number], "…")

    def _repeats(self) -> dict:
        """Rows whose text an earlier row has: to the letter, or but for case, width and white space."""
        exact, near, examples = 0, 0, {"exact": [], "near": []}
        for key, numbers in self.again.items():
            seen = {self.exact[numbers[0]]: numbers[0]}
            for number in numbers[1:]:
                is_exact = self.exact[number] in seen
                exact, near = exact + is_exact, near + (not is_exact)
                earlier = seen.setdefault(self.exact[number], number) if is_exact else numbers[0]
                seen.setdefault(self.exact[number], number)
                found = examples["exact" if is_exact else "near"]
                if len(found) < NUM_EXAMPLES:
                    found.append(self._example(key, self.places[earlier], self.places[number]))
        return {"exact": exact, "near": near, "examples": examples}

    def _contradictions(self) -> dict:
        """Texts that have several targets, and the rows that hold them."""
        texts, rows, examples = 0, 0, []
        for key, numbers in self.again.items():
            other = next((n for n in numbers if self.target[n] != self.target[numbers[0]]), None)
            if other is None:
                continue
            texts, rows = texts + 1, rows + len(numbers)
            if len(examples) < NUM_EXAMPLES:
                two = (numbers[0], other)
                example = self._example(key, *(self.places[n] for n in two))
                examples.append({**example, "labels": [self._label(n) for n in two]})
        return {"texts": texts, "rows": rows, "examples": examples}

    def leaks(self) -> dict:
        """Rows whose text the training file has, with which targets; examples, other labels first."""
        same, other, exact, examples = 0, 0, 0, {True: [], False: []}
        training = self.training
        for key in self.first:
            if key not in training.first:
                continue
            trained = training._numbers(key)
            targets = {training.target[n] for n in trained}
            texts = {training.exact[n] for n in trained}
            for number in self._numbers(key):
                is_same = self.target[number] in targets
                same, other = same + is_same, other + (not is_same)
                exact += self.exact[number] in texts
                if len(examples[is_same]) < NUM_EXAMPLES:
                    example = self._example(key, self.places[number], training.places[trained[0]])
                    labels = [self._label(number), training._label(trained[0])]
                    examples[is_same].append({**example, "labels": labels})
        shown = (examples[False] + examples[True])[:NUM_EXAMPLES]
        return {"rows": same + other, "same_label": same, "other_label": other, "exact": exact,
                "share": (same + other) / self.rows, "training_rows": self._trained_rows(),
                "examples": shown}  # fmt: skip

    def _trained_rows(self) -> int:
        """Rows of the training file that would have to go."""
        return sum(len(self.training._numbers(key)) for key in self.first if key in self.training.first)

    def _example(self, key: int, *places: str) -> dict:
        return {"places": list(places), "text": self._excerpts.get(key, "")}

    def report(self) -> dict:
        """What was found."""
        refused = {"rows": self._num_refused, "reading_ended": self._ended, "examples": self._refused}
        return {
            "rows": self.rows,
            "unreadable": refused,
            "reader_warnings": self._warnings,
            "repeats": self._repeats(),
            "contradictions": self._contradictions(),
            "targets": self.targets.report(),
            "texts": self.texts.report(),
        }
