"""Tables as plain text and as Markdown."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from numbers import Integral, Real

_INVISIBLE = ("Mn", "Me", "Cf")  # Unicode categories without a width: combining marks, format characters
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def render(columns: Sequence[str], rows: Iterable[Sequence]) -> str:
    """A table for the terminal, numbers at the right, without trailing white space.

        label     precision  recall
        --------  ---------  ------
        negative     0.9312  0.9011

    Args:
        columns: sequence of str. The headings.
        rows: iterable of sequences, one cell a column: str, int, float (shown with four decimals) or None
            (blank). CJK characters count two columns wide; control characters become a space.

    Returns:
        str, its lines joined by newlines, none at the end.

    Raises:
        ValueError: a row of another length than `columns`.
    """
    headings, body, at_right = _cells(columns, rows)
    widths = [max(display_width(row[i]) for row in (headings, *body)) for i in range(len(headings))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "  ".join(
            _pad(cell, width, right) for cell, width, right in zip(row, widths, at_right, strict=True)
        ).rstrip()
        for row in (headings, rule, *body)
    )


def markdown(columns: Sequence[str], rows: Iterable[Sequence]) -> str:
    """The same table in GitHub's Markdown; arguments and errors as `render`."""
    headings, body, at_right = _cells(columns, rows)
    rule = ["---:" if right else "---" for right in at_right]
    escaped = ([cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in (headings, *body))
    first, *others = (f"| {' | '.join(row)} |" for row in escaped)
    return "\n".join((first, f"| {' | '.join(rule)} |", *others))


def confusion_table(matrix, class_names: Sequence[str]) -> str:
    """A confusion matrix for the terminal: a row for every label, a column for every prediction.

    Args:
        matrix: int array-like (C, C), as `evaluation.scores.confusion_matrix` counts.
        class_names: sequence of str, C names.

    Raises:
        ValueError: the number of names is not C.
    """
    rows = [[int(count) for count in row] for row in matrix]
    if len(rows) != len(class_names):
        raise ValueError(
            "`class_names` must have one name a class. Received: "
            f"{len(class_names)} names, {len(rows)} rows in the matrix"
        )
    named = ([name, *row] for name, row in zip(class_names, rows, strict=True))
    return render(["label \\ predicted", *class_names], named)


def display_width(text: str) -> int:
    """Columns a terminal needs for the text: two for a wide (CJK) character, none for a combining mark."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(c) in _INVISIBLE else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def _cells(columns, rows) -> tuple[list[str], list[list[str]], list[bool]]:
    """Headings and rows as text, and whether a column stands at the right: all it holds are numbers."""
    rows = [list(row) for row in rows]
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(
                f"A row must have one cell a column. Received: {row}, {len(columns)} columns {list(columns)}"
            )
    at_right = []
    for i in range(len(columns)):
        values = [row[i] for row in rows if row[i] is not None]
        at_right.append(bool(values) and all(_is_number(value) for value in values))
    return [_text(name) for name in columns], [[_text(cell) for cell in row] for row in rows], at_right


def _is_number(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _text(value) -> str:
    if value is None:
        return ""
    if _is_number(value) and not isinstance(value, Integral):
        return f"{value:.4f}"
    return _CONTROL.sub(" ", str(value)).strip()


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - display_width(text))
    return space + text if right else text + space
