"""What the index of a TensorFlow checkpoint says of each tensor, as messages in a sorted table.

The table's keys and values:

    ""                  BundleHeader: number of shards, byte order, version
    "name"              BundleEntry: dtype, shape, shard, offset, size, checksum; or the slices of a tensor
                        that a partitioner cut, each of which has an entry of its own under
    "\\0name … slice"    the name and the slice in an order-preserving code
"""

import math
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

from keras_bert.checkpoints.json_text import quoted
from keras_bert.checkpoints.protobuf_wire import Field, bytes_field, fixed32_field, int_field, parse
from keras_bert.checkpoints.safetensors_file import MAX_AXES
from keras_bert.checkpoints.sstable import DOWNLOAD_AGAIN
from keras_bert.errors import CheckpointError

# Strings are handed out as an object array of bytes.
STRING = np.dtype(object)
# TensorFlow's numbers (types.proto).
DTYPES = {
    1: np.dtype("<f4"), 2: np.dtype("<f8"), 3: np.dtype("<i4"), 4: np.dtype("u1"), 5: np.dtype("<i2"),
    6: np.dtype("i1"), 7: STRING, 8: np.dtype("<c8"), 9: np.dtype("<i8"), 10: np.dtype("?"),
    14: np.dtype(ml_dtypes.bfloat16), 17: np.dtype("<u2"), 18: np.dtype("<c16"), 19: np.dtype("<f2"),
    22: np.dtype("<u4"), 23: np.dtype("<u8"),
}  # fmt: skip
NUMBERS = {dtype: number for number, dtype in DTYPES.items() if dtype != STRING}
# The state of a tf.data iterator in a training checkpoint: it has a size, but no form outside TensorFlow.
VARIANT = 21
MAX_SHARDS = 4096
# Keeps the size of an empty tensor's other axes within what NumPy can multiply.
_MAX_EXTENT = 2**48

_HEADER = {1: Field("num_shards", "int"), 2: Field("endianness", "int"), 3: Field("version", "bytes")}
_VERSION = {1: Field("producer", "int"), 2: Field("min_consumer", "int")}
_ENTRY = {
    1: Field("dtype", "int"), 2: Field("shape", "bytes"), 3: Field("shard", "int"), 4: Field("offset", "int"),
    5: Field("size", "int"), 6: Field("checksum", "fixed32"), 7: Field("slices", "bytes", repeated=True),
}  # fmt: skip
_SHAPE = {2: Field("axes", "bytes", repeated=True), 3: Field("unknown_rank", "int")}
_AXIS = {1: Field("size", "int")}
_SLICE = {1: Field("extents", "bytes", repeated=True)}
_EXTENT = {1: Field("start", "int"), 2: Field("length", "int")}
_OUR_VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one tensor, or one slice of it, lies. `dtype` is None for a variant."""

    dtype: np.dtype | None
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    slices: tuple[bytes, ...] = ()

    @property
    def dtype_name(self) -> str:
        return "variant" if self.dtype is None else self.dtype.name


def parse_header(value: bytes, where: str) -> int:
    """The number of shards that a header claims."""
    where = f"{where} (header)"
    header = parse(value, _HEADER, where)
    if header.get("endianness"):
        raise CheckpointError(
            "The checkpoint was written on a big-endian machine",
            where=where,
            expected="little-endian data",
            remedy="restore it there, and save it as safetensors",
        )
    needs = parse(header.get("version", b""), _VERSION, where).get("min_consumer", 0)
    if needs > _OUR_VERSION:
        raise CheckpointError(
            f"The checkpoint needs a reader of version {needs}", where=where, expected=f"{_OUR_VERSION}"
        )
    num_shards = header.get("num_shards", 0)
    if not 1 <= num_shards <= MAX_SHARDS:
        raise CheckpointError(
            f"The index claims {num_shards} data files", where=where, expected=f"1 to {MAX_SHARDS}"
        )
    return num_shards


def parse_entry(name: str, value: bytes, shards: list[tuple[Path, int]], where: str) -> Entry:
    """The entry of a tensor, if it agrees with itself and with the sizes of the data files.

    Args:
        name: str. For the message.
        value: bytes.
        shards: list of (path, size).
        where: str. The index file, for the message.

    Returns:
        Entry. One with slices says nothing yet of their existence: see `parse_slice`.
    """

    def refuse(what: str, expected: str = ""):
        raise CheckpointError(
            f"The tensor {quoted(name)} {what}", where=where, expected=expected, remedy=DOWNLOAD_AGAIN
        )

    fields = parse(value, _ENTRY, f"{where}, tensor {quoted(name)}")
    number, shape = fields.get("dtype", 0), _shape(fields.get("shape", b""), where)
    shard, offset, size = (fields.get(field, 0) for field in ("shard", "offset", "size"))
    if number not in DTYPES and number != VARIANT:
        refuse(f"has the dtype {number}", f"one of {', '.join(map(str, DTYPES))} of TensorFlow's types")
    dtype, slices = DTYPES.get(number), tuple(fields["slices"])
    if shape is None or math.prod(max(1, n) for n in shape) > _MAX_EXTENT:
        refuse("has a shape that is unknown, negative or too large", "sizes that fit the data files")
    if not 0 <= shard < len(shards):
        refuse(f"lies in the data file {shard}", f"one of {len(shards)}")
    file, file_size = shards[shard]
    if not 0 <= offset <= offset + size <= file_size:
        refuse(
            f"claims the bytes {offset} to {offset + size} of {file.name}",
            f"a range within its {file_size} bytes",
        )
    count = math.prod(shape)
    if slices:
        if size or not shape or dtype in (None, STRING):
            refuse("has slices, but is no tensor of numbers that is stored in slices only")
    elif dtype == STRING:
        if count and size < count + 4:
            refuse(f"claims {size} bytes", f"at least {count + 4} for {count} strings")
    elif dtype is not None and size != count * dtype.itemsize:
        refuse(f"claims {size} bytes", f"{count * dtype.itemsize} for {dtype.name} of shape {shape}")
    return Entry(dtype, shape, shard, offset, size, fields.get("checksum", 0), slices)


def entry_value(entry: Entry) -> bytes:
    """The message of an entry without slices, as TensorFlow writes it."""
    axes = b"".join(bytes_field(2, int_field(1, size)) for size in entry.shape)
    return b"".join(
        (
            int_field(1, NUMBERS[entry.dtype]),
            bytes_field(2, axes),
            int_field(3, entry.shard),
            int_field(4, entry.offset),
            int_field(5, entry.size),
            fixed32_field(6, entry.checksum),
        )
    )


def header_value() -> bytes:
    """The header of a checkpoint of one shard, as TensorFlow writes it."""
    return int_field(1, 1) + bytes_field(3, int_field(1, _OUR_VERSION))


def parse_slice(name: str, value: bytes, shape: tuple[int, ...], where: str) -> tuple[list[range], bytes]:
    """One slice of a tensor.

    Args:
        name: str.
        value: bytes. One of `Entry.slices`.
        shape: tuple of int. Of the whole tensor.
        where: str. The index file, for the message.

    Returns:
        Tuple (the range of each axis, the key that the slice's own entry has in the table).
    """
    where = f"{where}, tensor {quoted(name)}"
    extents = [parse(extent, _EXTENT, where) for extent in parse(value, _SLICE, where)["extents"]]
    starts = [extent.get("start", 0) for extent in extents]
    lengths = [extent.get("length", -1) for extent in extents]  # none: the whole axis
    ranges = [
        range(start, size if length == -1 else start + length)
        for start, length, size in zip(starts, lengths, shape, strict=False)
    ]
    inside = all(0 <= r.start < r.stop <= n for r, n in zip(ranges, shape, strict=False))
    if len(extents) != len(shape) or not inside or min(lengths, default=0) < -1:
        raise CheckpointError("A slice does not lie within the tensor", where=where, remedy=DOWNLOAD_AGAIN)
    escaped = name.encode().replace(b"\0", b"\0\xff")
    numbers = [number for extent in zip(starts, lengths, strict=True) for number in extent]
    return ranges, b"\0" + escaped + b"\0\1" + bytes([1, len(shape)]) + b"".join(map(_ordered, numbers))


def _shape(value: bytes, where: str) -> tuple[int, ...] | None:
    shape = parse(value, _SHAPE, where)
    if shape.get("unknown_rank") or len(shape["axes"]) > MAX_AXES:
        return None
    sizes = tuple(parse(axis, _AXIS, where).get("size", 0) for axis in shape["axes"])
    return sizes if min(sizes, default=0) >= 0 else None


def _ordered(value: int) -> bytes:
    """An integer of at least -1 in TensorFlow's code, whose bytes sort as the numbers do."""
    if value < 0:
        return b"\x7f"
    length = value.bit_length() // 7 + 1  # which the code repeats as so many leading ones
    return (((0xFF00 >> length) & 0xFF) << 8 * (length - 1) | value).to_bytes(length, "big")
