"""The user's rows, from a file or from memory, as one stream of `(location, {our column: value})`."""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping

from keras_bert.data.columns import (
    TEXT_COLUMNS,
    cells_of,
    checked_row,
    choose_columns,
    is_header,
    shortened,
)
from keras_bert.data.conll import is_request, slot_rows
from keras_bert.data.formats import (
    DELIMITERS,
    JSON_LINES,
    csv_fields,
    is_blank,
    json_lines,
    json_values,
    parse_delimiter,
    peeked,
    suffix_of,
    tab_fields,
    whole_lines,
    without_last_blanks,
)
from keras_bert.errors import DataError, UsageError
from keras_bert.files.encodings import open_text

Row = tuple[str, dict]


def read_rows(
    path,
    *,
    wanted: tuple[str, ...],
    optional: tuple[str, ...] = (),
    columns: Mapping | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
) -> Iterator[Row]:
    """Read the rows of a file, one at a time.

    The suffix decides, before `.gz` or `.xz`: `.tsv` fields end at tabs and nothing is quoted (GLUE's way);
    `.csv` is RFC 4180, where a quoted field may hold commas, quotes and line ends; `.jsonl` and `.ndjson`
    hold one object a line; `.json` also a list of objects or objects written over several lines, and is
    read as a whole; `.txt` holds one text a line, and a file of another name SNIPS' requests, whose labels
    are their intents. Blank lines are skipped, except between texts.

    Args:
        path: str or path-like.
        wanted: tuple of str. Our columns that every row must have.
        optional: tuple of str. Our columns that are read where there are any. A row that holds nothing
            there lacks the key.
        columns: dict from our name to the file's, or to a position counted from 0 (`{"label": 0}`). By
            default columns are recognised by name, `text_a` and `sentence` as `text` and so on
            (`columns.SAME_COLUMN`).
        encoding: str. None means UTF-8 or what the byte order mark says.
        delimiter: str. Ends the fields; a tab also switches quoting off. Default by suffix.
        header: bool. Whether the first row names the columns. None means: see for yourself.

    Yields:
        `(location, row)`: `"train.tsv:17"`, for messages, and a dict from our column name to its value, a
        str from delimited files and any JSON value from `.jsonl`.

    Raises:
        DataError: a file without rows, columns that are missing or unclear, a row that does not fit; the
            message names `file:line`.
    """
    choice = _choice(wanted, optional, columns)
    suffix = suffix_of(path)
    delimiter = parse_delimiter(delimiter) or DELIMITERS.get(suffix)
    with open_text(path, encoding, keep_ends=delimiter not in (None, "\t")) as lines:
        if suffix in JSON_LINES or suffix == ".json":
            records = json_lines(lines, path) if suffix in JSON_LINES else json_values(lines, path)
            rows = _object_rows(records, **choice)
        elif delimiter or suffix == ".txt":
            if delimiter is None:
                _check_one_column(choice["wanted"], str(path))
                records, header = whole_lines(lines, path), False
            else:
                records = tab_fields(lines, path) if delimiter == "\t" else csv_fields(lines, path, delimiter)
            rows = _delimited_rows(without_last_blanks(records), header, **choice)
        else:
            first, lines = peeked(lines)
            if is_request(first) and {*wanted} <= {"text", "label"}:
                for where, row in slot_rows(lines, path):
                    yield where, {name: row[name] for name in ("text", "label")}
                return
            raise DataError(
                f"The name does not say what kind of table this is: suffix {suffix or 'missing'}",
                where=str(path),
                expected="a .tsv, .csv, .jsonl, .json or .txt file, plain, .gz or .xz",
                remedy='rename it, or pass --delimiter=tab (Python: delimiter="\\t")',
            )
        yield from _not_empty(rows, str(path))


def rows_from(source, *, wanted: tuple[str, ...], optional: tuple[str, ...] = (), **reading) -> Iterator[Row]:
    """Rows from whatever the user has, checked alike.

    Args:
        source: A path (see `read_rows`); a pandas DataFrame; a dict of lists; a list, or any iterable, of
            dicts; a list of texts where one column is enough; or a tuple of lists, one a column: the wanted
            columns, or some optional ones too, the text columns first: `(texts, labels)`,
            `(texts, text_pairs, labels)`.
        wanted: tuple of str. As in `read_rows`.
        optional: tuple of str. As in `read_rows`.
        **reading: `columns`, and for a path `encoding`, `delimiter` and `header`; as in `read_rows`.

    Yields:
        `(location, row)` as `read_rows` does; the location is `"row 3"`, counted from 1.
    """
    if isinstance(source, (str, os.PathLike)):
        return read_rows(source, wanted=wanted, optional=optional, **reading)
    choice = _choice(wanted, optional, reading.get("columns"))
    if isinstance(source, tuple) and not all(isinstance(item, Mapping) for item in source):
        source = _tuple_table(source, choice["wanted"], choice["optional"])
    if hasattr(source, "columns") and hasattr(source, "to_dict"):  # a DataFrame, without importing pandas
        names = list(source.columns)
        rows = _table_rows(names, [source.iloc[:, i] for i in range(len(names))], **choice)
    elif isinstance(source, Mapping):
        rows = _table_rows(list(source), list(source.values()), **choice)
    elif isinstance(source, Iterable):
        rows = _object_rows(_numbered(source, wanted), **choice)
    else:
        raise UsageError(
            f"Rows cannot be read from {type(source).__name__}",
            expected="a path, a DataFrame, (texts, labels), a dict of lists, or a list of dicts",
        )
    return _not_empty(rows, "rows")


def _choice(wanted, optional, columns) -> dict:
    """The arguments of `choose_columns`, without names asked for twice and columns given as None."""
    return {
        "wanted": tuple(wanted),
        "optional": tuple(name for name in optional if name not in wanted),
        "columns": {ours: theirs for ours, theirs in (columns or {}).items() if theirs is not None},
    }


def _not_empty(rows: Iterable[Row], where: str) -> Iterator[Row]:
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DataError("There are no rows", where=where, expected="at least one row of data")


def _delimited_rows(records, header: bool | None, *, wanted, optional, columns) -> Iterator[Row]:
    chosen, width, named, warned, rows, header_row = {}, 0, False, False, False, None
    for where, fields in records:
        if is_blank(fields) and width != 1:
            continue
        if not chosen:
            named = is_header(fields, wanted, columns) if header is None else header
            chosen = choose_columns(fields, wanted, optional, columns, where=where, named=named)
            width = len(fields)
            header_row = fields if named and width > 1 else None
            if named:
                continue
        if fields == header_row:  # files with a header each were joined
            continue
        if len(fields) != width:
            if named or len(fields) < width:
                raise misfit(fields, width, where)
            if not warned:
                warnings.warn(
                    f"{where}: {misfit_text(fields, width)}; what is beyond them is ignored here and below"
                )
                warned = True
        rows = True
        yield where, checked_row({ours: fields[i] for ours, i in chosen.items()}, wanted, where)
    if named and not rows:
        raise DataError(
            "There are no rows below the header", where=where, expected="at least one row of data"
        )


def _check_one_column(wanted: tuple[str, ...], where: str) -> None:
    if len(wanted) != 1:
        raise DataError(
            f"A .txt file holds one text a line, which is not enough for {', '.join(wanted)}",
            where=where,
            expected="a .tsv, .csv or .jsonl file",
            remedy='if tabs end its fields, pass --delimiter=tab (Python: delimiter="\\t")',
        )


def misfit_text(fields: list[str], width: int) -> str:
    """How a row of another width than the first is told."""
    return f"This row has {len(fields)} columns, the first one {width}"


def misfit(fields: list[str], width: int, where: str) -> DataError:
    """The error of a row of another width than the first."""
    return DataError(
        misfit_text(fields, width),
        where=where,
        expected=f"{width} columns in every row",
        remedy="a tab, comma or line end within a text? Quote the field in a .csv, or use .jsonl",
    )


def _object_rows(records: Iterable[tuple[str, object]], *, wanted, optional, columns) -> Iterator[Row]:
    keys = {}
    for where, record in records:
        if not isinstance(record, Mapping):
            raise no_object(record, where)
        if not keys:
            names = list(record)
            chosen = choose_columns(names, wanted, optional, columns, where=where)
            keys = {ours: names[i] for ours, i in chosen.items()}
        for ours in wanted:
            if keys[ours] not in record:
                raise no_key(ours, keys[ours], record, where)
        yield where, checked_row(cells_of(record, keys, optional), wanted, where)


def no_object(record, where: str) -> DataError:
    """The error of a row that has no names for its values."""
    return DataError(
        f"The row is no object with named columns but {type(record).__name__} {shortened(record)}",
        where=where,
        expected='{"text": "...", "label": ...}',
    )


def no_key(ours: str, theirs: str, record: Mapping, where: str) -> DataError:
    """The error of a row that lacks a column which the first one has."""
    return DataError(
        f"There is no {theirs!r} in this row, as there is in the first",
        where=where,
        expected=f"a {ours} in every row; the keys found are {', '.join(map(repr, record))}",
    )


def _numbered(source: Iterable, wanted: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    for number, item in enumerate(source, 1):
        yield f"row {number}", {wanted[0]: item} if isinstance(item, str) and len(wanted) == 1 else item


def _tuple_table(lists: tuple, wanted: tuple[str, ...], optional: tuple[str, ...]) -> dict:
    """Names for the lists of `(texts, labels)`: the wanted columns and as many optional ones as fit."""
    names = wanted + optional[: max(0, len(lists) - len(wanted))]
    if len(names) != len(lists):
        raise DataError(
            f"There are {len(lists)} lists for {len(wanted)} columns",
            where="rows",
            expected=f"({', '.join(wanted)})" + (f" and perhaps {', '.join(optional)}" if optional else ""),
        )
    names = sorted(names, key=lambda name: name not in TEXT_COLUMNS)  # stable: the text columns first
    return dict(zip(names, lists, strict=True))


def _table_rows(names: list, lists: list, *, wanted, optional, columns) -> Iterator[Row]:
    chosen = choose_columns([str(name) for name in names], wanted, optional, columns, where="rows")
    lists = {ours: _as_list(ours, lists[i]) for ours, i in chosen.items()}
    lengths = {ours: len(values) for ours, values in lists.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(
            "The columns differ in length: " + ", ".join(f"{n} x {ours}" for ours, n in lengths.items()),
            where="rows",
            expected="one value of each column for every row",
        )
    for number, values in enumerate(zip(*lists.values(), strict=True), 1):
        where = f"row {number}"
        yield where, checked_row(dict(zip(lists, values, strict=True)), wanted, where)


def _as_list(ours: str, values):
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise DataError(
            f"The {ours!r} is {shortened(values)}, not a list of values",
            where="rows",
            expected="lists of equal length, one value for every row",
        )
    return values if hasattr(values, "__len__") else list(values)
