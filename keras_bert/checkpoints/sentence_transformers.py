"""The files that sentence-transformers puts around a model: which modules, which pooling, which length."""

import dataclasses
import os
from pathlib import Path

from keras_bert.checkpoints.json_text import json_object, quoted
from keras_bert.errors import CheckpointError
from keras_bert.files.regular import read_regular

MODULES = "modules.json"
_LENGTH_FILES = ("sentence_bert_config.json",)
# The keys of Pooling's config.json, one of which is true; newer releases write `pooling_mode`.
_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
}
_MAX_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Pooling:
    """How one vector is made of a text.

    Args:
        mode: str. `"mean"` over the tokens that are no padding, `"cls"`, or `"max"`.
        normalize: bool. Whether the vector is scaled to length one.
        max_length: int or None. Longest sequence, special tokens included.
    """

    mode: str = "mean"
    normalize: bool = False
    max_length: int | None = None


def read_pooling(folder: Path) -> tuple[Path, Pooling | None]:
    """The folder of the network inside a sentence-transformers folder, and its pooling.

    Args:
        folder: Path.

    Returns:
        (folder of the network, Pooling); (folder, None) where it is no folder of sentence-transformers.

    Raises:
        CheckpointError: modules that we cannot compute, named; a path that leaves the folder.
    """
    path = folder / MODULES
    if not path.is_file():
        return folder, None
    network, pooling, normalize = folder, None, False
    for module in _read(path, list):
        kind = str(module.get("type")).rpartition(".")[2] if isinstance(module, dict) else ""
        inner = _inside(folder, module.get("path", "") if kind else None, path)
        if kind == "Transformer":
            network = inner
        elif kind == "Pooling":
            pooling = _mode(inner / "config.json")
        elif kind == "Normalize":
            normalize = True
        else:
            raise CheckpointError(
                f"The module {quoted(kind or module)} has no place in our embedding",
                where=str(path),
                expected="Transformer, Pooling and Normalize",
            )
    if pooling is None:
        raise CheckpointError("No Pooling among the modules", where=str(path))
    return network, Pooling(pooling, normalize, _max_length(network))


def pooling_from(values, where: str) -> Pooling:
    """The `Pooling` that a `keras_bert.json` holds.

    Raises:
        CheckpointError: values that no pooling has.
    """
    fields = {"mode": str, "normalize": bool, "max_length": int | None}
    is_whole = isinstance(values, dict) and values.keys() == fields.keys()
    if not is_whole or not all(isinstance(values[name], kind) for name, kind in fields.items()):
        raise CheckpointError(f"`pooling` is {quoted(values)}", where=where, expected=f"{', '.join(fields)}")
    if values["mode"] not in _MODES.values():
        raise CheckpointError(
            f"`pooling` is {quoted(values['mode'])}", where=where, expected="cls, mean or max"
        )
    return Pooling(**values)


def _mode(path: Path) -> str:
    raw = _read(path, dict)
    modes = [mode for key, mode in _MODES.items() if raw.get(key) is True]
    if isinstance(raw.get("pooling_mode"), str):
        modes = [raw["pooling_mode"].removesuffix("_tokens").removesuffix("_token")]
    others = [
        key for key in raw if key.startswith("pooling_mode_") and raw[key] is True and key not in _MODES
    ]
    if len(modes) != 1 or modes[0] not in _MODES.values() or others:
        raise CheckpointError(
            f"The pooling is {quoted([*modes, *others])}",
            where=str(path),
            expected="one of cls, mean and max",
        )
    return modes[0]


def _max_length(network: Path) -> int | None:
    for name in _LENGTH_FILES:
        if os.path.isfile(network / name):
            length = _read(network / name, dict).get("max_seq_length")
            if type(length) is int and length >= 3:
                return length
    return None


def _inside(folder: Path, relative, where: Path) -> Path:
    """A folder named in modules.json, which may be this one or one directly in it."""
    no_name = not isinstance(relative, str) or set(relative) & set("/\\\0:") or relative in (".", "..")
    if no_name or not relative.isprintable():  # half a surrogate pair is no name either
        raise CheckpointError(
            f"The path of a module is {quoted(relative)}", where=str(where), expected="a folder beside it"
        )
    return folder / relative if relative else folder


def _read(path: Path, kind: type):
    try:
        data = read_regular(path, _MAX_BYTES)
    except OSError as cause:
        raise CheckpointError(f"Cannot be read: {cause.strerror}", where=str(path)) from cause
    if kind is dict:
        return json_object(data, str(path))
    wrapped = json_object(b'{"modules": ' + data.removeprefix(b"\xef\xbb\xbf") + b"}", str(path))["modules"]
    if not isinstance(wrapped, list):
        raise CheckpointError("No list of modules", where=str(path), expected="a JSON list of objects")
    return wrapped
