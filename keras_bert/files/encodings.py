"""Text files as they come: any encoding and line end, plain or compressed; errors name the line."""

import codecs
import contextlib
import gzip
import io
import lzma
import os
import re
import zlib
from collections.abc import Iterator

from keras_bert.errors import DataError, MissingExtraError, UsageError

# Longest first: the UTF-32 mark begins with the UTF-16 one.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GZIP_MAGIC, _XZ_MAGIC, _ZSTD_MAGIC = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_ZIP_MAGIC = b"PK\x03\x04"
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
_PEEK = 4096
# Of Zstandard handed to its decoder at once: a few bytes can stand for 128 KiB.
_ZSTD_BYTES = 1024
_LINE_END = "\r\n?|\n"

# Encodings worth guessing, most telling first: genuine GBK text is nearly always within its GB2312 part,
# while GB18030 accepts almost any bytes and so comes late.
_GUESSES = {
    "utf-8": "utf-8",
    "gb2312": "gb18030",
    "big5": "big5",
    "shift_jis": "shift_jis",
    "gb18030": "gb18030",
}
_NAMES = {
    "utf-8": "UTF-8",
    "gb18030": "GBK",
    "big5": "Big5",
    "shift_jis": "Shift-JIS",
    "cp1252": "Windows-1252 (Latin-1)",
}


@contextlib.contextmanager
def open_text(
    path, encoding: str | None = None, max_characters: int | None = None, keep_ends: bool = False
) -> Iterator[Iterator[str]]:
    r"""Open a text file for reading line by line.

        with open_text("train.tsv.gz") as lines:
            for line in lines: ...

    `\n`, `\r\n` and `\r` end a line and nothing else does: form feeds, U+0085 and U+2028 stay inside their
    line. Each line comes with its end as one `"\n"`; the last may lack it. gzip, xz and Zstandard are
    recognised by their first bytes, whatever the file is called. A byte order mark is dropped.

    Args:
        path: str or path-like. The file; it is read once from front to back, so a pipe will do.
        encoding: str. Python's name of the encoding. None means what the byte order mark says, else UTF-8.
        max_characters: int or None. A longer line comes in several of so many characters at most, all but
            the last without an end, so that no line has to fit into memory.
        keep_ends: bool. Leave line ends as they are, for formats in which they may be part of a text.

    Returns:
        Context manager of an iterator of str.

    Raises:
        DataError: no such file, not a text file, damaged compression, or a byte the encoding does not
            have; the message names `file:line` and, where it can be told, the likely encoding.
        UsageError: `encoding` is not an encoding Python knows.
        MissingExtraError: a file compressed with Zstandard, and no package for it.
    """
    if encoding is not None:
        _check_encoding(encoding)
    with open_bytes(path) as raw, _decompressed(raw) as binary:
        yield decoded_lines(binary, str(path), encoding, max_characters, keep_ends)


def open_bytes(path) -> io.BufferedReader:
    """Opens a file for reading its bytes; raises DataError where that cannot be done."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(
            f"The file cannot be read: {error.strerror or error}",
            where=str(path),
            expected="a readable text file, plain or compressed with gzip, xz or zstd",
            remedy="check the path, relative to the folder the command runs in",
        ) from error


def is_plain_utf8(path, encoding: str | None = None) -> bool:
    """Whether a file's bytes are UTF-8 as they stand, so that one may begin to read anywhere in it.

    Args:
        path: str or path-like.
        encoding: str or None. As `open_text` takes it.

    Returns:
        bool: False for compressed files, those of another encoding, and pipes. Looks at the first bytes
        only: what follows may still turn out not to be UTF-8.

    Raises:
        DataError: no such file.
        UsageError: `encoding` is not an encoding Python knows.
    """
    if encoding is not None:
        _check_encoding(encoding)
        if codecs.lookup(encoding).name not in ("utf-8", "utf-8-sig"):
            return False
    if os.path.exists(path) and not os.path.isfile(path):
        return False
    with open_bytes(path) as file:
        start = file.read(len(_XZ_MAGIC))
    others = [mark for mark, name in _BYTE_ORDER_MARKS if name != "utf-8"]
    return not start.startswith((_GZIP_MAGIC, _XZ_MAGIC, _ZSTD_MAGIC, _ZIP_MAGIC, *others))


def _check_encoding(encoding: str) -> None:
    try:
        known = codecs.lookup(encoding)._is_text_encoding
    except LookupError:
        known = False
    if not known:
        raise UsageError(
            f"There is no text encoding {encoding!r}",
            where="encoding",
            expected="a name Python knows: utf-8, utf-16, gb18030, big5, cp1252 ...",
        )


def _decompressed(raw: io.BufferedReader):
    """The stream behind gzip, xz or Zstandard, or `raw` itself."""
    start = raw.peek(len(_XZ_MAGIC))
    if start.startswith(_GZIP_MAGIC):
        return io.BufferedReader(gzip.GzipFile(fileobj=raw))
    if start.startswith(_XZ_MAGIC):
        return io.BufferedReader(lzma.LZMAFile(raw))
    if start.startswith(_ZSTD_MAGIC):
        return io.BufferedReader(_ZstdFile(raw))
    return raw


class _ZstdFile(io.RawIOBase):
    """The bytes behind Zstandard. The package's own reader takes a file that is cut off for a whole one."""

    def __init__(self, raw: io.BufferedReader):
        try:
            import zstandard
        except ImportError as error:
            raise MissingExtraError(
                "Reading Zstandard needs the package zstandard, which is not installed",
                where=str(raw.name),
                remedy='pip install "keras-bert-kit[zst]", or unpack the file: zstd -d FILE',
            ) from error
        self._raw, self._package = raw, zstandard
        self._frame = None  # the decoder of the frame being read
        self._ahead, self._given = b"", 0  # what is decoded, and how much of it was handed out

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while self._given == len(self._ahead):
            packed = self._raw.read(_ZSTD_BYTES)
            if not packed:
                if self._frame is not None:
                    raise EOFError("it ends within a frame")
                return 0
            self._ahead, self._given = self._decoded(packed), 0
        size = min(len(buffer), len(self._ahead) - self._given)
        buffer[:size] = self._ahead[self._given : self._given + size]
        self._given += size
        return size

    def _decoded(self, packed: bytes) -> bytes:
        parts = []
        while packed:
            if self._frame is None:
                self._frame = self._package.ZstdDecompressor().decompressobj()
            try:
                parts.append(self._frame.decompress(packed))
            except self._package.ZstdError as error:
                raise EOFError(str(error)) from error
            packed = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        return b"".join(parts)


def decoded_lines(
    binary: io.BufferedReader,
    path: str,
    encoding: str | None = None,
    max_characters: int | None = None,
    keep_ends: bool = False,
) -> Iterator[str]:
    """The lines of an open stream of bytes, which is closed behind them; see `open_text`."""
    number = 0  # lines handed out so far
    is_first = True
    try:
        start = binary.peek(_PEEK)[:_PEEK]
        if encoding is None:
            encoding = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8")
        if start.startswith(_ZIP_MAGIC):
            raise _not_text(path, "it is a zip archive, as Excel workbooks (.xlsx) are")
        with io.TextIOWrapper(binary, encoding=encoding, newline="" if keep_ends else None) as text:
            for line in text if max_characters is None else iter(lambda: text.readline(max_characters), ""):
                if is_first:
                    line, is_first = line.removeprefix("\ufeff"), False
                if "\0" in line:
                    raise null_byte(f"{path}:{number + 1}", start)
                number += line.endswith(("\n", "\r"))
                yield line
    except UnicodeDecodeError as error:
        raise undecodable(error, path, number, encoding) from None
    except _DAMAGED as error:
        raise DataError(
            f"The compressed file is damaged or cut off: {error}",
            where=f"{path}:{number + 1}",
            remedy="copy or download the file again",
        ) from error
    except OSError as error:
        raise DataError(f"The file cannot be read: {error.strerror or error}", where=path) from error


def _not_text(where: str, reason: str, remedy: str = "save it as UTF-8 text (.tsv, .csv, .jsonl or .txt)"):
    return DataError(f"This is not a text file: {reason}", where=where, remedy=remedy)


def null_byte(where: str, start: bytes) -> DataError:
    """The error for a NUL, which only other encodings and binary files have; `start` of the file."""
    for parity, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = start[parity::2].count(0), start[1 - parity :: 2].count(0)
        if zeros > len(start) // 8 and not others:
            return _not_text(where, "it holds NUL bytes", f"it looks like UTF-16: {_encoding_flag(name)}")
    return _not_text(where, "it holds NUL bytes")


def undecodable(error: UnicodeDecodeError, path: str, number: int, encoding: str) -> DataError:
    """The error for a byte that `encoding` does not have; `number` lines before it were handed out."""
    before = error.object[: error.start].decode(encoding, "replace")
    where = f"{path}:{number + 1 + len(re.findall(_LINE_END, before))}"
    sample = error.object[error.object.rfind(b"\n", 0, error.start) + 1 :]
    if b"\0" in sample and not encoding.startswith(("utf-16", "utf-32")):
        return _not_text(where, "it holds NUL bytes and bytes that are no text")
    byte = error.object[error.start]
    likely = likely_encoding(sample)
    remedy = f"save the file as UTF-8, or name its encoding: {_encoding_flag('NAME')}"
    if likely and codecs.lookup(likely) != codecs.lookup(encoding):
        remedy = f"it looks like {_NAMES[likely]}: {_encoding_flag(likely)}"
    return DataError(
        f"The byte 0x{byte:02x} is not valid {encoding}",
        where=where,
        expected=f"text in {encoding}",
        remedy=remedy,
    )


def likely_encoding(sample: bytes) -> str | None:
    """The encoding that bytes which are not UTF-8 are probably in; None for plain ASCII.

    East Asian encodings write a character as two bytes, so that high bytes stand together; in Western
    single-byte text a high byte mostly stands alone between ASCII letters.
    """
    high = len(re.findall(rb"[\x80-\xff]", sample))
    if not high:
        return None
    if 2 * len(re.findall(rb"[\x80-\xff]{2}", sample)) >= high / 2:
        for codec, name in _GUESSES.items():
            try:  # the sample may end within a character: final=False
                codecs.getincrementaldecoder(codec)().decode(sample, final=False)
            except UnicodeDecodeError:
                continue
            return name
    return "cp1252"


def _encoding_flag(name: str) -> str:
    return f'pass --encoding={name} (Python: encoding="{name}")'
