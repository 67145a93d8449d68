"""Where in an HDF5 file the numbers of one dataset lie, and its chunks unpacked."""

import dataclasses
import math
import zlib

import numpy as np

# libhdf5's numbers of the filters; others could run code of a plugin, or need a library that is not here.
DEFLATE, SHUFFLE = 1, 2
KNOWN_FILTERS = ((), (DEFLATE,), (SHUFFLE,), (SHUFFLE, DEFLATE))


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """The numbers of one dataset.

    Args:
        dtype: np.dtype.
        shape: tuple of int.
        chunk: tuple of int. The shape of a chunk; () where the numbers lie in one piece.
        filters: tuple of int. What a chunk went through, one of KNOWN_FILTERS.
        pieces: tuple of (the piece's corner in the array, bits of the filters left out, first byte, bytes).
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    filters: tuple[int, ...]
    pieces: tuple[tuple[tuple[int, ...], int, int, int], ...]

    @property
    def num_bytes(self) -> int:
        """Bytes of the whole array."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk after unpacking."""
        return math.prod(self.chunk) * self.dtype.itemsize

    def unpacked(self, file: np.ndarray) -> np.ndarray:
        """The array, its chunks put together.

        Args:
            file: uint8 array. The whole file.

        Raises:
            ValueError: a chunk is damaged.
        """
        array = np.empty(self.shape, self.dtype)
        for corner, left_out, begin, length in self.pieces:
            data = file[begin : begin + length].tobytes()
            for position in reversed(range(len(self.filters))):
                if not left_out >> position & 1:
                    data = self._undone(self.filters[position], data)
            if len(data) != self.chunk_bytes:
                raise ValueError(f"a chunk does not have {self.chunk_bytes} bytes")
            target = array[tuple(slice(at, at + step) for at, step in zip(corner, self.chunk, strict=True))]
            chunk = np.frombuffer(data, self.dtype).reshape(self.chunk)
            target[...] = chunk[tuple(slice(n) for n in target.shape)]  # the last ones stick out
        return array

    def _undone(self, code: int, data: bytes) -> bytes:
        """A chunk's bytes before the filter."""
        if code == SHUFFLE:
            return np.frombuffer(data, np.uint8).reshape(self.dtype.itemsize, -1).T.tobytes()
        try:
            return zlib.decompressobj().decompress(data, self.chunk_bytes + 1)
        except zlib.error as cause:
            raise ValueError(str(cause)) from None
