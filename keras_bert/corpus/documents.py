"""Documents out of text files, by pieces: any piece is read by itself, and in little memory.

    files ─► pieces (ranges of bytes) ─► lines ─► documents (lists of sentences)

A document belongs to the piece in which its first line begins. Whatever the size of the pieces, all of them
together give the same documents in the same order.
"""

import collections
import dataclasses
import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator

from keras_bert.corpus.lines import MAX_LINE_CHARACTERS, FileLines, Line, RangeLines, blocks_of, in_blocks
from keras_bert.corpus.sentences import split_sentences
from keras_bert.errors import DataError, UsageError
from keras_bert.files.encodings import is_plain_utf8
from keras_bert.files.text_streams import is_json_lines, text_of_object

MAX_PART_CHARACTERS = 400_000
MAX_JSON_BYTES = 100_000_000
SENTENCES = ("auto", "lines", "text")
_NEWLINE = re.compile("\r\n?|\n")


@dataclasses.dataclass(frozen=True)
class Reading:
    """How files are read.

    In a text file a document begins with the first line after a blank one; in a `.jsonl` every object is one.

    Args:
        sentences: str. `"lines"`: a line is a sentence. `"text"`: a line is running text, which is split.
            `"auto"`: lines in text files, and text where the field of a JSON object is a str.
        column: str. The field of a JSON object: a str, or a list of str, each of which is as a line.
        encoding: str or None. None means UTF-8, or what the byte order mark says.

    Raises:
        UsageError: no such `sentences`.
    """

    sentences: str = "auto"
    column: str = "text"
    encoding: str | None = None

    def __post_init__(self):
        if self.sentences not in SENTENCES:
            raise UsageError(
                f"There is no {self.sentences!r}",
                where="--sentences",
                expected=f"one of {', '.join(SENTENCES)}",
            )


@dataclasses.dataclass(frozen=True)
class Piece:
    """A part of the input that is read by itself.

    Args:
        file: int. The number of the file.
        path: str.
        begin, end: int. Bytes of the file; an `end` of None means the whole file, whatever its encoding.
    """

    file: int
    path: str
    begin: int
    end: int | None


@dataclasses.dataclass(frozen=True)
class Document:
    """A document, or a part of a long one.

    Args:
        place: tuple of three int. File; where its first line begins in it (a byte, or the line's number in
            files that are decoded as a whole); part. Documents in the order of their places are in the
            order of the text.
        sentences: list of str. None empty, and at least one.
        num_bytes: int. Of the lines it was read from, in UTF-8.
    """

    place: tuple[int, int, int]
    sentences: list[str]
    num_bytes: int


def plan_pieces(paths: list[str], reading: Reading, piece_bytes: int) -> list[Piece]:
    """Cuts files into pieces.

    Args:
        paths: list of str.
        reading: Reading.
        piece_bytes: int. Of a piece; compressed files, and those of another encoding, are one each.

    Returns:
        List of Piece, in the order of the files.

    Raises:
        DataError: a file that cannot be read.
        UsageError: an encoding that does not exist.
    """
    pieces = []
    for number, path in enumerate(paths):
        if is_plain_utf8(path, reading.encoding):
            size = os.path.getsize(path)
            for begin in range(0, max(size, 1), piece_bytes):
                pieces.append(Piece(number, path, begin, min(begin + piece_bytes, size)))
        else:
            pieces.append(Piece(number, path, 0, None))
    return pieces


def documents_of(
    piece: Piece, reading: Reading, counts: collections.Counter | None = None
) -> Iterator[Document]:
    """The documents that begin in a piece, one after the other, in little memory.

    Documents of more than MAX_PART_CHARACTERS come in parts, cut between sentences; a line of more than
    MAX_LINE_CHARACTERS is no sentence, and taken for running text, block by block.

    Args:
        piece: Piece.
        reading: Reading. That of `plan_pieces`.
        counts: Counter or None. To it are added `bytes` (all pieces together: those of the files),
            `empty_documents` (without a sentence: they are not yielded) and `cut_lines` (longer than
            MAX_LINE_CHARACTERS). What is yielded the caller counts.

    Raises:
        DataError: bytes that are no text in the encoding, a damaged file, or a line of `.jsonl` without
            such a field; names `file:line`.
        MissingExtraError: a `.zst` file, and no package for it.
    """
    counts = collections.Counter() if counts is None else counts
    end = math.inf if piece.end is None else piece.end
    if piece.end is None:
        source = FileLines(piece.path, reading.encoding)
        lines = _counted(source, counts)
    else:
        source = lines = RangeLines(piece.path, piece.begin)
        counts["bytes"] += piece.end - piece.begin
    if piece.begin == piece.end:
        return
    if is_json_lines(piece.path):
        lines = itertools.takewhile(lambda line: line.place < end, lines)
        yield from _json_documents(_whole_lines(lines, source), source, piece, reading, counts)
    else:
        yield from _text_documents(in_blocks(lines), piece, end, reading, counts)


def _counted(lines: Iterable[Line], counts: collections.Counter) -> Iterator[Line]:
    for line in lines:
        counts["bytes"] += line.num_bytes
        yield line


class _Parts:
    """A document while it is read."""

    def __init__(self, file: int, place: int):
        self._file, self._place, self._part = file, place, 0
        self._sentences, self._characters, self._num_bytes = [], 0, 0

    def add(self, sentences: Iterable[str], num_bytes: int) -> Iterator[Document]:
        """Takes what one line holds; gives the parts that are full."""
        self._num_bytes += num_bytes
        for sentence in sentences:
            if self._sentences and self._characters + len(sentence) > MAX_PART_CHARACTERS:
                yield self._taken()
            self._sentences.append(sentence)
            self._characters += len(sentence)

    def last(self, counts: collections.Counter) -> Iterator[Document]:
        """Gives the last part, if there is anything."""
        if self._sentences:
            yield self._taken()
        else:
            counts["empty_documents"] += 1

    def _taken(self) -> Document:
        document = Document((self._file, self._place, self._part), self._sentences, self._num_bytes)
        self._part += 1
        self._sentences, self._characters, self._num_bytes = [], 0, 0
        return document


def _text_documents(lines: Iterable[Line], piece: Piece, end, reading: Reading, counts) -> Iterator[Document]:
    document, is_between = None, True  # is_between: the next line that is not blank begins a document
    for line in lines:
        if line.is_blank:
            if document is not None:
                yield from document.last(counts)
            document, is_between = None, True
        elif line.place >= end and document is None:
            return
        else:
            if is_between and line.place >= piece.begin:
                document = _Parts(piece.file, line.place)
            is_between = False
            if document is not None:  # else it began in the piece before
                if line.is_first and not line.is_last:
                    counts["cut_lines"] += 1
                is_text = reading.sentences == "text" or not (line.is_first and line.is_last)
                sentences = split_sentences(line.text) if is_text else [line.text.strip()]
                yield from document.add(filter(None, sentences), line.num_bytes)
    if document is not None:
        yield from document.last(counts)


def _whole_lines(lines: Iterable[Line], source) -> Iterator[Line]:
    """Lines joined from their parts; refuses those over MAX_JSON_BYTES."""
    parts, num_bytes = [], 0
    for line in lines:
        if line.is_first and line.is_last:
            yield line
            continue
        parts.append(line.text)
        num_bytes += line.num_bytes
        if num_bytes > MAX_JSON_BYTES:
            raise DataError(
                f"This line has more than {MAX_JSON_BYTES:,} bytes, and an object is read as a whole",
                where=source.where(line.place),
                expected="one object a line",
                remedy="split it into several objects, or write its text to a .txt file",
            )
        if line.is_last:
            yield Line(line.place, "".join(parts), num_bytes)
            parts, num_bytes = [], 0
    if parts:
        yield Line(line.place, "".join(parts), num_bytes)


def _json_documents(lines: Iterable[Line], source, piece: Piece, reading: Reading, counts):
    for line in lines:
        if line.place < piece.begin or not line.text.strip():
            continue
        try:
            text = text_of_object(line.text, reading.column, "")
        except DataError as error:  # to know the line's number takes time
            raise DataError(
                error.what, where=source.where(line.place), expected=error.expected, remedy=error.remedy
            ) from error
        document = _Parts(piece.file, line.place)
        yield from document.add(_sentences_of(text, reading.sentences, counts), line.num_bytes)
        yield from document.last(counts)


def _sentences_of(text: str | list[str], sentences: str, counts) -> Iterator[str]:
    """The sentences in the field of an object."""
    is_text = sentences == "text" or (sentences == "auto" and isinstance(text, str))
    if isinstance(text, str):
        text = [text] if is_text else _NEWLINE.split(text)
    for line in text:
        if len(line) > MAX_LINE_CHARACTERS:
            counts["cut_lines"] += 1
            for block in blocks_of(line):
                yield from split_sentences(block)
        elif is_text:
            yield from split_sentences(line)
        elif line.strip():
            yield line.strip()
