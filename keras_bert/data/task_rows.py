"""Which reader a file of spans, of answers or of choices needs; each yields (location, row)."""

import itertools
import os
from collections.abc import Iterator, Mapping

from keras_bert.data import choices, conll, spans, squad
from keras_bert.data.columns import checked_row, column_names
from keras_bert.data.formats import DELIMITERS, JSON_LINES, json_lines, json_values, peeked, suffix_of
from keras_bert.data.readers import rows_from
from keras_bert.errors import DataError
from keras_bert.files.encodings import open_text

KINDS = {"spans": spans.span_rows, "answers": squad.answer_rows, "choices": choices.choice_rows}
_JSON = (".json",)
_TEXTS = (".txt", ".tsv")  # names that files of texts have, and files of tagged words
_LINES_LOOKED_AT = 100


def task_rows(source, kind: str, *, wanted, optional=(), **reading) -> Iterator[tuple[str, dict]]:
    """Rows of spans, answers or choices from whatever the user has.

    Files are told apart by their suffix, before `.gz` and `.xz`, and their first line. `.json` and `.jsonl`
    hold objects, for the answers also SQuAD's documents; `.csv`, and for answers and choices `.tsv`, hold
    named columns; every other file of spans holds tagged words, see `data.conll`. Where no spans are wanted,
    a `.txt` or `.tsv` whose lines do not all end in tags holds texts.

    Args:
        source: a path; or what `readers.rows_from` takes.
        kind: str. One of `KINDS`.
        wanted, optional: tuples of str. Our columns, as `readers.read_rows`.
        **reading: as `readers.rows_from`. In files of words `columns` are positions, of `text` and `spans`.
    Raises:
        DataError: a row that cannot be used, with file and line; no row at all.
    """
    reading["columns"] = {
        ours: name for ours, name in (reading.get("columns") or {}).items() if name is not None
    }
    rows = _rows(source, kind, tuple(wanted), tuple(optional), reading)
    empty = True
    for where, row in rows:
        empty = False
        for name in wanted:
            if name not in row:
                raise DataError(
                    f"There is no {name!r} in this row", where=where,
                    expected=f"a {name} in every row; the row has {', '.join(map(repr, row))}",
                    remedy=f'pass --{name}_column=NAME (Python: columns={{"{name}": "NAME"}})',
                )  # fmt: skip
        yield where, checked_row(row, wanted, where)
    if empty:
        raise DataError("There are no rows", where=_name(source), expected="at least one row of data")


def _name(source) -> str:
    return str(source) if isinstance(source, str | os.PathLike) else "rows"


def _rows(source, kind, wanted, optional, reading):
    suffix = _suffix(source)
    if suffix is None or (suffix in DELIMITERS and kind != "spans") or suffix == ".csv":
        yield from _of_table(source, kind, wanted, optional, reading)
        return
    with open_text(source, reading.get("encoding")) as lines:
        first, lines = peeked(lines)
        if suffix in (*JSON_LINES, *_JSON) or first[:1] in ("{", "[") and first[-1:] in ("}", "]"):
            records = (json_values if suffix in _JSON else json_lines)(lines, source)
            yield from KINDS[kind](_renamed(records, reading["columns"]))
            return
        if kind == "spans" and "spans" not in wanted and suffix in _TEXTS:
            some = list(itertools.islice(lines, _LINES_LOOKED_AT))
            lines = itertools.chain(some, lines)
            is_table = not conll.is_request(first) and not conll.are_tagged(some)
        else:
            is_table = kind == "spans" and _names_columns(first, reading["columns"])
        if kind == "spans" and not is_table:
            yield from _of_words(first, lines, source, reading["columns"])
            return
    if kind == "spans" or reading.get("delimiter"):
        yield from _of_table(source, kind, wanted, optional, reading)
        return
    raise DataError(
        f"The name does not say what kind of table this is: suffix {suffix or 'missing'}",
        where=str(source), expected="a .json, .jsonl, .csv or .tsv file, plain, .gz or .xz",
        remedy='rename it, or pass --delimiter=tab (Python: delimiter="\\t")',
    )  # fmt: skip


def _suffix(source) -> str | None:
    """The suffix of a path before .gz and .xz; None for what is no path."""
    return suffix_of(source) if isinstance(source, str | os.PathLike) else None


def _renamed(records, columns: Mapping):
    """JSON records with the keys the user named called as ours."""
    for where, record in records:
        if columns and isinstance(record, Mapping):
            theirs = {str(name): ours for ours, name in columns.items()}
            given = {theirs[key]: value for key, value in record.items() if key in theirs}
            record = {**{key: value for key, value in record.items() if key not in theirs}, **given}
        yield where, record


def _names_columns(first: str, columns: Mapping) -> bool:
    """Whether a file of spans begins with a header, of a text and its spans."""
    cells = {cell.strip().casefold() for cell in first.split("\t")}
    texts, found = ({str(columns.get(name, name)).casefold()} for name in ("text", "spans"))
    return bool(cells & (texts | set(column_names("text")))) and bool(cells & (found | {"spans", "entities"}))


def _of_words(first, lines, path, columns):
    if conll.is_request(first):
        return conll.slot_rows(lines, path)
    given = {}
    for ours, name in (("text", "text_column"), ("spans", "tag_column")):
        if ours in columns:
            if not str(columns[ours]).lstrip("-").isdecimal():
                raise DataError(
                    f"There is no column {columns[ours]!r}: the columns of words and tags have no names",
                    where=str(path), expected="a position, counted from 0", remedy=f"pass --{ours}_column=0",
                )  # fmt: skip
            given[name] = int(columns[ours])
    return conll.conll_rows(lines, path, **given)


def _of_table(source, kind, wanted, optional, reading):
    """Rows of named columns; choices in columns of their own are joined, answers found in the context."""
    if kind != "choices":
        more = ("units",) if kind == "spans" else ()
        rows = rows_from(source, wanted=wanted, optional=(*optional, *more), **reading)
        yield from squad.answer_rows(rows) if kind == "answers" else rows
        return
    is_lists = isinstance(source, tuple) and not all(isinstance(item, Mapping) for item in source)
    if not is_lists:  # else they are named by their order
        optional = (*optional, "choices", *dict.fromkeys(name for names in choices.COLUMNS for name in names))
        wanted = tuple(name for name in wanted if name != "choices")
    for where, row in rows_from(source, wanted=wanted, optional=optional, **reading):
        yield where, choices.joined_choices(row)
