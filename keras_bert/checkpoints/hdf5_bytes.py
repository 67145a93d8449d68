"""An HDF5 file as bytes: every look at it stays inside, and the whole of them has an end.

Whatever in the file says where something lies is followed once at most and counted, so that a file that
leads round in circles, or the same way again and again, is refused instead of read for ever.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from keras_bert.checkpoints.hdf5_superblock import DOWNLOAD_AGAIN
from keras_bert.errors import CheckpointError

# Messages of a header, of those that are read.
DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES, LAYOUT = 1, 2, 3, 6, 7, 8
FILTERS, CONTINUATION, SYMBOL_TABLE = 0xB, 0x10, 0x11
_READ = {DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES, LAYOUT, FILTERS, CONTINUATION, SYMBOL_TABLE}
_SHARED = 2
# BERT-large has 400 datasets in 1,000 groups, with some six messages each.
MAX_STEPS = 2**18


class Hdf5Bytes:
    """The bytes of one file.

    Args:
        path: str or Path.
        data: uint8 array. The file, mapped.
    """

    def __init__(self, path, data: np.ndarray):
        self.path, self.data, self.size = Path(path), data, len(data)
        self._view = memoryview(data)
        self._seen, self._steps = set(), 0

    def refuse(self, what: str, expected: str = "", remedy: str = DOWNLOAD_AGAIN) -> NoReturn:
        """Raises CheckpointError."""
        raise CheckpointError(what, where=str(self.path), expected=expected, remedy=remedy)

    def take(self, at: int, length: int) -> bytes:
        """`length` bytes from `at` on."""
        if length < 0 or at + length > self.size:
            self.refuse(f"It points to {length} bytes at {at}", f"a place in the file's {self.size} bytes")
        return bytes(self._view[at : at + length])

    def number(self, at: int, length: int) -> int:
        """The unsigned integer there."""
        return int.from_bytes(self.take(at, length), "little")

    def text(self, at: int, most: int) -> bytes:
        """The bytes from `at` to the next NUL, `most` of them at most."""
        found = self.take(at, min(most + 1, max(self.size - at, 0))).split(b"\0", 1)
        if len(found) < 2:
            self.refuse(f"The name at byte {at} does not end", f"at most {most} bytes")
        return found[0]

    def step(self, count: int = 1):
        """Counts what is read, and refuses a file in which that does not end."""
        self._steps += count
        if self._steps > MAX_STEPS:
            self.refuse(
                "It holds too many objects", f"at most {MAX_STEPS} parts, as in the largest BERT's file"
            )

    def once(self, at: int, mark: bytes = b""):
        """Steps on the part at `at`, which must start with `mark` and not have been stepped on before."""
        self.step()
        if at in self._seen:
            self.refuse(f"Two ways lead to byte {at}", "every group, dataset and table in one place")
        self._seen.add(at)
        if mark and self.take(at, len(mark)) != mark:
            self.refuse(f"There is no {mark.decode()} at byte {at}")

    def messages(self, at: int) -> Iterator[tuple[int, int, int]]:
        """Yields (kind, first byte, length) of every message that is read, of the object header at `at`."""
        self.once(at)
        second = self.take(at, 4) == b"OHDR"
        if second:
            flags = self.number(at + 5, 1)
            start = at + 6 + 16 * (flags >> 5 & 1) + 4 * (flags >> 4 & 1)
            width = 1 << (flags & 3)
            blocks = [(start + width, self.number(start, width))]
            head = 4 + 2 * (flags >> 2 & 1)
        elif self.number(at, 1) == 1:
            blocks, head = [(at + 16, self.number(at + 8, 4))], 8
        else:
            self.refuse(f"There is no group or dataset at byte {at}")
        while blocks:
            begin, length = blocks.pop()
            self.take(begin, length)
            end = begin + length
            while begin + head <= end:
                self.step()
                kind = self.number(begin, 1 if second else 2)
                size = self.number(begin + (1 if second else 2), 2)
                flags = self.number(begin + (3 if second else 4), 1)
                begin += head
                if begin + size > end:
                    self.refuse(f"The message at byte {begin} is longer than its block")
                if kind in _READ and flags & _SHARED:
                    self.refuse(
                        f"The header at byte {at} leaves what it says to another", "as Keras writes it"
                    )
                if kind == CONTINUATION:
                    blocks.append(self._continued(begin, second))
                elif kind in _READ:
                    yield kind, begin, size
                begin += size

    def _continued(self, at: int, second: bool) -> tuple[int, int]:
        begin, length = self.number(at, 8), self.number(at + 8, 8)
        self.once(begin, b"OCHK" if second else b"")
        return (begin + 4, length - 8) if second else (begin, length)
