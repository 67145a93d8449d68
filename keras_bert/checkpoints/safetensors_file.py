"""Safetensors files, read without trusting a byte of them and written so that transformers opens them.

The format: 8 bytes (little-endian length of the header), the header (a JSON object: tensor name to dtype,
shape and byte range), the tensors' bytes end to end. Reading maps the file into memory: names and shapes
cost the header only, and a tensor costs its own bytes when it is asked for.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

from keras_bert.checkpoints.json_text import json_object, quoted
from keras_bert.checkpoints.lazy_tensors import LazyTensors
from keras_bert.checkpoints.shards import ShardedTensors
from keras_bert.errors import CheckpointError
from keras_bert.files.mapped import MappedFile

DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
# A header entry takes about 130 bytes and BERT-large has 400 tensors; parsed JSON takes some twenty times
# its text, so this bound also bounds the memory that a hostile header can claim.
MAX_HEADER_BYTES = 2 * 2**20
# NumPy's own limit.
MAX_AXES = 32

_DOWNLOAD_AGAIN = "the file is cut or damaged: copy or download it again"


class SafetensorsFile(LazyTensors):
    """The tensors of one file by name; each is mapped from the file when asked for, never all at once.

    Args:
        path: str or Path.

    Raises:
        CheckpointError: the file is missing, cut, or its header contradicts itself or the file's size.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            self._file = MappedFile(self.path)
        except OSError as cause:
            raise CheckpointError(f"Cannot be read: {cause.strerror}", where=str(path)) from cause
        self._data_start, header = self._read_header()
        metadata = header.pop("__metadata__", {})
        self.metadata = metadata if isinstance(metadata, dict) else {}
        data_size = len(self._file) - self._data_start
        self._entries = {name: self._entry(name, value, data_size) for name, value in header.items()}
        self._refuse_overlaps_and_holes(data_size)
        super().__init__(
            {name: shape for name, (_, shape, _, _) in self._entries.items()},
            {name: dtype.name for name, (dtype, _, _, _) in self._entries.items()},
        )

    def __getitem__(self, name: str) -> np.ndarray:
        dtype, shape, begin, end = self._entries[name]
        window = self._file.window(self._data_start + begin, self._data_start + end)
        # Readers of NumPy memory may assume alignment, which the format does not promise.
        return np.require(window.view(dtype).reshape(shape), requirements="A")

    def _read_header(self) -> tuple[int, dict]:
        where, size = str(self.path), len(self._file)
        if size < 8:
            raise CheckpointError(
                f"The file has {size} bytes",
                where=where,
                expected="a safetensors file",
                remedy=_DOWNLOAD_AGAIN,
            )
        length = int.from_bytes(self._file.bytes[:8].tobytes(), "little")
        if length > size - 8:
            raise CheckpointError(
                f"The header claims {length} bytes, the file has {size}",
                where=where,
                expected="a safetensors file",
                remedy=_DOWNLOAD_AGAIN + ", unless it is of another format under this name",
            )
        if length > MAX_HEADER_BYTES:
            raise CheckpointError(
                f"The header has {length} bytes", where=where, expected=f"at most {MAX_HEADER_BYTES} bytes"
            )
        return 8 + length, json_object(self._file.bytes[8 : 8 + length].tobytes(), f"{where} (header)")

    def _entry(self, name: str, value, data_size: int) -> tuple[np.dtype, tuple[int, ...], int, int]:
        def refuse(what: str, expected: str = ""):
            raise CheckpointError(
                f"The tensor {quoted(name)} {what}",
                where=str(self.path),
                expected=expected,
                remedy=_DOWNLOAD_AGAIN,
            )

        if not isinstance(value, dict) or not {"dtype", "shape", "data_offsets"} <= value.keys():
            refuse("is not described", "dtype, shape and data_offsets in the header")
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            refuse(f"has the dtype {quoted(dtype)}", f"one of {', '.join(DTYPES)}")
        if not _are_integers(shape) or len(shape) > MAX_AXES or any(not 0 < n <= data_size for n in shape):
            refuse(f"has the shape {quoted(shape)}", "a list of positive sizes that fit the file")
        if not _are_integers(offsets) or len(offsets) != 2 or not 0 <= offsets[0] <= offsets[1] <= data_size:
            refuse(
                f"claims the bytes {quoted(offsets)}", f"a range within the file's {data_size} bytes of data"
            )
        length = math.prod(shape) * DTYPES[dtype].itemsize
        if offsets[1] - offsets[0] != length:
            refuse(
                f"claims {offsets[1] - offsets[0]} bytes",
                f"{length} bytes for {dtype} of shape {tuple(shape)}",
            )
        return DTYPES[dtype], tuple(shape), offsets[0], offsets[1]

    def _refuse_overlaps_and_holes(self, data_size: int):
        position, before = 0, "the header"
        for name, (_, _, begin, end) in sorted(self._entries.items(), key=lambda item: item[1][2:]):
            if begin != position:
                kind = "overlaps" if begin < position else "leaves a hole after"
                raise CheckpointError(
                    f"The tensor {quoted(name)} at byte {begin} {kind} {before}, which ends at {position}",
                    where=str(self.path),
                    remedy=_DOWNLOAD_AGAIN,
                )
            position, before = end, quoted(name)
        if position != data_size:
            raise CheckpointError(
                f"{data_size - position} bytes follow the last tensor",
                where=str(self.path),
                remedy=_DOWNLOAD_AGAIN,
            )


def read_tensors(path) -> SafetensorsFile | ShardedTensors:
    """The tensors of a `.safetensors` file, or of the shards that a `.safetensors.index.json` names.

    Args:
        path: str or Path.

    Returns:
        A read-only mapping from tensor name to NumPy array, with `shapes` and `dtypes`.
    """
    is_index = str(path).endswith(".json")
    return ShardedTensors(path, SafetensorsFile, ".safetensors") if is_index else SafetensorsFile(path)


def write_tensors(path, tensors: Mapping[str, np.ndarray]):
    """Writes one safetensors file that transformers recognises as its own.

    Args:
        path: str or Path.
        tensors: mapping from tensor name to array.
    """
    from safetensors.numpy import save_file

    # The package writes each array's memory as it lies: a transposed view would be stored untransposed.
    contiguous = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    save_file(contiguous, str(path), metadata={"format": "pt"})


def _are_integers(values) -> bool:
    return isinstance(values, list) and all(type(value) is int for value in values)
