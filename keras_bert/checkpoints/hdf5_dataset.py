"""What the header of an HDF5 dataset says: its dtype, its shape, and where its numbers lie."""

import math
import struct
from collections.abc import Iterable

import ml_dtypes
import numpy as np

from keras_bert.checkpoints.hdf5_bytes import DATASPACE, DATATYPE, EXTERNAL_FILES, FILTERS, LAYOUT, Hdf5Bytes
from keras_bert.checkpoints.hdf5_place import KNOWN_FILTERS, Place
from keras_bert.checkpoints.hdf5_superblock import UNDEFINED
from keras_bert.checkpoints.json_text import quoted

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
# How many times its size a compressed file may claim to be; weights shrink to a half at best.
MAX_RATIO = 100
MAX_AXES = 32  # HDF5's limit

_FIXED, _FLOAT, _OPAQUE = 0, 1, 5
_CLASSES = ("integer", "float", "time", "string", "bit field", "opaque", "compound", "reference",
            "enumeration", "variable length", "array")  # fmt: skip
_COMPACT, _CONTIGUOUS, _CHUNKED, _VIRTUAL = range(4)
# Sign's bit, bytes, bits, then the exponent's and the mantissa's place and length, the exponent's bias.
_FLOATS = {
    (63, 8, 64, 52, 11, 0, 52, 1023): np.dtype("<f8"),
    (31, 4, 32, 23, 8, 0, 23, 127): np.dtype("<f4"),
    (15, 2, 16, 10, 5, 0, 10, 15): np.dtype("<f2"),
    (15, 2, 16, 7, 8, 0, 7, 127): BFLOAT16,
}
_ELSEWHERE = "do not use the file: it reads other files"


def place_of(file: Hdf5Bytes, name: str, messages: Iterable[tuple[int, int, int]]) -> Place:
    """Where a dataset's numbers lie.

    Args:
        file: Hdf5Bytes.
        name: str. The dataset's path, for messages.
        messages: the messages of its header.

    Raises:
        CheckpointError: no plain array of numbers inside the file.
    """
    found = {}
    for kind, at, size in messages:
        if kind in found:
            file.refuse(f"{quoted(name)} is described twice")
        found[kind] = at, size
    if EXTERNAL_FILES in found:
        file.refuse(f"The numbers of {quoted(name)} lie in another file", "numbers in the file", _ELSEWHERE)
    if not {DATASPACE, DATATYPE, LAYOUT} <= found.keys():
        file.refuse(f"{quoted(name)} is not described", "a datatype, a dataspace and a layout")
    dtype = _dtype(file, name, *found[DATATYPE])
    shape = _shape(file, name, *found[DATASPACE])
    filters = _filters(file, name, *found[FILTERS]) if FILTERS in found else ()
    return _layout(file, name, found[LAYOUT][0], dtype, shape, filters)


def _dtype(file: Hdf5Bytes, name: str, at: int, size: int) -> np.dtype:
    head, bits, num_bytes = struct.unpack("<B3sL", file.take(at, 8))
    kind, little_endian = head & 15, not bits[0] & 1
    if kind == _FLOAT and little_endian and bits[0] & 0x70 == 0x20 and size >= 20:  # an implied leading 1
        start, *form = struct.unpack("<HH4BL", file.take(at + 8, 12))
        dtype = _FLOATS.get((bits[1], num_bytes, *form))
        if dtype is not None and start == 0:
            return dtype
    if kind == _FIXED and little_endian and not bits[0] & 6 and size >= 12:
        start, precision = struct.unpack("<HH", file.take(at + 8, 4))
        if num_bytes in (1, 2, 4, 8) and (start, precision) == (0, 8 * num_bytes):
            return np.dtype(f"<{'i' if bits[0] & 8 else 'u'}{num_bytes}")
    if kind == _OPAQUE and num_bytes == 2:  # so h5py stores NumPy's bfloat16, which libhdf5 does not know
        return BFLOAT16
    called = _CLASSES[kind] if kind < len(_CLASSES) else "unknown"
    file.refuse(
        f"{quoted(name)} holds elements of the class {called}, {num_bytes} bytes each",
        "integers of 1 to 8 bytes, float16, bfloat16, float32 or float64, little-endian",
        "this is no weight file of Keras, or holds strings as well: save the weights alone",
    )


def _shape(file: Hdf5Bytes, name: str, at: int, size: int) -> tuple[int, ...]:
    version, rank, _, kind = file.take(at, 4)
    is_null = version == 2 and kind == 2
    start = at + (8 if version == 1 else 4)
    if version not in (1, 2) or is_null or rank > MAX_AXES or start + 8 * rank > at + size:
        file.refuse(f"{quoted(name)} has no shape")
    shape = struct.unpack(f"<{rank}Q", file.take(start, 8 * rank))
    if not all(0 < n <= MAX_RATIO * file.size for n in shape):
        file.refuse(f"{quoted(name)} has the shape {quoted(shape)}", "positive sizes that fit the file")
    return shape


def _filters(file: Hdf5Bytes, name: str, at: int, size: int) -> tuple[int, ...]:
    version, count = file.take(at, 2)
    place, found = at + (8 if version == 1 else 2), []
    for _ in range(min(count, 4)):
        code = file.number(place, 2)
        found.append(code)
        has_name = version == 1 or code >= 256
        name_length = file.number(place + 2, 2) if has_name else 0
        place += 4 if has_name else 2
        num_values = file.number(place + 2, 2)
        place += 4 + name_length + 4 * num_values + (4 * (num_values % 2) if version == 1 else 0)
    if tuple(found) not in KNOWN_FILTERS or place > at + size:
        file.refuse(
            f"{quoted(name)} went through the filters number {', '.join(map(str, found))}",
            "gzip (1), shuffle (2) or none",
            "save it again without compression, with the library that wrote it",
        )
    return tuple(found)


def _layout(file: Hdf5Bytes, name: str, at: int, dtype, shape, filters) -> Place:
    version, kind = file.take(at, 2)
    if version not in (3, 4) or kind > _VIRTUAL or (kind == _CHUNKED and version == 4):
        file.refuse(
            f"{quoted(name)} is stored in the layout {kind} of version {version}",
            "numbers in one piece, or chunks in libhdf5's default form",
            "save it again without compression, with the library that wrote it",
        )
    if kind == _VIRTUAL:
        file.refuse(f"The numbers of {quoted(name)} lie in other datasets", "numbers of its own", _ELSEWHERE)
    if kind == _CHUNKED:
        return _chunked(file, name, at, dtype, shape, filters)
    if kind == _COMPACT:
        begin, length = at + 4, file.number(at + 2, 2)
    else:
        begin, length = file.number(at + 2, 8), file.number(at + 10, 8)
    needed = math.prod(shape) * dtype.itemsize
    if filters or begin + needed > file.size or length != needed:
        file.refuse(
            f"{quoted(name)} has {length} bytes at {'no place' if begin == UNDEFINED else begin}",
            f"{needed} bytes for {dtype} of shape {shape} within the file's {file.size}",
        )
    return Place(dtype, shape, (), (), (((0,) * len(shape), 0, begin, length),))


def _chunked(file: Hdf5Bytes, name: str, at: int, dtype, shape, filters) -> Place:
    rank = len(shape)
    axes, tree = struct.unpack("<BQ", file.take(at + 2, 9))
    *chunk, itemsize = struct.unpack(f"<{rank + 1}L", file.take(at + 11, 4 * rank + 4))
    if axes != rank + 1 or itemsize != dtype.itemsize or not rank or not all(chunk):
        file.refuse(f"{quoted(name)} has chunks of another shape or dtype than it has itself")
    num_chunks = math.prod(-(-n // step) for n, step in zip(shape, chunk, strict=True))
    pieces, nodes = [], [] if tree == UNDEFINED else [tree]
    while nodes:
        node = nodes.pop()
        file.once(node, b"TREE")
        kind, level, count = struct.unpack("<BBH", file.take(node + 4, 4))
        if kind != 1:
            file.refuse(f"The table at byte {node} is none of chunks")
        for i in range(count):
            file.step()
            key = node + 24 + i * (8 + 8 * (rank + 1) + 8)
            length, left_out, *corner = struct.unpack(f"<LL{rank}Q", file.take(key, 8 + 8 * rank))
            child = file.number(key + 8 + 8 * (rank + 1), 8)
            if level:
                nodes.append(child)
            else:
                pieces.append((tuple(corner), left_out, child, length))
    is_grid = len({piece[0] for piece in pieces}) == len(pieces) == num_chunks and all(
        place % step == 0 and place < n
        for corner, *_ in pieces
        for place, step, n in zip(corner, chunk, shape, strict=True)
    )
    if not is_grid or any(begin + length > file.size for _, _, begin, length in pieces):
        file.refuse(f"{quoted(name)} has {len(pieces)} chunks", f"{num_chunks}, each once and in the file")
    return Place(dtype, shape, tuple(chunk), filters, tuple(pieces))
