"""The lines of text files: of any length, and from anywhere in a file."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from keras_bert.files.encodings import null_byte, open_bytes, open_text, undecodable

# A longer line comes in blocks.
MAX_LINE_CHARACTERS = 1_000_000
MAX_BLOCK_CHARACTERS = 100_000
# A line of more bytes is not blank, whatever is in it: one need not look further back to know.
MAX_BLANK_BYTES = 4096
_BLOCK = 1 << 16
_LINE_END = re.compile(rb"\r\n?|\n")
# A long line is cut after one of the first, else of the second, else anywhere between two characters.
_CUTS = (". ", "! ", "? ", "\n", "。", "！", "？"), (" ", "\t", "\u3000", "，")


class Line(NamedTuple):
    """A line, or a part of a long one.

    Args:
        place: int. Where the line begins: its first byte, or the line's number where the file is decoded.
        text: str. Without the line's end.
        num_bytes: int. With the line's end.
        is_first: bool. The line begins with this part.
        is_last: bool. It ends with this part.
    """

    place: int
    text: str
    num_bytes: int
    is_first: bool = True
    is_last: bool = True

    @property
    def is_blank(self) -> bool:
        """Whether this is a whole line with nothing in it."""
        return self.is_first and self.is_last and self.num_bytes <= MAX_BLANK_BYTES and not self.text.strip()


class RangeLines:
    r"""The lines of a UTF-8 file from a byte on, and the one before them.

    `\n`, `\r\n` and `\r` end a line, as in `open_text`. The line that holds the byte before `begin` comes
    first, for its `is_blank` only: whether something goes on here.

    Args:
        path: str. A plain file in UTF-8.
        begin: int. Any byte; it may lie within a line, or within a character.
    """

    def __init__(self, path: str, begin: int = 0):
        self._path, self._begin = path, begin

    def __iter__(self) -> Iterator[Line]:
        with open_bytes(self._path) as file:
            start, is_whole = _line_before(file, self._begin)
            is_before, is_first = self._begin > 0, True
            for place, data, is_last in _byte_lines(file, start):
                if not is_before:
                    text = self._decoded(place, data, is_first, is_last)
                    yield Line(place, text, len(data), is_first, is_last)
                elif is_last:
                    is_before = False
                    text = data.decode("utf-8", "replace").removeprefix("\ufeff" if place == 0 else "")
                    is_blank = is_whole and Line(place, text, len(data), is_first, is_last).is_blank
                    yield Line(place, "" if is_blank else "...", len(data))
                is_first = is_last

    def line_number(self, place: int) -> int:
        """The number of the line that begins at a byte; reads the file up to there."""
        number, carried = 1, b""
        with open_bytes(self._path) as file:
            while place > 0:
                data = file.read(min(place, 1 << 20))
                place = place - len(data) if data else 0
                data = carried + data
                carried = b"\r" if data.endswith(b"\r") and place else b""
                number += len(_LINE_END.findall(data)) - len(carried)
        return number

    def where(self, place: int) -> str:
        """`file:line`, for a message."""
        return f"{self._path}:{self.line_number(place)}"

    def _decoded(self, place: int, data: bytes, is_first: bool, is_last: bool) -> str:
        if is_last:
            data = data.rstrip(b"\r\n")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise undecodable(error, self._path, self.line_number(place) - 1, "utf-8") from None
        if "\0" in text:
            with open_bytes(self._path) as file:
                raise null_byte(self.where(place), file.read(_BLOCK))
        return text.removeprefix("\ufeff") if place == 0 and is_first else text


class FileLines:
    """The lines of a file of any kind, from its beginning; their places are their numbers.

    Args:
        path: str. Any file that `open_text` reads.
        encoding: str or None. As `open_text` takes it.
    """

    def __init__(self, path: str, encoding: str | None = None):
        self._path, self._encoding = path, encoding

    def __iter__(self) -> Iterator[Line]:
        number, is_first = 1, True
        with open_text(self._path, self._encoding, max_characters=_BLOCK) as lines:
            for text in lines:
                is_last = text.endswith("\n")
                yield Line(number, text.removesuffix("\n"), num_utf8_bytes(text), is_first, is_last)
                number += is_last
                is_first = is_last

    def where(self, place: int) -> str:
        """`file:line`, for a message."""
        return f"{self._path}:{place}"


def num_utf8_bytes(text: str) -> int:
    """How many bytes a text has in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def in_blocks(lines) -> Iterator[Line]:
    """Whole lines, but those of more than MAX_LINE_CHARACTERS in blocks of MAX_BLOCK_CHARACTERS at most.

    Where the blocks are cut depends on the line alone, not on the parts it comes in.

    Args:
        lines: iterable of Line. Lines in parts of any size.
    """
    place, text, num_bytes, is_first, is_open = 0, "", 0, True, False
    for line in lines:
        if line.is_first and line.is_last and len(line.text) <= MAX_LINE_CHARACTERS:
            yield line
            continue
        place, text, num_bytes, is_open = line.place, text + line.text, num_bytes + line.num_bytes, True
        while len(text) > (MAX_LINE_CHARACTERS if is_first else MAX_BLOCK_CHARACTERS):
            block, text = _cut(text)
            size = num_utf8_bytes(block)
            yield Line(place, block, size, is_first, False)
            num_bytes, is_first = num_bytes - size, False
        if line.is_last:
            yield Line(place, text, num_bytes, is_first, True)
            text, num_bytes, is_first, is_open = "", 0, True, False
    if is_open:  # the file's last line has no end
        yield Line(place, text, num_bytes, is_first, True)


def blocks_of(text: str) -> Iterator[str]:
    """The blocks of one long line that is there as a whole."""
    while len(text) > MAX_BLOCK_CHARACTERS:
        block, text = _cut(text)
        yield block
    yield text


def _cut(text: str) -> tuple[str, str]:
    """A block, and the rest."""
    half = MAX_BLOCK_CHARACTERS // 2
    for marks in _CUTS:
        end = max(text.rfind(mark, half, MAX_BLOCK_CHARACTERS) for mark in marks) + 1
        if end:
            return text[:end], text[end:]
    return text[:MAX_BLOCK_CHARACTERS], text[MAX_BLOCK_CHARACTERS:]


def _line_before(file, begin: int) -> tuple[int, bool]:
    """Where the line begins that holds the byte before `begin`, and True; or that byte, and False.

    The latter where the line is a long one, which begins who knows where.
    """
    if begin == 0:
        return 0, True
    back = max(0, begin - MAX_BLANK_BYTES - 2)
    file.seek(back)
    data = file.read(begin - back)
    stop = len(data) - (2 if data.endswith(b"\r\n") else 1)
    start = max(data.rfind(b"\n", 0, stop), data.rfind(b"\r", 0, stop)) + 1
    if start or back == 0:
        return back + start, True
    return begin - 1, False


def _byte_lines(file, start: int) -> Iterator[tuple[int, bytes, bool]]:
    """(where the line begins, bytes, whether they end the line) from a byte on; long lines in several."""
    file.seek(start)
    position, rest = start, b""
    while block := file.read(_BLOCK):
        lines = (rest + block).splitlines(keepends=True)
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()  # "\r" may be half of "\r\n"
        for line in lines:
            yield start, line, True
            position += len(line)
            start = position
        if len(rest) >= _BLOCK and (size := _size_of_whole_characters(rest)):
            yield start, rest[:size], False
            position, rest = position + size, rest[size:]
    if rest:
        yield start, rest, rest.endswith(b"\r")


def _size_of_whole_characters(data: bytes) -> int:
    """How much of the data surely is whole characters, and not half the end of a line."""
    if data.endswith(b"\r"):
        return len(data) - 1
    for back in range(1, min(4, len(data)) + 1):
        if data[-back] >= 0xC0:  # the first byte of a character of two to four
            length = 2 + (data[-back] >= 0xE0) + (data[-back] >= 0xF0)
            return len(data) - back if length > back else len(data)
        if data[-back] < 0x80:
            break
    return len(data)
