"""The table formats: lines of text -> `(location, fields)` or `(location, JSON value)`, one at a time."""

import csv
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from keras_bert.errors import DataError, UsageError
from keras_bert.files.text_streams import invalid_json

DELIMITERS = {".tsv": "\t", ".csv": ","}  # by suffix
JSON_LINES = (".jsonl", ".ndjson")
_COMPRESSED = (".gz", ".xz")
_SPACE = re.compile(r"\s*")
_DELIMITER_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}


def suffix_of(path) -> str:
    """The suffix that says what kind of file this is, before .gz and .xz; "" where there is none."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def peeked(lines: Iterable[str]) -> tuple[str, Iterable[str]]:
    """The first line that is not blank, without outer white space, and all lines."""
    read = []
    for line in lines:
        read.append(line)
        if line.strip():
            break
    return (read[-1].strip() if read else ""), itertools.chain(read, lines)


def parse_delimiter(given: str | None) -> str | None:
    """The character that ends a field, also where its name was given; None where nothing was."""
    if not given:
        return None
    delimiter = _DELIMITER_NAMES.get(given.lower(), given)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise UsageError(
            "A delimiter is one character", where=f"delimiter={given!r}", expected="tab, comma, ; ..."
        )
    return delimiter


def whole_lines(lines: Iterable[str], path) -> Iterator[tuple[str, list[str]]]:
    """One field a line."""
    return ((f"{path}:{number}", [line.rstrip("\n")]) for number, line in enumerate(lines, 1))


def tab_fields(lines: Iterable[str], path) -> Iterator[tuple[str, list[str]]]:
    """Fields between tabs; quotes mean nothing."""
    return ((where, line.split("\t")) for where, (line,) in whole_lines(lines, path))


def csv_fields(lines: Iterable[str], path, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """RFC 4180: a quoted field may hold delimiters, line ends and doubled quotes.

    `lines` come with the ends they have in the file: in a quoted field they count as characters.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        where = f"{path}:{reader.line_num + 1}"  # where the record begins; a quoted line end makes it longer
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"This is not valid CSV: {error}",
                where=where,
                expected='"a quoted field, its ""quotes"" doubled", closed before the next comma',
                remedy="add the missing quote; if nothing is quoted and tabs end the fields, call it .tsv; "
                "texts of any length go into a .jsonl",
            ) from error
        if fields is None:
            return
        yield where, fields or [""]


def is_blank(fields: list[str]) -> bool:
    """Whether the line held nothing at all."""
    return len(fields) == 1 and not fields[0].strip()


def without_last_blanks(records) -> Iterator[tuple[str, list[str]]]:
    """The records without the blank lines that end the file."""
    blanks = []
    for where, fields in records:
        if is_blank(fields):
            blanks.append((where, fields))
            continue
        yield from blanks
        blanks.clear()
        yield where, fields


def json_lines(lines: Iterable[str], path) -> Iterator[tuple[str, object]]:
    """One JSON value a line; blank lines are skipped."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield f"{path}:{number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                expected = 'one object a line: {"text": "...", "label": ...}'
                raise invalid_json(error, f"{path}:{number}", expected) from error


def json_values(lines: Iterable[str], path) -> Iterator[tuple[str, object]]:
    """The objects of a whole file: one list of them, or one after the other, however they are laid out."""
    text, decoder, end, number = "".join(lines), json.JSONDecoder(), 0, 1
    while True:
        start = _SPACE.match(text, end).end()
        number += text.count("\n", end, start)
        if start == len(text):
            return
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            where = f"{path}:{getattr(error, 'lineno', number)}"
            raise invalid_json(error, where, "objects, or one list of them, to the file's end") from error
        if isinstance(value, list):
            yield from ((f"{path}:{number}, item {i}", item) for i, item in enumerate(value, 1))
        else:
            yield f"{path}:{number}", value
        number += text.count("\n", start, end)
