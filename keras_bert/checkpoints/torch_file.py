"""PyTorch's `pytorch_model.bin`, read without torch and without running a byte of it.

Since torch 1.6 (2020) the file is a zip archive: a pickle `data.pkl`, and the numbers of each storage as a
member `data/KEY`. Before, it was five pickles one after the other (a magic number, the protocol, the
machine, the object, the storages' keys) and then the storages, each as its size (8 bytes) and its numbers.
Either way the pickle names each tensor's storage, offset, shape and strides; the numbers are mapped from
the file when a tensor is asked for.
"""

import dataclasses
import io
import math
import stat
from pathlib import Path
from typing import NoReturn

import numpy as np

from keras_bert.checkpoints.json_text import quoted
from keras_bert.checkpoints.lazy_tensors import LazyTensors
from keras_bert.checkpoints.shards import ShardedTensors
from keras_bert.checkpoints.torch_objects import Storage, Tensor
from keras_bert.checkpoints.torch_pickle import MAX_PICKLE_BYTES, Pickles
from keras_bert.checkpoints.torch_zip import stored_members
from keras_bert.errors import CheckpointError
from keras_bert.files.mapped import MappedFile

# Where training code puts the weights when it saves more than them.
NESTED = ("state_dict", "model_state_dict", "model", "module")
# Tensors may share a storage, as tied weights do; a file that claims far more than its size is a trap.
_SPARE_BYTES = 64 * 2**20

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DOWNLOAD_AGAIN = "the file is cut or damaged: copy or download it again"
# (where, what stands there): what the file is instead, what to do about it.
_OTHER_KINDS = {
    (0, b"version https://git-lfs"): ("a Git LFS pointer, not weights", "run `git lfs pull` in its folder"),
    (0, b"\x89HDF"): ("an HDF5 file", "give the folder's other weight file, if it has one"),
    (0, b"\x1f\x8b"): ("a gzip file", "unpack it"),
    (257, b"ustar"): ("a tar archive", "unpack it, or save the weights with torch 0.2 or later"),
    (8, b'{"'): ("a safetensors file", "rename it to model.safetensors"),
    (0, b"<"): ("a web page or XML, not weights", "download the file itself, not the page about it"),
    (0, b"{"): ("JSON, not weights", "download the file itself"),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies in the file, in bytes."""

    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def end(self) -> int:
        steps = (step * (n - 1) for step, n in zip(self.strides, self.shape, strict=True))
        return self.begin + sum(steps) + self.dtype.itemsize


class TorchFile(LazyTensors):
    """The tensors of one file by name; each is mapped from the file when asked for, never all at once.

    A dict of tensors is read, or one that holds such a dict under one of NESTED; what else stands beside
    the tensors (numbers, text, an optimizer's state) is left out.

    Args:
        path: str or Path.

    Raises:
        CheckpointError: the file is missing, cut, of another kind, contradicts itself, or asks for anything
            but tensors and plain values; the message names what.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            status = self.path.stat()
            if not stat.S_ISREG(status.st_mode):
                self._refuse("Not a file", "a file of weights", "give the weight file itself")
            if not status.st_size:
                self._refuse("The file is empty", "a file written by torch.save", _DOWNLOAD_AGAIN)
            self._file = MappedFile(self.path)
        except OSError as cause:
            raise CheckpointError(f"Cannot be read: {cause.strerror}", where=str(path)) from cause
        self._bytes = self._file.bytes
        start = self._bytes[:4].tobytes()
        if start.startswith(b"PK\x03\x04"):
            root, places = self._read_zip()
        elif start.startswith(b"\x80"):
            root, places = self._read_legacy()
        else:
            self._refuse_other_kind()
        tensors = self._find_tensors(root)
        self._places = {
            name: self._place(name, tensor, *places[tensor.storage.key]) for name, tensor in tensors
        }
        claimed = sum(place.size for place in self._places.values())
        if claimed > 2 * len(self._bytes) + _SPARE_BYTES:
            self._refuse(f"Its tensors claim {claimed} bytes, the file has {len(self._bytes)}")
        super().__init__(
            {name: place.shape for name, place in self._places.items()},
            {name: place.dtype.name for name, place in self._places.items()},
        )

    def __getitem__(self, name: str) -> np.ndarray:
        place = self._places[name]
        if not place.size:
            return np.empty(place.shape, place.dtype)
        # NumPy checks once more that offset and strides stay within the buffer.
        window = self._file.window(place.begin, place.end)
        array = np.ndarray(place.shape, place.dtype, window, 0, place.strides)
        # Readers of NumPy memory may assume alignment, which the old layout does not give.
        return np.require(array, requirements="A")

    def _refuse(self, what: str, expected: str = "", remedy: str = _DOWNLOAD_AGAIN) -> NoReturn:
        raise CheckpointError(what, where=str(self.path), expected=expected, remedy=remedy)

    def _refuse_other_kind(self) -> NoReturn:
        head = self._bytes[:512].tobytes()
        text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        for (at, start), (kind, remedy) in _OTHER_KINDS.items():
            if head[at:].startswith(start) or (at == 0 and text.startswith(start)):
                self._refuse(f"It is {kind}", "a file written by torch.save", remedy)
        self._refuse("It is of no kind that is known here", "a file written by torch.save")

    def _read_zip(self) -> tuple[object, dict[str, tuple[int, int]]]:
        """The pickled object, and where each storage's bytes begin and end."""
        members = stored_members(self._bytes, str(self.path))
        order = self._bytes[slice(*members.get("byteorder", (0, 0)))][:16].tobytes()
        if order not in (b"", b"little"):
            self._refuse_byte_order()
        begin, end = members["data.pkl"]
        if end - begin > MAX_PICKLE_BYTES:
            self._refuse(f"Its data.pkl has {end - begin} bytes", f"at most {MAX_PICKLE_BYTES} bytes")
        stream = io.BytesIO(self._bytes[begin:end].tobytes())
        pickles = Pickles(stream, str(self.path))
        root, places = pickles.next(), {}
        if stream.read(1):
            self._refuse("Bytes follow the pickle in its data.pkl")
        for key, storage in pickles.storages.items():
            if f"data/{key}" not in members:
                self._refuse(f"The storage {quoted(key)} is not in the archive")
            places[key] = members[f"data/{key}"]
            self._check_length(storage, places[key][1] - places[key][0])
        return root, places

    def _read_legacy(self) -> tuple[object, dict[str, tuple[int, int]]]:
        """The same from the layout before torch 1.6."""
        stream = io.BytesIO(self._bytes[:MAX_PICKLE_BYTES].tobytes())
        pickles = Pickles(stream, str(self.path))
        magic = pickles.next()
        if type(magic) is not int or magic != _MAGIC:
            expected, remedy = "a file written by torch.save", "give the model's weight file"
            self._refuse("It is a pickle, but not one of torch's", expected, remedy)
        protocol, machine = pickles.next(), pickles.next()
        if type(protocol) is not int or protocol != _PROTOCOL or type(machine) is not dict:
            self._refuse(f"The layout has the protocol {quoted(protocol)}", str(_PROTOCOL))
        if machine.get("little_endian") is not True:
            self._refuse_byte_order()
        root, keys, storages = pickles.next(), pickles.next(), pickles.storages
        if type(keys) is not list or any(type(key) is not str for key in keys) or len(set(keys)) != len(keys):
            self._refuse(f"Its list of storages is {quoted(keys)}", "a list of different names")
        if set(keys) != set(storages):
            self._refuse(f"Its list of {len(keys)} storages differs from the {len(storages)} its tensors use")
        position, places = stream.tell(), {}
        for key in keys:
            size = int.from_bytes(self._bytes[position : position + 8].tobytes(), "little", signed=True)
            if size != storages[key].size:
                self._refuse(f"The storage {quoted(key)} has {size} numbers", str(storages[key].size))
            begin = position + 8
            position = begin + size * storages[key].dtype.itemsize
            places[key] = begin, position
            self._check_length(storages[key], min(position, len(self._bytes)) - begin)
        if position != len(self._bytes):
            self._refuse(f"{len(self._bytes) - position} bytes follow the last storage")
        return root, places

    def _refuse_byte_order(self) -> NoReturn:
        self._refuse(
            "It was written on a big-endian machine",
            "little-endian numbers",
            "save it again on another machine",
        )

    def _check_length(self, storage: Storage, length: int):
        expected = storage.size * storage.dtype.itemsize
        if length != expected:
            self._refuse(f"The storage {quoted(storage.key)} has {length} bytes", f"{expected} bytes")

    def _find_tensors(self, root) -> list[tuple[str, Tensor]]:
        """The named tensors of the pickled object, in its order."""
        expected = f"a dict of tensors by name, or a dict that holds one as {' or '.join(NESTED)}"
        remedy = "save model.state_dict() with torch.save"
        if type(root) is not dict:
            self._refuse(f"It holds one {type(root).__name__}", expected, remedy)
        inner = [key for key in NESTED if type(root.get(key)) is dict and _tensors(root[key])]
        if len(inner) > 1:
            self._refuse(f"It holds tensors both as {inner[0]} and as {inner[1]}", expected, remedy)
        tensors = _tensors(root[inner[0]] if inner else root)
        if not tensors:
            self._refuse(f"It holds no tensors, but {quoted(list(root)[:6])}", expected, remedy)
        for name, _ in tensors:
            if type(name) is not str:
                self._refuse(f"It has a tensor of the name {quoted(name)}", expected, remedy)
        return tensors

    def _place(self, name: str, tensor: Tensor, begin: int, end: int) -> _Place:
        """Where a tensor's numbers are, if all lie in its storage and none is there twice."""
        dtype, shape = tensor.dtype, tensor.shape
        capacity = (end - begin) // dtype.itemsize

        def refuse(what: str):
            self._refuse(
                f"The tensor {quoted(name)} {what}: its storage has {capacity} numbers, its shape is "
                f"{quoted(shape)}, strides {quoted(tensor.strides)}, offset {quoted(tensor.offset)}",
                remedy="save it again after tensor.clone(), or download the file again",
            )

        if math.prod(max(n, 1) for n in shape) > max(capacity, len(self._bytes) if 0 in shape else 1):
            refuse("is larger than its storage")
        # The stride of an axis of one has no meaning, and torch writes any number there.
        strides = [step if n > 1 else 0 for step, n in zip(tensor.strides, shape, strict=True)]
        last = 0
        for step, n in sorted((step, n) for step, n in zip(strides, shape, strict=True) if n > 1):
            if step <= last:
                refuse("has numbers that lie on one another")
            last += step * (n - 1)
        if tensor.offset + last >= capacity and 0 not in shape:
            refuse("reaches beyond its storage")
        begin += tensor.offset * dtype.itemsize
        return _Place(dtype, shape, begin, tuple(step * dtype.itemsize for step in strides))


def read_torch(path) -> TorchFile | ShardedTensors:
    """The tensors of a `.bin` file, or of the shards that a `.bin.index.json` names.

    Args:
        path: str or Path.

    Returns:
        A read-only mapping from tensor name to NumPy array, with `shapes` and `dtypes`.
    """
    return ShardedTensors(path, TorchFile, ".bin") if str(path).endswith(".json") else TorchFile(path)


def _tensors(values: dict) -> list[tuple[str, Tensor]]:
    return [(name, value) for name, value in values.items() if type(value) is Tensor]
