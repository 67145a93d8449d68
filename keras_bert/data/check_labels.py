"""What a row is to be answered with, counted: classes, several labels, scores, entities or answers."""

import math
from collections import Counter

from keras_bert.data.check_texts import normalised
from keras_bert.data.label_lists import listed_labels
from keras_bert.data.spans import checked_spans, cuts_a_word
from keras_bert.data.squad import checked_answers
from keras_bert.errors import DataError

KINDS = ("label", "labels", "score", "spans", "answers")
MOST_NAMES = 10_000  # distinct ones that are counted; there are no more in a column of classes


class TargetStatistics:
    """Counts over the targets of one file."""

    def __init__(self):
        self.kind = None  # of KINDS, by the first row that has one
        self.names = {}  # what `add` returned -> how to show it
        self.more_names = False
        self._counts, self._numbers = Counter(), _Numbers()
        self._cut, self._first_cut = 0, None
        self._untrimmed = self._unlabelled = self._words = self._rows_without = self._absent = 0

    def add(self, row: dict, where: str) -> int:
        """Counts one row.

        Args:
            row: dict. With one of `KINDS`, or none.
            where: str. Location for messages.
        Returns:
            int, alike for rows whose targets say the same (case and white space aside).
        Raises:
            DataError: a score that is no number, spans or answers that cannot be.
        """
        if self.kind is None:
            self.kind = next((kind for kind in KINDS if kind in row), None)
        if self.kind is None or self.kind not in row:
            if self.kind == "labels":
                row = {**row, "labels": []}
            elif self.kind == "spans":
                row = {**row, "spans": None}
            else:
                self._unlabelled += 1
                return 0
        parts = getattr(self, f"_{self.kind}")(row, where)
        target = hash(parts)
        if target not in self.names:
            if len(self.names) < MOST_NAMES:
                self.names[target] = self._display(row, parts)
            else:
                self.more_names = True
        return target

    def _display(self, row, parts) -> str:
        if self.kind == "label":
            return str(row["label"]).strip()
        return ", ".join(map(_spelt, parts)) or "none"

    def _count(self, name: str):
        if name in self._counts or len(self._counts) < MOST_NAMES:
            self._counts[name] += 1

    def _label(self, row, where):
        if isinstance(row["label"], bool):  # training would ask which class that is
            raise DataError(f"The label is {row['label']!r}", where=where, expected="a text or a number")
        given = str(row["label"])
        name = given.strip()
        self._untrimmed += name != given
        self._count(name)
        value = self._numbers.add(name)
        return (normalised(name) if value is None else value,)  # "5.00" and "5" are one score

    def _score(self, row, where):
        value = self._numbers.add(row["score"])
        if value is None:
            raise DataError(f"The 'score' is {row['score']!r}", where=where, expected="a number")
        return (value,)

    def _labels(self, row, where):
        names = listed_labels(row["labels"], where)
        for name in names:
            self._count(name)
        self._rows_without += not names
        return tuple(sorted(map(normalised, names)))

    def _spans(self, row, where):
        spans = checked_spans(row["spans"], row["text"], where)
        for _, _, label in spans:
            self._count(label)
        cut = sum(cuts_a_word(span, row["text"]) for span in spans)
        if cut and not self._cut:
            self._first_cut = where
        self._cut += cut
        self._words += len(row["text"].split())
        self._rows_without += not spans
        return tuple(spans)

    def _answers(self, row, where):
        answers = checked_answers(row["answers"], row["context"], where)
        self._rows_without += not answers
        self._absent += sum(answer["start"] < 0 for answer in answers)
        return tuple(sorted({normalised(answer["text"]) for answer in answers}))

    def is_score(self) -> bool:
        """Whether the targets are numbers on a scale, not names of classes."""
        return self.kind == "score" or (self.kind == "label" and self._numbers.are_a_scale())

    def report(self) -> dict:
        """{"kind", "unlabelled", ...}: what there is to say of targets of this kind."""
        report = {"kind": "score" if self.is_score() else self.kind, "unlabelled": self._unlabelled}
        if self.is_score():
            return {**report, **self._numbers.report()}
        if self.kind == "answers":
            return {**report, "unanswerable": self._rows_without, "answers_not_found": self._absent}
        total = sum(self._counts.values())
        counts = dict(sorted(self._counts.items(), key=lambda item: (-item[1], item[0])))
        report |= {"counts": counts, "more_names": len(counts) == MOST_NAMES}
        report["shares"] = {name: count / total for name, count in counts.items()}
        if self.kind == "label":
            return {**report, "majority_share": max(report["shares"].values()), "untrimmed": self._untrimmed}
        if self.kind == "spans":
            report |= {"words": self._words, "cut_spans": self._cut, "first_cut_span": self._first_cut}
        return {**report, "rows_without": self._rows_without}


class _Numbers:
    """Running statistics of the values that are numbers."""

    def __init__(self):
        self._count, self._sum, self._low, self._high = 0, 0.0, math.inf, -math.inf
        self._any_fraction, self.only = False, True  # only: nothing else was met

    def add(self, given) -> float | None:
        """Counts a value; None where it is no number."""
        try:
            value = float(given)
        except (TypeError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            self.only = False
            return None
        self._count += 1
        self._sum += value
        self._low, self._high = min(self._low, value), max(self._high, value)
        self._any_fraction |= not value.is_integer()
        return value

    def are_a_scale(self) -> bool:
        """Whether all are numbers and some lie between whole ones."""
        return self.only and self._any_fraction

    def report(self) -> dict:
        return {"min": self._low, "mean": self._sum / max(1, self._count), "max": self._high}


def _spelt(part) -> str:
    return f"{part[2]} {part[0]}-{part[1]}" if isinstance(part, tuple) else str(part)
