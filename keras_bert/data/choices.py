"""Rows of multiple choice: choices as a list or in columns of their own, the right one by place or name."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping

from keras_bert.data.columns import checked_row, column_names, shortened
from keras_bert.errors import DataError

_MOST = 26
# What columns of choices are called: by us, in COPA, in SWAG, and by letters; as columns.py compares names.
COLUMNS = (
    tuple(f"choice_{i}" for i in range(_MOST)),
    tuple(f"choice{i}" for i in range(_MOST)),
    tuple(f"choice{i}" for i in range(1, _MOST + 1)),
    tuple(f"ending{i}" for i in range(_MOST)),
    tuple(f"ending_{i}" for i in range(_MOST)),
    tuple("abcdefghijklmnopqrstuvwxyz"),
)
_LISTS = ("choices", "endings", "options", "candidates")  # and what their list is called
_EXPECTED = 'two texts or more: ["a dog", "a cat"], or columns choice_0, choice_1 ...'


def choice_rows(records: Iterable[tuple[str, object]]) -> Iterator[tuple[str, dict]]:
    """Rows of a text and its choices from JSON objects.

    Args:
        records: iterable of (location, JSON value).
    Yields:
        (location, {"text", "choices": list, ...}); other keys, the label among them, are kept.
    Raises:
        DataError: a value that is no object, without a text or without choices.
    """
    for where, record in records:
        if not isinstance(record, Mapping):
            raise DataError(
                f"The row is {shortened(record)}", where=where,
                expected='{"text": "...", "choices": ["...", "..."], "label": 0}',
            )  # fmt: skip
        row = joined_choices(record)
        name = next((name for name in column_names("text") if name in row), "text")
        yield where, checked_row({**row, "text": row.get(name)}, ("text",), where)


def joined_choices(row: Mapping) -> dict:
    """The row with its choices as the list `choices`, if they have columns of their own or another name.

    Columns behind the last choice may be blank; a blank one before it stays, for `checked_choices` to see.
    """
    for name in _LISTS:
        if row.get(name) is not None:
            return {**{key: value for key, value in row.items() if key != name}, "choices": row[name]}
    theirs = {str(key).strip().casefold(): key for key in row}
    for names in COLUMNS:
        if names[0] == "a":  # behind the last letter, one may name something else: Q the question
            names = tuple(itertools.takewhile(theirs.__contains__, names))
        cells = [row.get(theirs.get(name)) for name in names]
        while cells and (cells[-1] is None or not str(cells[-1]).strip()):
            cells.pop()
        if len(cells) >= 2 and cells[0] is not None:
            rest = {key: value for key, value in row.items() if str(key).strip().casefold() not in names}
            return {**rest, "choices": ["" if cell is None else str(cell) for cell in cells]}
    return dict(row)


def with_choices(row: Mapping) -> dict:
    """The row with `choices` as a list of texts, however they are written, if they can be read."""
    row = joined_choices(row)
    texts, _ = _texts(row.get("choices"))
    return {**row, "choices": texts} if texts else row


def checked_choices(row: Mapping, where: str) -> tuple[list[str], int]:
    """(choices, number of the right one from 0) of a row.

    Args:
        row: dict. `choices`: a list of str, one written as JSON, or {"text": [...], "label": [...]}, where
            the labels are the choices' names; or columns as `joined_choices` knows them. `label`: the number
            of the right one, its letter, its name, or the choice itself.
        where: str. Location for messages.
    Raises:
        DataError: fewer than two choices, one that is blank, no right one among them, or a label that may
            mean two of them.
    """
    choices, names = _texts(joined_choices(row).get("choices"))
    if len(choices) < 2:
        raise DataError(f"The choices are {shortened(row.get('choices'))}", where=where, expected=_EXPECTED)
    for place, choice in enumerate(choices):
        if not isinstance(choice, str) or not choice.strip():
            raise DataError(
                f"Choice {place} (counted from 0) is {shortened(choice)}", where=where, expected=_EXPECTED,
                remedy="write it, or leave it out and count the label anew",
            )  # fmt: skip
    return choices, _place(row.get("label"), choices, names, where)


def _texts(given) -> tuple[list, list]:
    """(choices, their names), both empty where there are none."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return [], []
    if isinstance(given, Mapping):
        texts, names = given.get("text"), given.get("label", [])
        fits = isinstance(texts, list) and isinstance(names, list) and len(names) in (0, len(texts))
        return (texts, [str(name) for name in names]) if fits else ([], [])
    return (list(given), []) if isinstance(given, list | tuple) else ([], [])


def _place(label, choices, names, where) -> int:
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if isinstance(label, int) and not isinstance(label, bool):
        meant = {label} & set(range(len(choices)))
    else:
        meant = _meant(label.strip(), choices, names) if isinstance(label, str) else set()
    last, letter = len(choices) - 1, chr(ord("A") + len(choices) - 1)
    if len(meant) == 1:
        return meant.pop()
    if meant:
        raise DataError(
            f"The label {shortened(label)} may mean the choices {' and '.join(map(str, sorted(meant)))}",
            where=where, expected="a label that means one",
            remedy=f"write the number of the choice, 0 to {last}, in a .jsonl; there a number is no text",
        )  # fmt: skip
    raise DataError(
        "There is no label" if label is None else f"The label {shortened(label)} is none of the choices",
        where=where, expected=f"0 to {last}, A to {letter}, or one of the choices",
        remedy="count the choices from 0" if str(label) == str(len(choices)) else "",
    )  # fmt: skip


def _meant(label: str, choices, names) -> set[int]:
    """Which choices a label written as text may mean."""
    if label in names:
        return {place for place, name in enumerate(names) if name == label}
    meant = {place for place, choice in enumerate(choices) if choice.strip() == label}
    if label.isascii() and label.isdecimal() and len(label) < 4:
        meant |= {int(label)}
    elif label.isascii() and label.isalpha() and len(label) == 1:
        meant |= {ord(label.upper()) - ord("A")}
    return meant & set(range(len(choices)))
