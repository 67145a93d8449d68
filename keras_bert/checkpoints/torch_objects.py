"""What may stand in the pickles of PyTorch's files, and how a tensor is described there.

The names that such a pickle may ask for are listed here, by hand. A name never stands for the thing it names.
"""

import dataclasses
from collections.abc import Callable
from typing import NoReturn

import ml_dtypes
import numpy as np

from keras_bert.checkpoints.json_text import quoted

DTYPES = {
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "int64": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "int16": np.dtype("<i2"),
    "int8": np.dtype("i1"),
    "uint64": np.dtype("<u8"),
    "uint32": np.dtype("<u4"),
    "uint16": np.dtype("<u2"),
    "uint8": np.dtype("u1"),
    "bool": np.dtype("?"),
}
# NumPy's own limit.
MAX_AXES = 32

_CLASSES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
    "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
}  # fmt: skip
_STORAGES = {
    f"{module}.{name}Storage": DTYPES[dtype]
    for module in ("torch", "torch.cuda")
    for name, dtype in _CLASSES.items()
}
_STORAGES["torch.storage.UntypedStorage"] = np.dtype("u1")
_REBUILD = {  # name: how many arguments it takes, at least and at most
    "torch._utils._rebuild_tensor": (4, 4),
    "torch._utils._rebuild_tensor_v2": (6, 7),
    "torch._utils._rebuild_tensor_v3": (7, 8),
    "torch._utils._rebuild_parameter": (3, 3),
    "torch._utils._rebuild_parameter_with_state": (4, 4),
}
DICT = "collections.OrderedDict"
# They stand beside tensors. Such a name stays a name, and so does a call of one of the first two.
INERT_CALLS = {"torch.Size", "torch.device"}
_INERT = {*INERT_CALLS, *(f"torch.{name}" for name in (*DTYPES, "complex64", "complex128"))}
_ALLOWED = {*_STORAGES, *_REBUILD, DICT, *_INERT}

# Beginning of a name that is refused: what that makes of the file, and what to do about it.
_REFUSED = {
    "torch._utils._rebuild_qtensor": ("a quantised tensor", "save the weights from before the quantising"),
    "torch._utils._rebuild_sparse": ("a sparse tensor", "save it again after tensor.to_dense()"),
    "torch.Complex": ("a complex tensor", "save the weights as float32"),
    "torch.nn.": ("a whole model, not its weights", "save model.state_dict() with the program that wrote it"),
    "transformers.": ("objects of transformers, not weights", "give the folder's weight file instead"),
    "numpy": ("NumPy objects", "save the tensors alone, without what stands beside them"),
}  # fmt: skip
NOT_RUN = "nothing of it was run; get the weights as model.safetensors, from a source that you trust"
_CODE = ("code", NOT_RUN)
PLAIN_VALUES = "tensors and plain values alone"


@dataclasses.dataclass(frozen=True, slots=True)
class Name:
    """A dotted name that the pickle asks for, such as `torch.FloatStorage`."""

    dotted: str


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers elsewhere in the file: its key, their dtype (uint8 where untyped), how many."""

    key: str
    dtype: np.dtype
    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor not yet read: which numbers of a storage it consists of, counted in its own dtype."""

    storage: Storage
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def check_name(dotted: str, refuse: Callable[..., NoReturn]):
    """Refuses a name that has no part in a tensor, and says what it makes of the file.

    Args:
        dotted: str. Such as `"torch._utils._rebuild_tensor_v2"`.
        refuse: function. Raises the error, from what, expected and remedy.
    """
    if dotted not in _ALLOWED:
        made_of, remedy = next((_REFUSED[start] for start in _REFUSED if dotted.startswith(start)), _CODE)
        shown = dotted if dotted.isprintable() and len(dotted) <= 120 else quoted(dotted)
        refuse(f"asks for {shown}: it holds {made_of}", PLAIN_VALUES, remedy)


def storage_from(identifier, refuse: Callable[..., NoReturn]) -> Storage:
    """The storage of a persistent id: ("storage", class, key, device, size), in old files and None."""
    parts = identifier if type(identifier) is tuple else ()
    if parts[:1] == ("module",):
        refuse("holds a whole model, not its weights", PLAIN_VALUES, _REFUSED["torch.nn."][1])
    if len(parts) == 6 and parts[5] is not None:
        refuse("has a storage inside another", "a file of torch 0.2 or later", "save it with a later torch")
    if len(parts) not in (5, 6) or [type(part) for part in parts[:5]] != [str, Name, str, str, int]:
        refuse("does not say where a tensor's numbers are")
    kind, name, key, _, size = parts[:5]
    if kind != "storage" or name.dotted not in _STORAGES or size < 0:
        refuse(f"has the storage {quoted(key)} of the class {name.dotted} with {size} numbers")
    return Storage(key, _STORAGES[name.dotted], size)


def rebuilds(function: str) -> bool:
    """Whether a call of this name stands for a tensor."""
    return function in _REBUILD


def tensor_from(function: str, arguments: tuple, refuse: Callable[..., NoReturn]) -> Tensor:
    """The tensor that a call of one of torch's functions would make."""
    fewest, most = _REBUILD[function]
    if not fewest <= len(arguments) <= most:
        refuse(f"calls {function} with {len(arguments)} arguments")
    if "_rebuild_parameter" in function:
        if type(arguments[0]) is not Tensor:
            refuse("has a parameter that is no tensor")
        return arguments[0]
    storage, offset, shape, strides, *more = arguments
    if type(storage) is not Storage or type(offset) is not int or offset < 0:
        refuse("rebuilds a tensor from something else than a storage and an offset")
    for sizes in (shape, strides):
        right_type = type(sizes) is tuple and len(sizes) <= MAX_AXES
        if not right_type or any(type(n) is not int or n < 0 for n in sizes):
            refuse(f"has a tensor with the sizes or strides {quoted(sizes)}", "a few numbers from 0 on")
    if len(shape) != len(strides):
        refuse(f"has a tensor with the shape {quoted(shape)} and the strides {quoted(strides)}")
    dtype, more = storage.dtype, more[2:]  # after requires_grad and the hooks
    if function.endswith("_v3"):
        name = more[0].dotted.removeprefix("torch.") if type(more[0]) is Name else ""
        if name not in DTYPES or dtype.itemsize != 1:
            refuse(f"has a tensor of the dtype {quoted(name)}", f"one of {', '.join(DTYPES)}")
        dtype, more = DTYPES[name], more[1:]
    if any(more):
        remedy = "save it again after tensor.resolve_neg().resolve_conj()"
        refuse("has a tensor that is to be negated or conjugated", "numbers as they stand", remedy)
    return Tensor(storage, dtype, offset, shape, strides)
