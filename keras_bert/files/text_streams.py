"""Texts from files of any size, one record at a time: lines of text, or JSON lines; knows nothing of BERT."""

import glob
import json
import os
from collections.abc import Iterator
from pathlib import Path

from keras_bert.errors import DataError
from keras_bert.files.encodings import open_text

_JSON_LINES = (".jsonl", ".ndjson")
_TEXT = (".txt",)
_COMPRESSED = (".gz", ".xz", ".zst")
# Formats in which a line is not a text: read as text, their markup would be learnt.
_OTHER_FORMATS = (
    ".tsv",
    ".csv",
    ".json",
    ".xml",
    ".html",
    ".parquet",
    ".xlsx",
    ".docx",
    ".pdf",
    ".zip",
    ".tar",
)
_GUESSED_RATIO = {".gz": 3, ".xz": 4, ".zst": 3}  # of text to its compressed form

Record = tuple[str, list[str]]


class TextFiles:
    """The texts of files, read one after the other and never held together.

        files = TextFiles("corpus/,more/*.jsonl.gz", column="lines")
        for where, texts in files: ...                   # "corpus/a.txt:17", ["A line of text."]

    A record is what one line holds. A line of a text file is one text; a blank line is a record without
    any, which ends a document where documents matter. A line of `.jsonl` or `.ndjson` is an object, whose
    `column` holds a text or a list of texts. Files whose names say neither are read as lines of text.

    Args:
        paths: str, path, or sequence of them. Files, folders (searched to the bottom for .txt, .jsonl and
            .ndjson, plain, .gz, .xz or .zst) and patterns such as `*.txt`; a str may hold several between
            commas.
        column: str. The field of a JSON object.
        encoding: str or None. None means UTF-8 or what the byte order mark says.

    Raises:
        DataError: a path that leads to no file, or to one that is a table or a document; while reading,
            bytes that are no text, and lines that are no such object. The message names `file:line`.
    """

    def __init__(self, paths, column: str = "text", encoding: str | None = None):
        self.paths = find_text_files(paths)
        self.column = column
        self.encoding = encoding
        self.num_bytes_read = 0  # after decompression; grows while one iterates
        self.num_bytes = sum(_text_size(path) for path in self.paths)  # an estimate, for the time left

    def __iter__(self) -> Iterator[Record]:
        self.num_bytes_read = 0
        for path in self.paths:
            is_json = is_json_lines(path)
            with open_text(path, self.encoding) as lines:
                for number, line in enumerate(lines, 1):
                    self.num_bytes_read += (
                        len(line) if line.isascii() else len(line.encode("utf-8", "replace"))
                    )
                    where = f"{path}:{number}"
                    if is_json:
                        if not line.isspace():
                            texts = text_of_object(line, self.column, where)
                            yield where, [texts] if isinstance(texts, str) else texts
                    else:
                        yield where, [] if line.isspace() else [line.rstrip("\n")]

    def texts(self) -> Iterator[str]:
        """Every text of every record."""
        for _, texts in self:
            yield from texts


def find_text_files(paths) -> list[str]:
    """The files that files, folders and patterns stand for.

    Args:
        paths: as `TextFiles` takes them.

    Returns:
        List of str: in the order given, a folder's and a pattern's files sorted by name; each file once.

    Raises:
        DataError: something given leads to no file.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    given = [part for path in paths for part in _parts(os.fspath(path))]
    if not given:
        raise DataError("No file is named", where="input", expected="files, folders or patterns")
    found = (path for name in given for path in _files_of(name))
    return list({os.path.normpath(path): path for path in found}.values())


def _parts(path: str) -> list[str]:
    """What stands between the commas, unless the whole is the name of a file."""
    return [path] if os.path.exists(path) else [part for part in map(str.strip, path.split(",")) if part]


def _files_of(name: str) -> list[str]:
    if os.path.isdir(name):
        found = sorted(
            os.path.join(folder, file)
            for folder, _, files in os.walk(name)
            for file in files
            if not file.startswith(".") and _suffix(file) in (*_TEXT, *_JSON_LINES)
        )
        if not found:
            raise DataError(
                "There is no text file in this folder",
                where=name,
                expected=".txt, .jsonl or .ndjson files, plain, .gz, .xz or .zst",
            )
        return found
    if os.path.exists(name):
        found = [name]
    else:
        found = sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))
    if not found:
        raise DataError(
            "No file fits this pattern" if glob.has_magic(name) else "There is no such file or folder",
            where=name,
            expected="files, folders or patterns, several of them between commas",
            remedy="check the path, relative to the folder the command runs in",
        )
    for path in found:
        if _suffix(path) in _OTHER_FORMATS:
            raise DataError(
                f"A {_suffix(path)} file is not a text a line",
                where=path,
                expected="lines of text (.txt), or JSON objects, one a line (.jsonl)",
                remedy="write its texts to a .txt or .jsonl file",
            )
    return found


def is_json_lines(path: str) -> bool:
    """Whether a line of a file is a JSON object, by the file's name."""
    return _suffix(path) in _JSON_LINES


def _suffix(path: str) -> str:
    """The suffix before .gz, .xz or .zst, in lower case."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _text_size(path: str) -> int:
    """Roughly how many bytes of text a file holds."""
    size = os.path.getsize(path)
    return size * _GUESSED_RATIO.get(Path(path).suffix.lower(), 1)


def invalid_json(error: Exception, where: str, expected: str) -> DataError:
    """What to raise for an error of `json`."""
    # Python's message may end in "starting at".
    reason = f"{error.msg} (column {error.colno})" if isinstance(error, json.JSONDecodeError) else error
    return DataError(f"This is not valid JSON: {reason}", where=where, expected=expected)


def text_of_object(line: str, column: str, where: str) -> str | list[str]:
    """The text, or the list of texts, in one field of a JSON object.

    Args:
        line: str. The object.
        column: str. The name of the field.
        where: str. For the message of an error.

    Raises:
        DataError: the line is no object, or has no such field, or no text in it.
    """
    expected = f'an object such as {{"{column}": "..."}} or {{"{column}": ["...", "..."]}}'
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise invalid_json(error, where, expected) from error
    if not isinstance(row, dict):
        raise DataError("This JSON value is not an object", where=where, expected=expected)
    if column not in row:
        names = ", ".join(map(repr, row)) or "none"
        raise DataError(
            f"There is no field {column!r}; the fields are {names}",
            where=where,
            expected=expected,
            remedy='name the field of the texts: --text_column=NAME (Python: column="NAME")',
        )
    texts = row[column]
    of_one_kind = [texts] if isinstance(texts, str) else texts
    if not isinstance(of_one_kind, list) or not all(isinstance(text, str) for text in of_one_kind):
        raise DataError(f"The field {column!r} holds no text", where=where, expected=expected)
    return texts
