"""The rows of a table as `readers.read_rows` gives them; a row that does not fit does not end the reading."""

import warnings
from collections.abc import Iterable, Iterator, Mapping

from keras_bert.data.columns import cells_of, checked_row, choose_columns, is_header
from keras_bert.data.formats import (
    DELIMITERS,
    JSON_LINES,
    csv_fields,
    is_blank,
    json_lines,
    json_values,
    parse_delimiter,
    suffix_of,
    tab_fields,
    without_last_blanks,
)
from keras_bert.data.readers import misfit, misfit_text, no_key, no_object
from keras_bert.errors import DataError
from keras_bert.files.encodings import open_text

Records = Iterable[tuple[str, object]]
TolerantRow = tuple[str, dict | DataError]


def tolerant_rows(
    path,
    *,
    wanted: tuple[str, ...],
    optional: tuple[str, ...] = (),
    columns: Mapping | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Iterator[TolerantRow]:
    """Read the rows of a file, and what is wrong with those that cannot be read.

    Args:
        path, wanted, optional, columns, encoding, delimiter: as `readers.read_rows`.

    Yields:
        `(location, row)` as `read_rows` does, but for a `label` that keeps its outer white space; for a row
        that `read_rows` would refuse `(location, error)`.

    Raises:
        DataError: no rows or unclear columns; or a fault behind which rows cannot be told apart: an open
            quote in a .csv, a byte the encoding does not have, JSON laid out over several lines.
    """
    columns = {ours: theirs for ours, theirs in (columns or {}).items() if theirs is not None}
    choice = (tuple(wanted), tuple(name for name in optional if name not in wanted), columns)
    suffix = suffix_of(path)
    delimiter = parse_delimiter(delimiter) or DELIMITERS.get(suffix)
    with open_text(path, encoding, keep_ends=delimiter not in (None, "\t")) as lines:
        if suffix in JSON_LINES:
            rows = _object_rows(_json_records(lines, path), *choice)
        elif suffix == ".json":
            rows = _object_rows(json_values(lines, path), *choice)
        elif delimiter:
            records = tab_fields(lines, path) if delimiter == "\t" else csv_fields(lines, path, delimiter)
            rows = _delimited_rows(without_last_blanks(records), *choice)
        else:
            raise DataError(
                f"The name does not say what kind of table this is: suffix {suffix or 'missing'}",
                where=str(path),
                expected="a .tsv, .csv, .jsonl or .json file, plain, .gz or .xz",
                remedy='rename it, or pass --delimiter=tab (Python: delimiter="\\t")',
            )
        empty = True
        for row in rows:
            empty = False
            yield row
        if empty:
            raise DataError("There are no rows", where=str(path), expected="at least one row of data")


def _json_records(lines: Iterable[str], path) -> Records:
    """One JSON value, or the error of a line that holds none."""
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        try:
            yield from ((where, value) for _, value in json_lines((line,), path))
        except DataError as error:
            yield where, DataError(error.what, where=where, expected=error.expected, remedy=error.remedy)


def _object_rows(records: Records, wanted, optional, columns) -> Iterator[TolerantRow]:
    keys = {}
    for where, record in records:
        if not isinstance(record, Mapping):
            yield where, record if isinstance(record, DataError) else no_object(record, where)
            continue
        if not keys:
            names = list(record)
            chosen = choose_columns(names, wanted, optional, columns, where=where)
            keys = {ours: names[i] for ours, i in chosen.items()}
        lacking = next((ours for ours in wanted if keys[ours] not in record), None)
        if lacking:
            yield where, no_key(lacking, keys[lacking], record, where)
            continue
        yield where, _row(cells_of(record, keys, optional), wanted, where)


def _delimited_rows(records: Records, wanted, optional, columns) -> Iterator[TolerantRow]:
    chosen, width, named, warned, header_row = {}, 0, False, False, None
    for where, fields in records:
        if is_blank(fields) and width != 1:
            continue
        if not chosen:
            named = is_header(fields, wanted, columns)
            chosen = choose_columns(fields, wanted, optional, columns, where=where, named=named)
            width = len(fields)
            header_row = fields if named and width > 1 else None
            if named:
                continue
        if fields == header_row:
            continue
        if len(fields) != width:
            if named or len(fields) < width:
                yield where, misfit(fields, width, where)
                continue
            if not warned:
                what = misfit_text(fields, width)
                warnings.warn(f"{where}: {what}; what is beyond them is ignored here and below")
                warned = True
        yield where, _row({ours: fields[i] for ours, i in chosen.items()}, wanted, where)


def _row(cells: Mapping, wanted, where: str) -> dict | DataError:
    try:
        row = checked_row(cells, wanted, where)
    except DataError as error:
        return error
    if isinstance(row.get("label"), str):
        row["label"] = cells["label"]
    return row
