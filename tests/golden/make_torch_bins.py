"""Writes torch_bins/: small files by the real torch, and expected.npz with what torch reads back from them.

    python tests/golden/make_torch_bins.py        # torch 2.13.0; numpy

`expected.npz` holds `FILE/TENSOR` (bfloat16 widened to float32, which loses nothing) and, as `dtypes`, lines
of `FILE/TENSOR dtype`. The files in REFUSED are those that no reader of plain tensors should take.
"""

import collections
import os
import pathlib

import numpy as np
import torch

FOLDER = pathlib.Path(__file__).with_name("torch_bins")
TORCH_1 = {"_use_new_zipfile_serialization": False}  # torch wrote this until 1.5, in 2020


class Asks:
    """Pickles as a call of `function`, as any object may."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def values(*shape, dtype=torch.float32):
    count = int(np.prod(shape))
    return (torch.arange(count, dtype=torch.float32) - count / 3).reshape(shape).to(dtype)


def every_dtype(names="float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool"):
    return {name: values(2, 3).abs().to(getattr(torch, name)) for name in names.split()}


def young_dtypes():
    """They have no storage class of their own, and no legacy form that torch itself can read."""
    return every_dtype("uint16 uint32 uint64")


def views():
    """Tensors that share memory, lie transposed or in steps in it, are one number, or empty."""
    table = values(6, 4)
    return {
        "table": table,
        "tied": table,
        "row": table[2],
        "rows": table[2:5],
        "turned": table.T,
        "column": table[:, 1],
        "every_other": table[::2, 1:3],
        "three_axes": values(2, 3, 4).permute(2, 0, 1),
        "position_ids": torch.arange(5).expand((1, -1)),
        "scalar": torch.tensor(1.5),
        "empty": torch.zeros(0, 3),
    }


def state_dict():
    """What torch.save(model.state_dict()) writes: an OrderedDict with a `_metadata` of its own."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        collections.OrderedDict(dense=torch.nn.Linear(3, 2), norm=torch.nn.LayerNorm(2))
    )
    return model.state_dict()


def beside():
    """Tensors among the things that training code puts beside them."""
    return {
        "step": 7, "big": 2**40, "negative": -3, "rate": 1e-4, "note": "fünf", "nothing": None, "yes": True,
        "sizes": [1, 2, 3], "pair": (1, 2), "shape": torch.Size([2, 3]), "kind": torch.float16,
        "device": torch.device("cpu"), "weight": values(2, 2), "nested": {"deep": values(1)},
    }  # fmt: skip


def training_checkpoint():
    """With the optimizer's state, as torch's own tutorial saves it."""
    model = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(model.weight, 0.25)
    torch.nn.init.constant_(model.bias, -1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {"epoch": 3, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}


def parameters():
    return {"weight": torch.nn.Parameter(values(2, 3)), "half": torch.nn.Parameter(values(4).half(), False)}


def first_torch():
    """As torch 0.1 rebuilt its tensors, before it knew of gradients in them."""
    tensor = values(3, 2)
    parts = tensor.untyped_storage(), 1, (2, 2), (2, 1)
    storage = torch.storage.TypedStorage(wrap_storage=parts[0], dtype=torch.float32, _internal=True)
    return {"weight": Asks(torch._utils._rebuild_tensor, storage, *parts[1:])}


def quantised():
    return {"weight": torch.quantize_per_tensor(values(2, 2), 0.1, 10, torch.qint8)}


READ = {  # name: what to save, how
    "dtypes": (every_dtype, {}),
    "dtypes_young": (young_dtypes, {}),
    "dtypes_legacy": (every_dtype, TORCH_1),
    "views": (views, {}),
    "views_legacy": (views, TORCH_1),
    "state_dict": (state_dict, {}),
    "state_dict_legacy": (state_dict, TORCH_1),
    "state_dict_protocol_4": (state_dict, {"pickle_protocol": 4}),
    "beside": (beside, {}),
    "training": (training_checkpoint, {}),
    "parameters": (parameters, {}),
    "first_torch_legacy": (first_torch, TORCH_1),
}
REFUSED = {
    "module": (lambda: torch.nn.Linear(2, 2), {}),
    "module_legacy": (lambda: torch.nn.Linear(2, 2), TORCH_1),
    "system": (lambda: {"weight": values(2), "evil": Asks(os.system, "touch owned")}, {}),
    "system_legacy": (lambda: {"weight": values(2), "evil": Asks(os.system, "touch owned")}, TORCH_1),
    "quantised": (quantised, {}),
    "sparse": (lambda: {"weight": torch.eye(3).to_sparse()}, {}),
    "complex": (lambda: {"weight": torch.tensor([1 + 2j])}, {}),
    "negated": (lambda: {"weight": torch.tensor([1 + 2j]).conj().imag}, {}),
    "expanded": (lambda: {"weight": torch.ones(1, 3).expand(4, 3)}, {}),
}


# What torch.load reads only with weights_only=False; these are our own files.
BY_HAND = {"first_torch_legacy", "state_dict_protocol_4"}


def main():
    FOLDER.mkdir(exist_ok=True)
    expected, dtypes = {}, []
    for name, (make, options) in {**READ, **REFUSED}.items():
        torch.save(make(), FOLDER / f"{name}.bin", **options)
    for name in READ:
        read = torch.load(FOLDER / f"{name}.bin", weights_only=name not in BY_HAND)
        for key, tensor in read.get("state_dict", read).items():
            if isinstance(tensor, torch.Tensor):
                tensor = tensor.detach()
                widened = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
                expected[f"{name}/{key}"] = widened.numpy()
                dtypes.append(f"{name}/{key} {str(tensor.dtype).removeprefix('torch.')}")
    np.savez_compressed(FOLDER / "expected.npz", dtypes=np.array("\n".join(dtypes)), **expected)


if __name__ == "__main__":
    main()
