"""A file mapped into memory, whole for its headers and window by window for its large parts."""

import mmap
import os
import weakref

import numpy as np

from keras_bert.files.regular import check_regular


class MappedFile:
    """The bytes of one file, none of which is read before it is looked at.

    The file stays open, so that one that is replaced under its name meanwhile is not mixed with the new one.

    Args:
        path: str or path-like.

    Attributes:
        bytes: uint8 array, read only. The whole file; what was looked at stays in memory with it.

    Raises:
        OSError: there is no such file, or it is a pipe, a device or a folder.
    """

    def __init__(self, path):
        check_regular(path)
        self._handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._handle)
        self.bytes = self.window(0, os.fstat(self._handle).st_size)

    def __len__(self) -> int:
        return len(self.bytes)

    def window(self, begin: int, end: int) -> np.ndarray:
        """The bytes from `begin` to `end` as a uint8 array whose memory is free once it is dropped."""
        if begin == end:
            return np.empty(0, np.uint8)
        start = begin - begin % mmap.ALLOCATIONGRANULARITY
        mapped = mmap.mmap(self._handle, end - start, access=mmap.ACCESS_READ, offset=start)
        return np.frombuffer(mapped, np.uint8, end - begin, begin - start)
