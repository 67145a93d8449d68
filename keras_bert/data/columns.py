"""Which column of the user's table is which of ours, and what a cell may hold."""

import math
from collections.abc import Mapping, Sequence

from keras_bert.errors import DataError, UsageError

# Names that mean the same column. Asked for any name of a group, a column called by any other of it will do.
SAME_COLUMN = (
    ("text", "text_a", "sentence", "sentence1", "review", "premise"),
    ("text_pair", "text_b", "sentence2", "hypothesis"),
    ("label", "label_id", "class"),
    ("sample_weight", "weight"),
)
# Names in MRPC, QQP, MNLI and STS-B that may mean other things elsewhere: they count where none of those is.
RARE_NAMES = {
    "text": ("question1", "#1 string"),
    "text_pair": ("question2", "#2 string"),
    "label": ("gold_label", "is_duplicate", "quality"),
    "score": ("similarity_score", "similarity", "label", "is_duplicate"),
}
# Columns that must be strings and are kept to the letter; strings of other columns lose outer white space.
TEXT_COLUMNS = ("text", "text_pair", "question", "context")
# Columns that list things: blank means that there are none, which is a value.
LIST_COLUMNS = ("labels", "spans", "answers")

_SHOWN = 12  # columns listed in a message
_SHOWN_CHARACTERS = 40  # of a cell quoted in a message


def column_names(name: str) -> tuple[str, ...]:
    """The names a column of ours is recognised by, its own first."""
    group = next((group for group in SAME_COLUMN if name in group), ())
    return (name, *(other for other in group if other != name), *RARE_NAMES.get(name, ()))


def is_header(cells: Sequence[str], wanted: Sequence[str], columns: Mapping | None) -> bool:
    """Whether the first row names the columns instead of being data.

    A column the user gave by name needs a header. Columns all given by position have one where the cells
    at those positions are known names of those very columns, all of them or that of what is to be learnt:
    a text may well be the word "review". Otherwise one known name among the cells is enough, for then the
    row that lacks another is better reported as a header that lacks it.
    """
    given = {ours: _position(theirs) for ours, theirs in (columns or {}).items()}
    if any(position is None for position in given.values()):
        return True
    if all(ours in given for ours in wanted):
        known = {
            ours: position < len(cells) and _plain(cells[position]) in column_names(ours)
            for ours, position in given.items()
        }
        return all(known.values()) or any(
            is_known for ours, is_known in known.items() if ours not in TEXT_COLUMNS
        )
    return any(_plain(cell) in column_names(ours) for cell in cells for ours in wanted)


def choose_columns(
    found: Sequence[str],
    wanted: Sequence[str],
    optional: Sequence[str] = (),
    columns: Mapping | None = None,
    *,
    where: str,
    named: bool = True,
) -> dict[str, int]:
    """The positions of our columns in the user's table.

    Args:
        found: sequence of str. The names of the table's columns, or the first row where it has no names.
        wanted: sequence of str. Our columns that must be there.
        optional: sequence of str. Our columns that are taken where they are there.
        columns: dict from our name to theirs, or to a position counted from 0. Columns not in it are
            recognised by name (`SAME_COLUMN`).
        where: str. Location for messages.
        named: bool. Whether `found` are names.

    Returns:
        Dict from our name to a position in `found`.

    Raises:
        DataError: a wanted column is missing or ambiguous.
        UsageError: `columns` names a column that nobody asked for.
    """
    columns = columns or {}
    for ours in columns:
        if ours not in wanted and ours not in optional:
            raise UsageError(
                f"There is no column {ours!r} to choose",
                where="columns",
                expected=f"one of {', '.join((*wanted, *optional))}",
            )
    if not named and len(found) == 1 and len(wanted) == 1 and not columns:
        return {wanted[0]: 0}  # one column, one wish
    chosen = {}
    for ours in dict.fromkeys((*wanted, *optional)):
        if ours in columns:
            chosen[ours] = _given(ours, columns[ours], found, named, where)
        elif named and (position := _recognised(ours, found, where)) is not None:
            chosen[ours] = position
        elif ours in wanted:
            raise _unclear(ours, found, named, where)
    return chosen


def cells_of(record: Mapping, keys: dict, optional: tuple[str, ...]) -> dict:
    """The values of our columns in one object.

    Args:
        record: mapping of the user's names.
        keys: dict from our column to the user's name, of those that the first row has. An optional column
            that only a later row has is added to it, under any name it is recognised by.
        optional: tuple of str. Our columns that a row may have.
    """
    for ours in optional:
        if ours not in keys:
            later = (name for name in column_names(ours) if name in record and name not in keys.values())
            if theirs := next(later, None):
                keys[ours] = theirs
    return {ours: record[theirs] for ours, theirs in keys.items() if theirs in record}


def _plain(name: str) -> str:
    return str(name).strip().casefold()


def _position(theirs) -> int | None:
    """A column given by position, also as digits from the command line; None where it is a name."""
    return int(theirs) if isinstance(theirs, int) or theirs.isdecimal() else None


def _given(ours: str, theirs, found: Sequence[str], named: bool, where: str) -> int:
    position = _position(theirs)
    if position is not None:
        if not 0 <= position < len(found):
            raise DataError(
                f"There is no column {position} to be the {ours!r}",
                where=where,
                expected=f"a position from 0 to {len(found) - 1}",
                remedy=_flag(ours, found),
            )
        return position
    matches = [i for i, name in enumerate(found) if name == theirs] if named else []
    matches = matches or [i for i, name in enumerate(found) if named and _plain(name) == _plain(theirs)]
    if len(matches) != 1:
        raise DataError(
            f"There is no column {theirs!r} to be the {ours!r}"
            if not matches
            else f"There are {len(matches)} columns called {theirs!r}",
            where=where,
            expected=f"one of the columns found: {_listed(found)}",
            remedy=_flag(ours, found),
        )
    return matches[0]


def _recognised(ours: str, found: Sequence[str], where: str) -> int | None:
    """The position of the column that is called `ours`, or else by one other name of its group."""
    plain = [_plain(name) for name in found]
    names = column_names(ours)
    rare = RARE_NAMES.get(ours, ())
    for kinds in ((ours,), [name for name in names if name not in rare], rare):
        matches = [i for i, name in enumerate(plain) if name in kinds]
        if matches:
            break
    if len(matches) > 1:
        raise DataError(
            f"Several columns could be the {ours!r}: {_listed([found[i] for i in matches])}",
            where=where,
            remedy=_flag(ours),
        )
    return matches[0] if matches else None


def _unclear(ours: str, found: Sequence[str], named: bool, where: str) -> DataError:
    if named:
        return DataError(
            f"There is no column {ours!r}; the columns found are {_listed(found)}",
            where=where,
            expected=f"a column called {' or '.join(column_names(ours))}",
            remedy=_flag(ours, found),
        )
    return DataError(
        f"The first row names no column we know, so it is not clear which is the {ours!r}; "
        f"its cells are {_listed(found)}",
        where=where,
        expected=f"a header with {' or '.join(column_names(ours))}, or every column given by position",
        remedy=_flag(ours, found, "0"),
    )


def _flag(ours: str, found: Sequence = (), example: str = '"NAME"') -> str:
    """How to say which column is `ours`; or how the fields end, where that seems to be the mistake."""
    line = " ".join(map(str, found))
    for character, name in (("\t", "tab"), (";", "semicolon"), (",", "comma")):
        if character in line and (len(found) == 1 or character == "\t"):
            return f"if each {name} ends a field, pass --delimiter={name} (Python: delimiter={character!r})"
    return f'pass --{ours}_column=NAME or its position from 0 (Python: columns={{"{ours}": {example}}})'


def _listed(names: Sequence) -> str:
    shown = ", ".join(shortened(name) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def shortened(value) -> str:
    """A value as a message quotes it."""
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        value = value[:_SHOWN_CHARACTERS] + "…"
    shown = repr(value)
    return shown if len(shown) <= 3 * _SHOWN_CHARACTERS else shown[: 3 * _SHOWN_CHARACTERS] + "…"


def checked_row(cells: Mapping, wanted: Sequence[str], where: str) -> dict:
    """One row as the rest of the package may rely on it.

    Args:
        cells: dict from our column name to the value.
        wanted: sequence of str. The columns that must hold something.
        where: str. Location for messages.

    Returns:
        Dict without the columns that hold nothing (blank, None, NaN). Text columns are `str` that can be
        written as UTF-8; NumPy scalars have become Python's.

    Raises:
        DataError: a wanted column holds nothing, or a text column holds something that is no text.
    """
    row = {}
    for name, value in cells.items():
        if hasattr(value, "dtype") and hasattr(value, "tolist"):
            value = value.tolist()  # NumPy scalars and arrays
        if _is_blank(value, name):
            if name in wanted:
                raise _blank(name, value, where)
            continue
        if name in TEXT_COLUMNS:
            _check_text(name, value, where)
        elif isinstance(value, str):
            value = value.strip()
        row[name] = value
    return row


def _is_blank(value, name: str) -> bool:
    if isinstance(value, str):
        if not value.strip():
            return name not in LIST_COLUMNS
        return name not in TEXT_COLUMNS and _plain(value) == "nan"
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")  # pandas' own None


def _blank(name: str, value, where: str) -> DataError:
    if isinstance(value, str) and not value.strip():
        what = f"The {name!r} is empty"
    else:
        what = f"The {name!r} is {value!r}, which is no value"
    return DataError(
        what, where=where, expected=f"a {name} in every row", remedy="fill it in or drop the row"
    )


def _check_text(name: str, value, where: str) -> None:
    if not isinstance(value, str):
        raise DataError(
            f"The {name!r} is not a text but {type(value).__name__} {shortened(value)}",
            where=where,
            expected="a string",
            remedy='write it as a string, "5" instead of 5, or choose another column: ' + _flag(name),
        )
    check_encodable(name, value, where)


def check_encodable(name: str, text: str, where: str) -> None:
    """Raises DataError for a text that cannot be written as UTF-8."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"The {name!r} holds half a character, {text[error.start]!r}, at position {error.start}",
            where=where,
            expected="text that can be written as UTF-8",
            remedy="an emoji was cut in two when the text was shortened: cut it again, by characters",
        ) from None
