"""What every reader of weights is: arrays by name, made when asked for, never all at once."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np


class LazyTensors(Mapping):
    """Arrays by name; a subclass makes them in `__getitem__`.

    Args:
        shapes: dict. Name to shape, in the order of the file.
        dtypes: dict. Name to NumPy's name of the dtype (`"float32"`, `"bfloat16"` …).
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]], dtypes: dict[str, str]):
        self.shapes, self.dtypes = shapes, dtypes

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def __contains__(self, name) -> bool:
        return name in self.shapes


class NamedTensors(LazyTensors):
    """Arrays that a function each reads.

    Args:
        entries: dict. Name to (shape, name of the dtype, function that reads the array).
    """

    def __init__(self, entries: dict[str, tuple[tuple[int, ...], str, Callable[[], np.ndarray]]]):
        super().__init__(
            {name: shape for name, (shape, _, _) in entries.items()},
            {name: dtype for name, (_, dtype, _) in entries.items()},
        )
        self._readers = {name: read for name, (_, _, read) in entries.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._readers[name]()


class RenamedTensors(LazyTensors):
    """Tensors under other names; reads through to the file.

    Args:
        tensors: mapping with `shapes` and `dtypes`.
        stored: dict. Name here to the name in `tensors`.
    """

    def __init__(self, tensors, stored: dict[str, str]):
        super().__init__(
            {name: tensors.shapes[source] for name, source in stored.items()},
            {name: tensors.dtypes[source] for name, source in stored.items()},
        )
        self._tensors, self._stored = tensors, stored

    def __getitem__(self, name: str) -> np.ndarray:
        return self._tensors[self._stored[name]]


class JoinedTensors(LazyTensors):
    """The tensors of several files whose names differ."""

    def __init__(self, *files: LazyTensors):
        super().__init__(
            {name: shape for file in files for name, shape in file.shapes.items()},
            {name: dtype for file in files for name, dtype in file.dtypes.items()},
        )
        self._file_of = {name: file for file in files for name in file}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._file_of[name][name]


class ArrayTensors(LazyTensors):
    """Arrays at hand, by name."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        super().__init__(
            {name: array.shape for name, array in arrays.items()},
            {name: array.dtype.name for name, array in arrays.items()},
        )
        self._arrays = arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]
