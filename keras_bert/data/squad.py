"""Questions with their contexts and answers: SQuAD's JSON, of which CMRC's is one, and rows of it."""

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping

from keras_bert.data.columns import checked_row, shortened
from keras_bert.data.formats import json_values
from keras_bert.data.spans import seen_part
from keras_bert.errors import DataError

# What SQuAD, MRQA and the first CMRC call the same; ours first.
_NAMES = {
    "id": ("id", "qid", "query_id"),
    "question": ("question", "query_text"),
    "context": ("context", "context_text"),
}
# What is taken with one warning, as published files have it.
_ODD = {
    "moved": "Answers that stand elsewhere in their contexts than their offsets say: {}; the nearest places "
    "are taken.",
    "absent": "Answers that do not occur in their contexts: {}; as their questions have others they are kept "
    "for scores.",
    "blank": "Questions of a document that are blank: {}; they are left out.",
}
_EXPECTED = '[{"text": "Paris", "start": 17}, ...], in characters of the context'
_DOCUMENT = '{"data": [{"paragraphs": [{"context": "...", "qas": [{"question": "...", "answers": [...]}]}]}]}'


def squad_rows(lines: Iterable[str], path) -> Iterator[tuple[str, dict]]:
    """The questions of a JSON file that is read as a whole: SQuAD 1.1 or 2.0, CMRC 2018, or a list of rows.

    Args:
        lines: iterable of str.
        path: for messages.
    Yields:
        as `answer_rows`.
    """
    return answer_rows(json_values(lines, path))


def answer_rows(records: Iterable[tuple[str, object]]) -> Iterator[tuple[str, dict]]:
    """The questions of JSON values: documents of SQuAD, parts of them, or one row a question.

    An answer that stands elsewhere than its offset says is moved to the nearest place where it stands. One
    that stands nowhere is kept, last and with the start -1, where the question has another: it counts in
    scores (CMRC has some, written by hand). A blank question of a document, of which CMRC has one, is left
    out. One warning a file says how many of each there were.

    Args:
        records: iterable of (location, JSON value).
    Yields:
        (location, {"id", "question", "context", "answers": list of {"text", "start"}}); other keys of rows
        are kept, and what a question does not have is not there. No answers, or `is_impossible`: [].
    Raises:
        DataError: something else, or a question none of whose answers its context has.
    """
    odd = {name: [] for name in _ODD}  # where what was met, once for every answer
    for location, record in records:
        for where, row in _questions(record, location, {}):
            if where != location and not str(row["question"]).strip():
                odd["blank"].append(where)
                continue
            row = checked_row(row, ("question", "context"), where)
            if row.pop("is_impossible", False) is True:
                row["answers"] = []
            elif "answers" in row:
                row["answers"], moved, absent = _located(row["answers"], row["context"], where)
                odd["moved"] += [where] * moved
                odd["absent"] += [where] * absent
            yield where, row
    for name, places in odd.items():
        if places:
            warnings.warn(_warning(name, len(places), places[0]))


def checked_answers(given, context: str, where: str) -> list[dict]:
    """The answers of a row as {"text", "start"}, each where it stands in the context.

    Args:
        given: list of {"text", "start" or "answer_start"}; or {"text": [...], "answer_start": [...]}, as
            Hugging Face's data sets have it; or texts; or one of these as JSON text. Blank ones are left
            out; none left means that there is no answer. Without a start the first place is taken.
        context: str.
        where: str. Location for messages.
    Returns:
        list of dict, in the order given; answers that the context does not have come last, with start -1.
    Raises:
        DataError: the context has none of the answers.
    """
    answers, moved, _ = _located(given, context, where)
    if moved:
        warnings.warn(_warning("moved", moved, where))
    return answers


def _warning(name, count, first) -> str:
    return f"{_ODD[name].format(count)} The first: {first}"


def _questions(value, where, above) -> Iterator[tuple[str, dict]]:
    """The questions of a document, an article, a paragraph, or a row by itself; `above`: what all share."""
    if not isinstance(value, Mapping):
        raise DataError(f"A part of the file is {shortened(value)}", where=where, expected=_DOCUMENT)
    for name in ("data", "paragraphs", "qas"):
        if name in value:
            if not isinstance(value[name], list):
                raise DataError(f"{name!r} is {shortened(value[name])}", where=where, expected=_DOCUMENT)
            shared = {**above, **{n: _named(value, n) for n in ("context",) if _named(value, n) is not None}}
            for item in value[name]:
                yield from _questions(item, where, shared)
            return
    row = {**value, **above}
    for ours, names in _NAMES.items():
        found = _named(row, ours)
        row = {key: cell for key, cell in row.items() if key not in names}
        if found is not None:
            row[ours] = str(found) if ours == "id" and isinstance(found, int) else found
    if above and row.get("id") is not None:
        where = (
            f"{where.rpartition(':')[0] or where}, question {row['id']}"  # no line: it is a whole document
        )
    missing = [name for name in ("question", "context") if name not in row]
    if missing:
        raise DataError(
            f"There is no {missing[0]!r}: {shortened(value)}", where=where,
            expected=f'{{"question": "...", "context": "...", "answers": [...]}}, or {_DOCUMENT}',
        )  # fmt: skip
    yield where, row


def _named(value, ours):
    return next((value[name] for name in _NAMES[ours] if value.get(name) is not None), None)


def _located(given, context, where) -> tuple[list[dict], int, int]:
    """(answers, how many of them were moved, how many are not in the context)."""
    found, absent, moved = [], [], 0
    for text, start in _pairs(given, where):
        first, behind = seen_part(text, 0, len(text))
        bare = text[first:behind]
        if not bare:
            continue
        known = isinstance(start, int) and start >= 0
        start = start + first if known else 0
        near = start if context.startswith(bare, start) else _nearest(bare, context, start)
        if near < 0:
            absent.append({"text": bare, "start": -1})
        else:
            found.append({"text": bare, "start": near})
            moved += known and near != start
    if absent and not found:
        raise DataError(
            f"The answer {shortened(absent[0]['text'])} does not occur in its context", where=where,
            expected="a stretch of the context, to the letter",
            remedy="correct the answer or drop the question",
        )  # fmt: skip
    return found + absent, moved, len(absent)


def _pairs(given, where) -> list[tuple[str, int | None]]:
    """(text, start or None) of every answer."""
    if isinstance(given, str) and given.lstrip()[:1] in ("[", "{"):
        try:
            found = json.loads(given)
        except (ValueError, RecursionError):
            found = None  # a text that begins with a bracket
        is_list = isinstance(found, list) and all(isinstance(each, str | Mapping) for each in found)
        given = found if is_list or isinstance(found, Mapping) else given
    if isinstance(given, Mapping):
        texts, starts = given.get("text"), given.get("answer_start", given.get("start"))
        if isinstance(texts, str):
            texts, starts = [texts], [starts]
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            raise DataError(f"The answers are {shortened(given)}", where=where, expected=_EXPECTED)
        given = [{"text": text, "start": start} for text, start in zip(texts, starts, strict=True)]
    given = [given] if isinstance(given, str) else given or []
    if not isinstance(given, list | tuple):
        raise DataError(f"The answers are {shortened(given)}", where=where, expected=_EXPECTED)
    return [_pair(answer, where) for answer in given]


def _pair(answer, where) -> tuple[str, int | None]:
    text, start = answer, None
    if isinstance(answer, Mapping):
        text, start = answer.get("text"), answer.get("start", answer.get("answer_start"))
    is_start = start is None or (isinstance(start, int) and not isinstance(start, bool))
    if not isinstance(text, str) or not is_start:
        raise DataError(f"An answer is {shortened(answer)}", where=where, expected=_EXPECTED)
    return text, start


def _nearest(text, context, start) -> int:
    """Where the text begins next to `start`; -1 where it does not occur."""
    before, behind = context.rfind(text, 0, start + len(text)), context.find(text, start)
    if before < 0 or behind < 0:
        return max(before, behind)
    return before if start - before <= behind - start else behind
