"""A model folder: a Hugging Face folder, theirs or ours, read with every contradiction named, and written.

    config.json   model.safetensors   vocab.txt   tokenizer_config.json   keras_bert.json (ours only)

`keras_bert.json` holds what Hugging Face has no place for: the task and its settings, and the SHA-256 of
every file beside it.
"""

import contextlib
import dataclasses
import fnmatch
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_bert.checkpoints import huggingface, names
from keras_bert.checkpoints.safetensors_file import json_object, quoted, read_tensors, write_tensors
from keras_bert.config import BertConfig
from keras_bert.errors import CheckpointError, OutputError
from keras_bert.files.atomic import atomic_folder, recover
from keras_bert.files.manifest import hash_files, verify

CONFIG, WEIGHTS, SHARDS = "config.json", "model.safetensors", "model.safetensors.index.json"
VOCABULARY, EXTRAS = "vocab.txt", "keras_bert.json"
FORMAT = 1

_AS_SAFETENSORS = "open it with the library that wrote it and save it again as model.safetensors"
# A file that tells another kind of folder, and what to do with one.
_OTHER_KINDS = {
    "pytorch_model*.bin": _AS_SAFETENSORS,
    "tf_model.h5": _AS_SAFETENSORS,
    "bert_config.json": "this is a checkpoint of Google's original BERT: convert it to a Hugging Face folder",
    "*.ckpt*": "this is a TensorFlow checkpoint: convert it to a Hugging Face folder",
    "saved_model.pb": "this is an exported SavedModel: give the folder it was exported from",
    "adapter_config.json": "this is an adapter without its model: merge it into the model and save that",
}

# A part of a name in the cache: no separators, no "..".
_CACHE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a model folder holds; the weights stay in the file until they are asked for.

    Args:
        path: Path. The folder.
        config: BertConfig.
        raw_config: dict. `config.json` as it stands, for writing its unknown keys back.
        architectures: list of str. The classes of transformers it was written for.
        labels: list of str or None. The class names, in the order of their ids.
        tensors: mapping from the file's tensor names to arrays, lazy, with `shapes` and `dtypes`.
        prefix: str. What stands before the encoder's names in `tensors`.
        extras: dict. Our own settings from `keras_bert.json`, or {}.
        warnings: list of str. What a user should be told though it stops nothing.
    """

    path: Path
    config: BertConfig
    raw_config: dict
    architectures: list[str]
    labels: list[str] | None
    tensors: Mapping[str, np.ndarray]
    prefix: str
    extras: dict
    warnings: list[str]


def find_folder(name, revision: str = "main") -> Path:
    """The folder of a model given by path, or by its name in the local Hugging Face cache.

    Args:
        name: str or Path. A folder, or a name such as `"google-bert/bert-base-uncased"`.
        revision: str. Branch, tag or commit, of a name in the cache.

    Raises:
        CheckpointError: says what was looked for where.
    """
    folder = Path(name).expanduser()
    recover(folder)
    if folder.exists():
        return folder
    tried = [f"the folder {folder.absolute()}"]
    if all(map(_CACHE_NAME.fullmatch, (*str(name).split("/"), revision))) and str(name).count("/") <= 1:
        model = _cache() / f"models--{str(name).replace('/', '--')}"
        reference = model / "refs" / revision
        commit = reference.read_text().strip() if reference.is_file() else revision
        snapshot = model / "snapshots" / commit
        if _CACHE_NAME.fullmatch(commit) and snapshot.is_dir():
            return snapshot
        tried.append(f"{revision!r} in the Hugging Face cache {model}")
    raise CheckpointError(
        f"There is no model {str(name)!r}",
        expected=f"one of: {'; '.join(tried)}",
        remedy="give the folder of a downloaded model; nothing is downloaded here",
    )


def read_folder(path, *, check_hashes: bool = True) -> Checkpoint:
    """Opens a model folder and checks that its files agree with one another.

    Args:
        path: str or Path. A Hugging Face BERT folder, or one that `write_folder` wrote.
        check_hashes: bool. Whether to read every file of a folder of ours and compare its SHA-256.

    Returns:
        Checkpoint.

    Raises:
        CheckpointError: no model folder, a damaged file, weights that do not fit the config or the hashes.
        ConfigError: a `config.json` that is not a BERT's.
    """
    path = Path(path)
    recover(path)
    weights_file = _weights_file(path)
    config, raw_config = huggingface.read_config(path)
    extras, warnings = _read_extras(path, check_hashes)
    tensors = read_tensors(weights_file)
    prefix = names.find_prefix(tensors)
    if prefix is None:
        raise CheckpointError(
            f"No word embeddings among its {len(tensors)} tensors",
            where=str(weights_file),
            expected=f"the weights of a BERT, with {names.ROWS[0].huggingface!r}",
        )
    labels = huggingface.labels_from(raw_config, str(path / CONFIG))
    architectures = huggingface.architectures_from(raw_config, str(path / CONFIG))
    huggingface.check_weights(tensors.shapes, tensors.dtypes, config, labels, prefix, where=str(weights_file))
    return Checkpoint(path, config, raw_config, architectures, labels, tensors, prefix, extras, warnings)


def encoder_weights(checkpoint: Checkpoint) -> names.Translation:
    """The weights of encoder and pooler in our names, as float32.

    In the Translation `missing` can only hold the pooler's weights, and `unexpected` the tensors that are
    neither the encoder's nor those of a head that we know.
    """
    parts = (names.ENCODER, names.POOLER)
    found = names.to_ours(checkpoint.tensors, checkpoint.config, checkpoint.prefix, parts=parts)
    heads = {source for row in names.rows(0, names.HEADS) for source in row.sources("huggingface", "")}
    unexpected = [name for name in found.unexpected if name not in heads]
    return names.Translation(_as_float32(found.weights), found.missing, unexpected)


def head_weights(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The weights of the head in our names, as float32; {} where the checkpoint has no head that we know."""
    found = names.to_ours(checkpoint.tensors, checkpoint.config, checkpoint.prefix, parts=names.HEADS)
    return _as_float32(found.weights)


def write_folder(
    path,
    config: BertConfig,
    weights: Mapping[str, np.ndarray],
    *,
    architecture: str,
    tokenizer,
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
    extras: dict | None = None,
    raw_config: dict | None = None,
    more: Callable[[Path], None] | None = None,
):
    """Writes a model folder that transformers opens with nothing missing and nothing unexpected.

    The folder appears whole or not at all. Parts that the architecture has no place for are left out.

    Args:
        path: str or Path. The folder; one of ours is replaced, any other is refused.
        config: BertConfig.
        weights: mapping from our paths to arrays.
        architecture: str. A class of `huggingface.ARCHITECTURES`.
        tokenizer: writes `vocab.txt` and `tokenizer_config.json` by `tokenizer.save(folder)`.
        labels: sequence of str. The class names; needed where the architecture has a classifier.
        problem_type: str. As in `huggingface.write_config`.
        extras: dict. For `keras_bert.json`: `task`, `max_length` …
        raw_config: dict. The `config.json` the model came from, whose unknown keys are kept.
        more: function. Called with the staged folder, to write further files into it (a card, a plot).

    Raises:
        CheckpointError: weights that are not those of this config and architecture.
        OutputError: a folder that cannot be written, or is not ours to replace.
    """
    target = huggingface.architecture(architecture)
    translation = names.from_ours(weights, config, target.prefix, parts=target.parts)
    tensors, missing = translation.weights, sorted(translation.missing)
    unknown = sorted(set(translation.unexpected) - {row.ours for row in names.rows(config.num_layers)})
    if missing or unknown:
        what = f"{architecture} cannot be written: missing {missing}, unknown {unknown}"
        raise CheckpointError(what, where=str(path))
    shapes = {name: array.shape for name, array in tensors.items()}
    dtypes = {name: array.dtype.name for name, array in tensors.items()}
    huggingface.check_weights(shapes, dtypes, config, labels, target.prefix, where=str(path))
    raw = huggingface.write_config(
        config, architecture, labels=labels, problem_type=problem_type, raw_config=raw_config
    )
    with atomic_folder(path, ours=is_ours_to_replace) as stage:
        write_tensors(stage / WEIGHTS, tensors)
        _write_json(stage / CONFIG, raw)
        # safetensors leaves its file readable by its owner alone; a server runs as somebody else.
        shutil.copymode(stage / CONFIG, stage / WEIGHTS)
        tokenizer.save(stage)
        if more is not None:
            more(stage)
        written = sorted(file.relative_to(stage).as_posix() for file in stage.rglob("*") if file.is_file())
        files = hash_files(stage, written)
        _write_json(stage / EXTRAS, {"format": FORMAT, **(extras or {}), "files": files})


def check_output(path):
    """Raises the OutputError of `write_folder` now, not after hours of training; leaves nothing behind."""
    with contextlib.suppress(_Checked), atomic_folder(path, ours=is_ours_to_replace):
        raise _Checked


class _Checked(Exception):
    """Ends `check_output` before anything is put in place."""


def is_ours_to_replace(folder: Path) -> bool:
    """Whether an existing folder was written by `write_folder` and nobody has put anything into it since."""
    try:
        manifest = json_object((folder / EXTRAS).read_bytes(), str(folder / EXTRAS))
        written = {EXTRAS, *(name.split("/")[0] for name in manifest["files"])}
    except (OSError, CheckpointError, KeyError, TypeError):
        return False
    added = sorted(entry.name for entry in folder.iterdir() if entry.name not in written)
    if added:
        raise OutputError(
            f"The folder also holds {', '.join(added[:5])}",
            where=str(folder),
            expected="a folder with nothing in it but the model that is to be replaced",
            remedy="move these files, or choose another output folder",
        )
    return True


def _weights_file(folder: Path) -> Path:
    """The folder's weight file, or an error that says what the folder is instead."""
    try:
        present = sorted(entry.name for entry in folder.iterdir())
    except OSError as cause:
        hint = f"give the folder that holds the file: {folder.parent}" if folder.is_file() else ""
        raise CheckpointError(f"Cannot be read: {cause.strerror}", where=str(folder), remedy=hint) from cause
    weights = next((name for name in (WEIGHTS, SHARDS) if name in present), None)
    if CONFIG in present and weights:
        return folder / weights
    remedy = next((hint for kind, hint in _OTHER_KINDS.items() if fnmatch.filter(present, kind)), "")
    inner = next((name for name in present if (folder / name / CONFIG).is_file()), None)
    if not remedy and inner:
        remedy = f"give the folder {folder / inner}, which holds a config.json"
    raise CheckpointError(
        f"No {WEIGHTS if CONFIG in present else CONFIG} in it, but {', '.join(present[:8]) or 'nothing'}",
        where=str(folder),
        expected=f"a model folder with {CONFIG}, {WEIGHTS} and {VOCABULARY}",
        remedy=remedy,
    )


def _read_extras(folder: Path, check_hashes: bool) -> tuple[dict, list[str]]:
    """Our own settings, and the warnings of the files' hashes."""
    path = folder / EXTRAS
    if not path.is_file():
        return {}, []
    extras = json_object(path.read_bytes(), str(path))
    version, files = extras.pop("format", None), extras.pop("files", {})
    if version != FORMAT or not isinstance(files, dict):
        raise CheckpointError(
            f"`format` is {quoted(version)} and `files` {type(files).__name__}",
            where=str(path),
            expected=f"{FORMAT} and an object",
            remedy="update keras-bert-kit, if a newer one wrote this folder",
        )
    return extras, verify(folder, files) if check_hashes else []


def _as_float32(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(array, dtype=np.float32) for name, array in weights.items()}


def _write_json(path: Path, content: dict):
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _cache() -> Path:
    """Where huggingface_hub keeps its downloads, by the same variables in the same order."""
    direct = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if direct:
        return Path(direct).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or f"{cache}/huggingface").expanduser() / "hub"
