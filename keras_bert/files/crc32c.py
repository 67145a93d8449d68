"""CRC-32C, the checksum of TensorFlow's files, in NumPy: some hundred megabytes a second.

A checksum is the remainder of the data, read as one long polynomial over GF(2), so it is linear: to put n
zero bytes behind some data multiplies its register by a fixed matrix, and registers of data that stand at the
same place are added with XOR. The words of a long array are therefore laid out as rows of L words and the
rows added up, each sum moved one row onwards before the next is added (all L columns side by side, by table);
the one row that is left is halved until it is a single word.
"""

import functools

import numpy as np

_POLYNOMIAL = 0x82F63B78  # of Castagnoli, bits reversed
# L at most: enough words to hide NumPy's cost per call, few enough for the row and the tables to fit a cache.
_WIDEST_ROW = 2**14
# Stretches that are summed at a time: their registers and what is read of the data fit a cache.
_SIDE_BY_SIDE = 4096
_MASK_DELTA = 0xA282EAD8
_BYTES = np.arange(256, dtype=np.uint32)


def crc32c(data) -> int:
    """The CRC-32C of bytes.

        crc32c(b"123456789") -> 0xE3069283

    Args:
        data: bytes, memoryview or array of uint8.

    Returns:
        int.
    """
    data = np.frombuffer(data, np.uint8)
    odd, register = len(data) % 4, 0xFFFFFFFF
    for byte in data[:odd].tolist():
        register = register >> 8 ^ int(_byte_table()[register & 0xFF ^ byte])
    words = data[odd:].view("<u4")
    if len(words):
        # Zeros before the data change nothing, as long as the register stands where the data begin.
        width = min(_WIDEST_ROW, 1 << (len(words) - 1).bit_length())
        first = (len(words) - 1) % width + 1
        row = np.zeros(width, np.uint32)
        row[-first:] = words[:first]
        row[-first] ^= register
        register = _remainder(row, words[first:].reshape(-1, width))
    return register ^ 0xFFFFFFFF


def masked_crc32c(data) -> int:
    """The form in which TensorFlow stores a checksum, so that data with checksums can be summed again."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _remainder(row: np.ndarray, rows: np.ndarray) -> int:
    """The register after `row` and the words of `rows` that follow it."""
    width = len(row)
    if len(rows):
        low, high = _wide_tables(4 * width)
        for words in rows:
            row = low.take(row & 0xFFFF) ^ high.take(row >> 16) ^ words
    while width > 1:
        width //= 2
        row = _advance(row[:width], 4 * width) ^ row[width:]
    return int(_advance(row, 4)[0])


def _advance(registers: np.ndarray, distance: int) -> np.ndarray:
    """Each register `distance` zero bytes later."""
    tables = _tables(distance)
    result = tables[0].take(registers & 0xFF)
    for place in (1, 2, 3):
        result ^= tables[place].take(registers >> 8 * place & 0xFF)
    return result


@functools.cache
def _tables(distance: int) -> np.ndarray:
    """What `distance` zero bytes make of each byte at each of the four places of a register: uint32 (4, 256).

    Args:
        distance: int. A power of two.
    """
    if distance == 1:
        return np.stack([_byte_table(), _BYTES, _BYTES << 8, _BYTES << 16])
    half = distance // 2
    return np.stack([_advance(_advance(_BYTES << 8 * place, half), half) for place in range(4)])


@functools.cache
def _wide_tables(distance: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for the low and the high 16 bits of a register: two look-ups a word in place of four."""
    halves = np.arange(2**16, dtype=np.uint32)
    return _advance(halves, distance), _advance(halves << 16, distance)


@functools.cache
def _byte_table() -> np.ndarray:
    table = _BYTES
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ _POLYNOMIAL, table >> 1).astype(np.uint32)
    return table


def crc32c_of_many(data, begins, ends) -> np.ndarray:
    """The CRC-32C of many stretches of one array, side by side: the fast way where each of them is short.

    Args:
        data: bytes, memoryview or array of uint8.
        begins: int array (N,). Where in the data each stretch begins.
        ends: int array (N,). Where it ends, which is no smaller.

    Returns:
        uint32 array (N,).
    """
    data = np.frombuffer(data, np.uint8)
    data = data.copy() if data.ctypes.data % 4 else data
    begins, ends = np.asarray(begins, np.int64), np.asarray(ends, np.int64)
    result = np.zeros(len(begins), np.uint32)
    num_words = ends // 4 - begins // 4
    for i in np.flatnonzero(num_words > _WIDEST_ROW):
        result[i] = crc32c(data[begins[i] : ends[i]])
    # Those with the most words first: the ones that still have words left then stand together at the front.
    order = np.argsort(-num_words, kind="stable")[np.count_nonzero(num_words > _WIDEST_ROW) :]
    for first in range(0, len(order), _SIDE_BY_SIDE):
        block = order[first : first + _SIDE_BY_SIDE]
        result[block] = _crcs(data, begins[block], ends[block])
    return result


def masked_crc32c_of_many(data, begins, ends) -> np.ndarray:
    """`crc32c_of_many` in the form in which TensorFlow stores checksums."""
    crcs = crc32c_of_many(data, begins, ends)
    return (crcs >> 15 | crcs << 17) + np.uint32(_MASK_DELTA)


def _crcs(data: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The CRCs of stretches that are sorted by the number of aligned words they reach into, most first."""
    words = data[: len(data) // 4 * 4].view("<u4")
    low, high = _wide_tables(4)
    first, last = begins // 4, ends // 4
    registers = np.zeros(len(begins), np.uint32)
    num_words = last - first
    still = np.searchsorted(-num_words, -np.arange(num_words[0]))  # how many have a word of this number
    for place, count in enumerate(still.tolist()):
        row = words[place:].take(first[:count])
        if place == 0:  # what stands before the stretch becomes zeros, which change nothing
            foreign = (begins[:count] % 4 * 8).astype(np.uint32)
            row = row >> foreign << foreign
        row ^= registers[:count]
        registers[:count] = low.take(row & 0xFFFF) ^ high.take(row >> 16)
    for place in range(3):  # the bytes behind the last whole word
        at = last * 4 + place
        byte = data.take(at, mode="clip") if len(data) else np.uint8(0)
        moved = registers >> 8 ^ _byte_table().take(registers & 0xFF ^ byte)
        registers = np.where((at >= begins) & (at < ends), moved, registers)
    # The register that the standard begins with, as far onwards as the stretch is long.
    initial, lengths = np.full(len(begins), 0xFFFFFFFF, np.uint32), ends - begins
    for power in range(int(lengths.max()).bit_length()):
        initial = np.where(lengths >> power & 1, _advance(initial, 1 << power), initial)
    return registers ^ initial ^ np.uint32(0xFFFFFFFF)
