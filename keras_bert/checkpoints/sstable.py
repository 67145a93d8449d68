"""Sorted tables of byte strings, the form of a TensorFlow checkpoint's index (LevelDB's table format).

A table is a row of blocks, each followed by its compression (one byte) and its masked CRC-32C (four):

    data block … data block | meta block | index block | footer (48 bytes)

A data block holds pairs of key and value in the order of the keys, each key without what it shares with the
key before it; every so often, at a restart, a key stands in full. The block ends with the offsets of its
restarts and their count. The index block is of the same form: for each data block a key that is not below
its last one, and where the block lies. The footer holds where the meta block (here empty) and the index block
lie.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from keras_bert.checkpoints.protobuf_wire import read_varint, varint
from keras_bert.errors import CheckpointError
from keras_bert.files.crc32c import masked_crc32c

MAGIC = bytes.fromhex("57fb808b247547db")
# BERT-large with Adam's moments has 1,200 tensors, in a table of 90 KB. Keys share their beginnings, so a few
# bytes of a hostile table could stand for a long key each: the sum of all keys is bounded, too.
MAX_TABLE_BYTES, MAX_PAIRS, MAX_KEY_BYTES = 2**20, 10_000, 2**23
# TensorFlow's own sizes, so that a table of ours is the table it would have written.
BLOCK_BYTES, RESTART_EVERY = 2**18, 16
DOWNLOAD_AGAIN = "the file is cut or damaged: copy or download it again"

_FOOTER_BYTES, _TRAILER_BYTES = 48, 5
_COMPRESSIONS = {1: "Snappy", 2: "zlib", 4: "Zstandard"}


def read_table(data: bytes, where: str) -> list[tuple[bytes, bytes]]:
    """Every pair of a table, in the order of the keys.

    Args:
        data: bytes. The whole file.
        where: str. The file, for the message.

    Returns:
        List of (key, value); no key stands there twice.

    Raises:
        CheckpointError: it is cut, damaged, compressed, too large, or no such table.
    """
    if len(data) < _FOOTER_BYTES or not data.endswith(MAGIC):
        raise CheckpointError(
            "This is no index of a TensorFlow checkpoint, or its end is missing",
            where=where,
            expected=f"at least {_FOOTER_BYTES} bytes that end in {MAGIC.hex(' ')}",
            remedy=DOWNLOAD_AGAIN,
        )
    if len(data) > MAX_TABLE_BYTES:
        raise CheckpointError(
            f"The index has {len(data)} bytes", where=where, expected=f"at most {MAX_TABLE_BYTES} bytes"
        )
    footer = data[-_FOOTER_BYTES:]
    meta, position = _handle(footer, 0, where)
    index, _ = _handle(footer, position, where)
    bounds = _in_order(_pairs(_block(data, index, where), where), where)
    handles = [_handle(value, 0, where)[0] for _, value in bounds]
    _refuse_gaps([*handles, meta, index], len(data) - _FOOTER_BYTES, where)
    for _ in _pairs(_block(data, meta, where), where):
        raise CheckpointError("The meta block holds something", where=where, expected="an empty one")
    return _in_order(_within_bounds(data, bounds, handles, where), where)


def write_table(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The table of pairs whose keys ascend, byte for byte as TensorFlow writes it.

    Args:
        pairs: iterable of (key, value), at least one.

    Returns:
        bytes.
    """
    table, index, block = bytearray(), _BlockWriter(1), _BlockWriter(RESTART_EVERY)
    handle, last = None, b""
    for key, value in pairs:
        if handle is not None:
            index.add(_between(last, key), handle)
            handle = None
        block.add(key, value)
        last = key
        if block.size >= BLOCK_BYTES:
            handle, block = _append(table, block), _BlockWriter(RESTART_EVERY)
    index.add(_behind(last), handle or _append(table, block))
    footer = _append(table, _BlockWriter(RESTART_EVERY)) + _append(table, index)
    return bytes(table) + footer.ljust(_FOOTER_BYTES - len(MAGIC), b"\0") + MAGIC


def _handle(data: bytes, position: int, where: str) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, as they stand at a position, and the position behind them."""
    offset, position = read_varint(data, position, where)
    size, position = read_varint(data, position, where)
    return (offset, size), position


def _refuse_gaps(handles: list[tuple[int, int]], end: int, where: str):
    position = 0
    for offset, size in handles:
        if offset != position or size > end - position:
            raise CheckpointError(
                f"A block of {size} bytes at byte {offset} follows one that ends at {position}",
                where=where,
                expected="blocks end to end",
                remedy=DOWNLOAD_AGAIN,
            )
        position = offset + size + _TRAILER_BYTES
    if position != end:
        raise CheckpointError(
            f"The last block ends at byte {position}", where=where, expected=f"{end}", remedy=DOWNLOAD_AGAIN
        )


def _block(data: bytes, handle: tuple[int, int], where: str) -> bytes:
    """The contents of a block whose checksum is right."""
    offset, size = handle
    end = offset + size
    if end + _TRAILER_BYTES > len(data):
        raise CheckpointError(
            f"A block claims the bytes {offset} to {end} of {len(data)}", where=where, remedy=DOWNLOAD_AGAIN
        )
    if masked_crc32c(data[offset : end + 1]) != int.from_bytes(data[end + 1 : end + 5], "little"):
        raise CheckpointError(
            f"The checksum of the block at byte {offset} is wrong", where=where, remedy=DOWNLOAD_AGAIN
        )
    if data[end]:
        name = _COMPRESSIONS.get(data[end], f"number {data[end]}")
        raise CheckpointError(
            f"The index is compressed ({name})",
            where=where,
            expected="an uncompressed one, as TensorFlow writes it",
            remedy="restore the checkpoint with the program that wrote it, and save it with TensorFlow",
        )
    return data[offset:end]


def _pairs(block: bytes, where: str) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of one block, as they stand there."""
    count = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (count + 1)
    if end < 0 or not count:
        raise CheckpointError(f"A block of {len(block)} bytes with {count} restarts", where=where)
    restarts = set(np.frombuffer(block[end:-4], "<u4").tolist())
    position, key = 0, b""
    while position < end:
        start = position
        shared, position = read_varint(block, position, where)
        more, position = read_varint(block, position, where)
        length, position = read_varint(block, position, where)
        if shared > len(key) or more + length > end - position:
            raise CheckpointError(f"The key at byte {start} of a block is damaged", where=where)
        if not shared:
            restarts.discard(start)
        key = key[:shared] + block[position : position + more]
        position += more + length
        yield key, block[position - length : position]
    if restarts - {0}:
        raise CheckpointError("A block has a restart where no key begins", where=where)


def _in_order(pairs: Iterable[tuple[bytes, bytes]], where: str) -> list[tuple[bytes, bytes]]:
    """The pairs as a list, if they are not too many and their keys ascend."""
    result, key_bytes = [], 0
    for key, value in pairs:
        if result and key <= result[-1][0]:
            raise CheckpointError("The names are not in order", where=where, remedy=DOWNLOAD_AGAIN)
        result.append((key, value))
        key_bytes += len(key)
        if len(result) > MAX_PAIRS or key_bytes > MAX_KEY_BYTES:
            raise CheckpointError(
                "The index holds too much",
                where=where,
                expected=f"at most {MAX_PAIRS} tensors with {MAX_KEY_BYTES} bytes of names",
            )
    return result


def _within_bounds(data: bytes, bounds, handles, where: str) -> Iterator[tuple[bytes, bytes]]:
    """The pairs of all blocks, if each is within its block's bounds: by these TensorFlow finds a key."""
    below = None
    for (bound, _), handle in zip(bounds, handles, strict=True):
        for key, value in _pairs(_block(data, handle, where), where):
            if key > bound or (below is not None and key <= below):
                raise CheckpointError("A block lies out of its bounds", where=where, remedy=DOWNLOAD_AGAIN)
            yield key, value
        below = bound


class _BlockWriter:
    """Collects pairs, each key without what it shares with the one before."""

    def __init__(self, restart_every: int):
        self._every, self._count = restart_every, 0
        self._bytes, self._restarts, self._last = bytearray(), [0], b""

    @property
    def size(self) -> int:
        return len(self._bytes) + 4 * len(self._restarts) + 4

    def add(self, key: bytes, value: bytes):
        shared = 0
        if self._count and self._count % self._every == 0:
            self._restarts.append(len(self._bytes))
        else:
            shared = _shared(self._last, key)
        self._bytes += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        self._last = key
        self._count += 1

    def contents(self) -> bytes:
        numbers = [*self._restarts, len(self._restarts)]
        return bytes(self._bytes) + np.array(numbers, "<u4").tobytes()


def _append(table: bytearray, block: _BlockWriter) -> bytes:
    """Writes a block behind the others and returns its handle."""
    contents, offset = block.contents(), len(table)
    table += contents + b"\0" + masked_crc32c(contents + b"\0").to_bytes(4, "little")
    return varint(offset) + varint(len(contents))


def _shared(one: bytes, other: bytes) -> int:
    """The length of the common beginning."""
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return length


def _between(last: bytes, following: bytes) -> bytes:
    """A key as short as TensorFlow makes it, not below `last` and below the key that follows."""
    place = _shared(last, following)
    if place < min(len(last), len(following)) and last[place] + 1 < following[place]:
        return last[:place] + bytes([last[place] + 1])
    return last


def _behind(last: bytes) -> bytes:
    """A key as short as TensorFlow makes it, not below the last of all."""
    place = next((place for place, byte in enumerate(last) if byte != 0xFF), None)
    return last if place is None else last[:place] + bytes([last[place] + 1])
