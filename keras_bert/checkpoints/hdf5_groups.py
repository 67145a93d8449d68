"""The links of an HDF5 group, in the three forms libhdf5 writes them: a table, messages, a heap.

before 1.8, and to this day unless asked otherwise    B-tree of nodes of entries, names in a local heap
since 1.8, up to eight links                          one message a link
since 1.8, more links                                 the same messages in a heap, found by a second B-tree
"""

import struct
from collections.abc import Iterable, Iterator

from keras_bert.checkpoints.hdf5_bytes import LINK, LINK_INFO, SYMBOL_TABLE, Hdf5Bytes
from keras_bert.checkpoints.hdf5_superblock import UNDEFINED
from keras_bert.checkpoints.json_text import quoted

MAX_NAME = 1024
_KINDS = {1: "a soft", 64: "an external"}
_CACHED_SOFT_LINK = 2
_LINKS_BY_NAME = 5  # the type of a second B-tree


def links_of(file: Hdf5Bytes, messages: Iterable[tuple[int, int, int]]) -> Iterator[tuple[str, int]]:
    """Yields (name, address) of every link of a group.

    Args:
        file: Hdf5Bytes.
        messages: the messages of its header.

    Raises:
        CheckpointError: a link that is not to an object of the file itself, or a damaged group.
    """
    for kind, at, size in messages:
        if kind == SYMBOL_TABLE:
            yield from _in_table(file, file.number(at, 8), file.number(at + 8, 8))
        elif kind == LINK:
            yield _link(file, file.take(at, size))
        elif kind == LINK_INFO:
            at += 2 + 8 * (file.number(at + 1, 1) & 1)
            heap, tree = file.number(at, 8), file.number(at + 8, 8)
            if heap != UNDEFINED:
                yield from _in_heap(file, heap, tree)


def _in_table(file: Hdf5Bytes, tree: int, heap: int) -> Iterator[tuple[str, int]]:
    file.once(heap, b"HEAP")
    names_length, names = file.number(heap + 8, 8), file.number(heap + 24, 8)
    file.take(names, names_length)
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if file.take(node, 4) == b"TREE":
            file.once(node)
            kind, _, count = struct.unpack("<BBH", file.take(node + 4, 4))
            if kind:
                file.refuse(f"The table at byte {node} is none of links")
            nodes += [file.number(node + 32 + 16 * i, 8) for i in range(count)]
            continue
        file.once(node, b"SNOD")
        for i in range(file.number(node + 6, 2)):
            name, address, cached = struct.unpack("<QQL", file.take(node + 8 + 40 * i, 20))
            name = _name(file, file.text(names + name, MAX_NAME))
            if cached == _CACHED_SOFT_LINK:
                _refuse_link(file, name, 1)
            yield name, address


def _in_heap(file: Hdf5Bytes, heap: int, tree: int) -> Iterator[tuple[str, int]]:
    file.once(heap, b"FRHP")
    blocks, offset_width, length_width = _heap_blocks(file, heap)
    for record in _records(file, tree):
        file.step()
        place = int.from_bytes(record[5 : 5 + offset_width], "little")
        length = int.from_bytes(record[5 + offset_width : 5 + offset_width + length_width], "little")
        block = next((b for b in blocks if b[0] <= place and place + length <= b[0] + b[1]), None)
        if record[4] or block is None:
            file.refuse(f"A link in the heap at byte {heap} lies outside of it")
        yield _link(file, file.take(block[2] + place - block[0], length))


def _heap_blocks(file: Hdf5Bytes, heap: int) -> tuple[list[tuple[int, int, int]], int, int]:
    """(offset in the heap, bytes, address) of every block, and how many bytes offsets and lengths have."""
    filters, max_object = struct.unpack("<xxHxL", file.take(heap + 5, 9))
    width, first, largest, bits, _, root, rows = struct.unpack("<HQQHHQH", file.take(heap + 110, 32))
    sizes_fit = 0 < first <= largest <= 2**32 and not (first & first - 1 or largest & largest - 1)
    if filters or not sizes_fit or not 0 < bits <= 64 or not 0 < width <= 64:
        file.refuse(f"The heap of links at byte {heap} is none that Keras writes")
    offset_width = (bits + 7) // 8
    length_width = (min(largest, max_object).bit_length() + 7) // 8
    if not rows:
        file.once(root, b"FHDB")
        return [(0, first, root)], offset_width, length_width
    file.once(root, b"FHIB")
    blocks, offset, at = [], 0, root + 13 + offset_width
    for row in range(rows):
        size = first << max(row - 1, 0)
        if size > largest:
            file.refuse(f"The heap of links at byte {heap} has several levels", "names of 500 KB at most")
        for _ in range(width):
            file.step()
            address = file.number(at, 8)
            if address != UNDEFINED:
                file.once(address, b"FHDB")
                blocks.append((offset, size, address))
            offset, at = offset + size, at + 8
    return blocks, offset_width, length_width


def _records(file: Hdf5Bytes, tree: int) -> Iterator[bytes]:
    """The records of a second B-tree."""
    file.once(tree, b"BTHD")
    kind, node_size, size, depth, _, root, count = struct.unpack("<BLHHHQH", file.take(tree + 5, 21))
    if kind != _LINKS_BY_NAME or size < 8 or node_size < 16 + size or depth > 4:
        file.refuse(f"The table of links at byte {tree} is none that Keras writes")
    # How many records a node of each level and of all below it may have decides how wide the counts are.
    most = below = (node_size - 10) // size
    counts = [(0, 0)]
    for level in range(1, depth + 1):
        widths = _width(most), _width(below) if level > 1 else 0
        most_here = (node_size - 10 - 8 - sum(widths)) // (size + 8 + sum(widths))
        counts.append(widths)
        most, below = most_here, (most_here + 1) * below + most_here
    nodes = [(root, count, depth)]
    while nodes:
        at, count, level = nodes.pop()
        if at == UNDEFINED and not count:
            continue
        file.once(at, b"BTIN" if level else b"BTLF")
        if 6 + count * size > node_size:
            file.refuse(f"The table of links at byte {at} has {count} records", "as many as fit its node")
        for i in range(count):
            yield file.take(at + 6 + i * size, size)
        pointer, (one, all_below) = at + 6 + count * size, counts[level]
        for _ in range(count + 1 if level else 0):
            nodes.append((file.number(pointer, 8), file.number(pointer + 8, one), level - 1))
            pointer += 8 + one + all_below


def _width(number: int) -> int:
    return (number.bit_length() + 7) // 8


def _link(file: Hdf5Bytes, message: bytes) -> tuple[str, int]:
    """The link that a message describes."""
    flags = message[1] if len(message) > 1 else 0
    at, kind = 2, 0
    if flags & 8:
        kind, at = message[2] if len(message) > 2 else 255, 3
    at += 8 * (flags >> 2 & 1) + (flags >> 4 & 1)
    width = 1 << (flags & 3)
    length = int.from_bytes(message[at : at + width], "little")
    name, target = message[at + width : at + width + length], message[at + width + length :]
    if kind:
        _refuse_link(file, name, kind)
    if message[:1] != b"\1" or len(name) != length or len(target) < 8:
        file.refuse("A link is not described")
    return _name(file, name), int.from_bytes(target[:8], "little")


def _name(file: Hdf5Bytes, name: bytes) -> str:
    try:
        decoded = name.decode("utf-8")
    except UnicodeDecodeError:
        decoded = ""
    if decoded in ("", ".", "..") or set(decoded) & set("/\0"):
        file.refuse(f"There is an object called {quoted(name)}", "a name in UTF-8, without /")
    return decoded


def _refuse_link(file: Hdf5Bytes, name, kind: int):
    file.refuse(
        f"{quoted(name)} is {_KINDS.get(kind, 'an unknown kind of')} link",
        "every dataset in the file itself, as Keras writes it",
        "do not use the file: links may read other files",
    )
