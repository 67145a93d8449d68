"""Protocol buffers' wire format, as much of it as `tf.train.Example` needs, written and read in NumPy.

Example  = Features(1);  Features = entry(1) ...;  entry = name(1), Feature(2)
Feature  = bytes(1) | float(2) | int64(3), each a list: value(1) ..., numbers packed or one by one
"""

import functools
import itertools

import numpy as np

from keras_bert.errors import DataError
from keras_bert.files.varint import varint

BYTES, FLOAT, INT64 = 1, 2, 3  # the fields of Feature
KINDS = {BYTES: "bytes", FLOAT: "float", INT64: "int64"}
EMPTY = {BYTES: np.empty(0, np.uint8), FLOAT: np.empty(0, np.float32), INT64: np.empty(0, np.int64)}
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_BLOCK = 2**15  # so many numbers or bytes at a time stay in a cache


def varints(values: np.ndarray, starts: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Integers in their variable-length form, end to end.

    Args:
        values: int array (K,).
        starts: int array (N + 1,). Borders between the records' values.
    Returns:
        bytes; and int64 array (N + 1,), the borders in them.
    """
    blocks = [_varints(values[i : i + _BLOCK]) for i in range(0, len(values), _BLOCK)]
    ends = np.concatenate([[0], *(sizes for _, sizes in blocks)]).cumsum()
    return b"".join([text for text, _ in blocks]), ends[starts]


def _varints(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    """The bytes, and the size of each: a row of bytes for each value, of which the last ones may be none."""
    rest = values.astype(np.int64).view(np.uint64)
    largest = int(rest.max())
    rest = rest.astype(np.uint32) if largest < 2**32 else rest
    width = max(1, -(-largest.bit_length() // 7))
    rows, is_used = np.empty((len(rest), width), np.uint8), np.ones((len(rest), width), bool)
    sizes = np.ones(len(rest), np.int64)
    for place in range(width):
        rows[:, place] = rest & 0x7F
        rest = rest >> 7
        if place < width - 1:
            goes_on = rest != 0
            rows[:, place] |= goes_on.view(np.uint8) << 7
            is_used[:, place + 1] = goes_on
            sizes += goes_on
    return np.compress(is_used.ravel(), rows.ravel()).tobytes(), sizes


@functools.lru_cache(maxsize=2**16)
def feature_head(name: str, kind: int, size: int) -> bytes:
    """What stands before the `size` bytes of a feature's values: packed numbers, or one bytes value."""
    inner = b"\x0a" + varint(size)
    key = name.encode()
    for tag in (bytes([kind << 3 | LENGTH]), b"\x12"):
        inner = tag + varint(len(inner) + size) + inner
    inner = b"\x0a" + varint(len(key)) + key + inner
    return b"\x0a" + varint(len(inner) + size) + inner


def example(parts: list[bytes]) -> bytes:
    """A record of its features, each a head and its values."""
    features = b"".join(parts)
    return b"\x0a" + varint(len(features)) + features


def read_varints(data: np.ndarray, borders: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """The integers that stand end to end in bytes.

    Args:
        data: uint8 array.
        borders: int array (N + 1,). Borders between the records' bytes.
    Returns:
        int array (K,); int64 array (N + 1,), the borders in it; and whether none of them crosses a border,
        is cut, or has more than 64 bits.
    """
    ends = borders[borders > 0] - 1
    if (data[ends] >= 0x80).any():
        return EMPTY[INT64], np.zeros_like(borders), False
    # Blocks of whole records, as small as these allow.
    cuts = np.searchsorted(borders, np.arange(0, len(data), _BLOCK))
    cuts = np.unique(np.append(borders[cuts], len(data))).tolist()
    values, last = [np.empty(0, np.int32)], [EMPTY[INT64]]
    for begin, end in itertools.pairwise(cuts):
        block = _read_varints(data[begin:end])
        if block is None:
            return EMPTY[INT64], np.zeros_like(borders), False
        values.append(block[0])
        last.append(block[1] + begin)
    return np.concatenate(values), np.searchsorted(np.concatenate(last), borders), True


def _read_varints(data: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The integers, and where each ends; None where one has more than 64 bits."""
    goes_on = data >= 0x80
    low = (data & 0x7F).astype(np.int32)
    values, place, has_more = low.copy(), 1, goes_on[:-1]
    while has_more.any():  # each byte in turn takes up the one `place` before it, if both are of one integer
        if place == 4:
            low, values = low.astype(np.int64), values.astype(np.int64)
        if place > 9 or (place == 9 and (data[9:][has_more & ~goes_on[9:]] > 1).any()):
            return None
        # No `where`: its branches, taken at random, would cost several times as much.
        values[place:] = values[place:] << (has_more * np.int8(7)) | low[:-place] * has_more
        place += 1
        has_more = has_more[1:] & goes_on[:-place]
    last = np.flatnonzero(~goes_on)
    return values.take(last), last


# One record at a time: slow, but whatever is valid is read


def parse_example(data: bytes, where: str) -> dict[str, tuple[int, np.ndarray]]:
    """The features of one record.

    Args:
        data: bytes.
        where: str. The record, for the message.
    Returns:
        dict of name to (kind, values); several values of bytes are put end to end.
    Raises:
        DataError: it is no Example.
    """
    result = {}
    for features in _values(data, 1, where):
        for entry in _values(features, 1, where):
            name = b"".join(_values(entry, 1, where)[-1:])
            try:
                key = name.decode()
            except UnicodeDecodeError:
                raise _no_example("the name of a feature is no UTF-8", where) from None
            kind, values = _feature(b"".join(_values(entry, 2, where)), where)
            result.pop(key, None)
            if kind:
                result[key] = kind, values
    return result


def _feature(data: bytes, where: str) -> tuple[int, np.ndarray]:
    """The kind and values of a Feature; kind 0 where it has none. Of two kinds the later one holds."""
    kind, lists = 0, []
    for number, wire_type, value in _fields(data, where):
        if wire_type == LENGTH and number in KINDS:
            kind, lists = number, [*lists, value] if number == kind else [value]
    if not kind:
        return 0, EMPTY[BYTES]
    values = [_numbers(kind, *field, where) for field in _fields(b"".join(lists), where) if field[0] == 1]
    return kind, np.concatenate([EMPTY[kind], *values])


def _numbers(kind: int, _, wire_type: int, value, where: str) -> np.ndarray:
    """The values in one field of a list, packed or not."""
    if kind == BYTES and wire_type == LENGTH:
        return np.frombuffer(value, np.uint8)
    if kind == FLOAT and wire_type in (FIXED32, LENGTH):
        if len(value) % 4:
            raise _no_example("its floats are cut", where)
        return np.frombuffer(value, "<f4")
    if kind == INT64 and wire_type == VARINT:
        return np.array([value], np.uint64).view(np.int64)
    if kind == INT64 and wire_type == LENGTH:
        values, _, is_valid = read_varints(np.frombuffer(value, np.uint8), np.array([0, len(value)]))
        if not is_valid:
            raise _no_example("an integer is cut off or longer than 64 bits", where)
        return values
    return EMPTY[kind]


def _values(data: bytes, wanted: int, where: str) -> list[bytes]:
    """What the fields of one number hold, of those with a length."""
    return [v for number, wire_type, v in _fields(data, where) if number == wanted and wire_type == LENGTH]


def _fields(data: bytes, where: str):
    """Yields (number, wire type, value) of every field of a message."""
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position, where)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 2**29 or wire_type not in (VARINT, FIXED64, LENGTH, FIXED32):
            raise _no_example(f"it has a field {number} of wire type {wire_type}", where)
        if wire_type == VARINT:
            value, position = _read_varint(data, position, where)
        else:
            size = {FIXED64: 8, FIXED32: 4}.get(wire_type)
            if size is None:
                size, position = _read_varint(data, position, where)
            if size > len(data) - position:
                raise _no_example("a field is longer than what holds it", where)
            value = data[position : position + size]
            position += size
        yield number, wire_type, value


def _read_varint(data: bytes, position: int, where: str) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80 and value < 2**64:
            return value, position + place + 1
    raise _no_example("an integer is cut off or longer than 64 bits", where)


def _no_example(what: str, where: str) -> DataError:
    return DataError(
        f"This is no valid record: {what}",
        where=where,
        expected="a tf.train.Example",
        remedy="name files of pretraining records, or build them again",
    )
