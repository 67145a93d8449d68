"""TFRecord files: the frame around each record, read without trusting a byte of it.

length (8 bytes) · masked CRC-32C of it (4) · data · masked CRC-32C of the data (4)
"""

import dataclasses
import gzip
import io
import os
import zlib

import numpy as np

from keras_bert.errors import DataError
from keras_bert.files.crc32c import masked_crc32c_of_many
from keras_bert.files.mapped import MappedFile
from keras_bert.files.regular import read_regular

_HEAD, _FOOT = 12, 4
_GZIP = b"\x1f\x8b\x08"
# A file of more bytes is mapped, not read: it is Google's, ours are smaller.
_LARGEST_READ = 2**28
REMEDY = "build or copy the file again"


@dataclasses.dataclass(frozen=True)
class Record:
    """A faulty record: its number in the file, the offset of its frame, and what is wrong with it."""

    number: int
    offset: int
    fault: str


@dataclasses.dataclass(frozen=True)
class Records:
    """The records of one file.

    Args:
        begins, ends: int64 arrays (N,). Where the data of each lie, the faulty ones' too.
        faults: list of Record. Those that are altered, in order.
        broken_off: Record or None. The first of those that cannot be found: a length is destroyed, or the
            file ends in it.
    """

    begins: np.ndarray
    ends: np.ndarray
    faults: list[Record]
    broken_off: Record | None

    def __len__(self) -> int:
        return len(self.begins)

    @property
    def is_sound(self) -> np.ndarray:
        """bool array (N,)."""
        result = np.ones(len(self), bool)
        result[[record.number for record in self.faults]] = False
        return result


def framed(payloads: list[bytes]) -> bytes:
    """The records with their frames, end to end: what a TFRecord file holds.

    Args:
        payloads: list of bytes.
    """
    lengths = np.array([len(payload) for payload in payloads], "<u8")
    bounds = np.concatenate([[0], np.cumsum(lengths.astype(np.int64))])
    data_crcs = masked_crc32c_of_many(b"".join(payloads), bounds[:-1], bounds[1:])
    heads = np.empty(len(payloads), [("length", "<u8"), ("crc", "<u4")])
    heads["length"] = lengths
    at = np.arange(len(payloads)) * 8
    heads["crc"] = masked_crc32c_of_many(lengths.tobytes(), at, at + 8)
    heads, feet = heads.tobytes(), data_crcs.astype("<u4").tobytes()
    parts = [b""] * (3 * len(payloads))
    parts[0::3] = [heads[i : i + _HEAD] for i in range(0, len(heads), _HEAD)]
    parts[1::3] = payloads
    parts[2::3] = [feet[i : i + _FOOT] for i in range(0, len(feet), _FOOT)]
    return b"".join(parts)


def file_bytes(path) -> np.ndarray:
    """What a TFRecord file holds, decompressed where it is a gzip file.

    Args:
        path: str or path-like.
    Returns:
        uint8 array, read only; a large file is mapped, not read.
    Raises:
        DataError: it is not there, is no file, cannot be read, or is a damaged gzip file.
    """
    try:
        if os.path.getsize(path) > _LARGEST_READ:
            data = MappedFile(path).bytes
        else:
            data = np.frombuffer(read_regular(path), np.uint8)
        if data[:3].tobytes() != _GZIP or _has_head(data):
            return data
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return np.frombuffer(file.read(), np.uint8)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"The gzip file is damaged or cut: {error}", where=str(path), remedy=REMEDY) from None
    except OSError as error:
        raise DataError(
            f"The file cannot be read: {error.strerror or error}",
            where=str(path), expected="a TFRecord file", remedy=REMEDY,
        ) from None  # fmt: skip


def scan(data) -> Records:
    """Finds the records of a file and checks every checksum.

    Args:
        data: bytes, memoryview or uint8 array. The whole file.
    """
    data = np.frombuffer(data, np.uint8)
    begins, ends, broken_off = _walk(data)
    number = len(begins)
    # A length that cannot be followed may be one that was altered; so may those that led to it.
    at = np.append(begins - _HEAD, [broken_off.offset] if broken_off else []).astype(np.int64)
    at = at[at + _HEAD <= len(data)]
    wrong = np.flatnonzero(_stored(data, at + 8) != masked_crc32c_of_many(data, at, at + 8))
    if len(wrong):
        number = int(wrong[0])
        fault = "its length is altered" if number else "this is not the beginning of a TFRecord file"
        broken_off = Record(number, int(at[number]), fault)
        begins, ends = begins[:number], ends[:number]
    altered = np.flatnonzero(_stored(data, ends) != masked_crc32c_of_many(data, begins, ends))
    faults = [Record(i, int(begins[i]) - _HEAD, "its data are altered") for i in altered.tolist()]
    return Records(begins, ends, faults, broken_off)


def payloads(data, where: str, check: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Where the records of a file lie.

    Args:
        data: bytes, memoryview or uint8 array. The whole file.
        where: str. The file, for the message.
        check: bool. Compare the checksums; without, only a file that is cut is noticed.
    Returns:
        Two int64 arrays (N,): record i is `data[begins[i]:ends[i]]`.
    Raises:
        DataError: a record is cut or altered; names its number, from 0, and its offset.
    """
    if check:
        found = scan(data)
        begins, ends, first = found.begins, found.ends, next(iter(found.faults), found.broken_off)
    else:
        begins, ends, first = _walk(np.frombuffer(data, np.uint8))
    if first:
        raise fault_error(first, where)
    return begins, ends


def fault_error(record: Record, where: str) -> DataError:
    """The error for a record that is not as it was written."""
    return DataError(
        f"Record {record.number}, at byte {record.offset}: {record.fault}",
        where=where,
        expected="a TFRecord file as it was written",
        remedy=REMEDY,
    )


def _walk(data: np.ndarray) -> tuple[np.ndarray, np.ndarray, Record | None]:
    """Follows the lengths from record to record, as far as they lead."""
    view, size = memoryview(data), len(data)
    begins, ends, position, broken_off = [], [], 0, None
    while position < size:
        begin = position + _HEAD
        end = begin + int.from_bytes(view[position : position + 8], "little")
        if begin > size or end + _FOOT > size:
            broken_off = Record(len(begins), position, f"the file ends in it, at byte {size}")
            break
        begins.append(begin)
        ends.append(end)
        position = end + _FOOT
    return np.array(begins, np.int64), np.array(ends, np.int64), broken_off


def _stored(data: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The little-endian uint32 at each of these places."""
    return data[at[:, None] + np.arange(4)].view("<u4")[:, 0] if len(at) else np.empty(0, np.uint32)


def _has_head(data: np.ndarray) -> bool:
    """Whether a record begins here, its length as its checksum says."""
    if len(data) < _HEAD:
        return False
    return bool(_stored(data, np.array([8]))[0] == masked_crc32c_of_many(data[:8], [0], [8])[0])
