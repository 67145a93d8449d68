"""Which files of a folder hold its weights, and in whose names: one opener per format, tried in order."""

import dataclasses
import fnmatch
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_bert.checkpoints import keras_nlp, name_table
from keras_bert.checkpoints.bundle_files import find_bundles
from keras_bert.checkpoints.dialects import current_names, find_dialect, find_prefix
from keras_bert.checkpoints.hdf5_file import Hdf5File
from keras_bert.checkpoints.json_text import quoted
from keras_bert.checkpoints.lazy_tensors import JoinedTensors, LazyTensors, RenamedTensors
from keras_bert.checkpoints.object_graph import object_graph_names
from keras_bert.checkpoints.safetensors_file import SafetensorsFile, read_tensors
from keras_bert.checkpoints.shards import refuse_link_outside
from keras_bert.checkpoints.tensor_bundle import TensorBundle
from keras_bert.checkpoints.torch_file import read_torch
from keras_bert.errors import CheckpointError

CONFIG, WEIGHTS, SHARDS = "config.json", "model.safetensors", "model.safetensors.index.json"
# Ours, beside WEIGHTS: what the class of transformers in the config has no place for, such as a pooler.
MORE_WEIGHTS = "keras_bert.safetensors"
OWN_PREFIX = "keras_bert/"  # before the paths of weights that are only ours, such as a CRF's
# In the order of preference, where a folder has several.
_READERS = {
    WEIGHTS: read_tensors,
    SHARDS: read_tensors,
    "pytorch_model.bin": read_torch,
    "pytorch_model.bin.index.json": read_torch,
    "tf_model.h5": Hdf5File,
}
WEIGHT_FILES = tuple(_READERS)
# A file that tells another kind of folder, and what to do with one.
_OTHER_KINDS = {
    "adapter_config.json": "this is an adapter without its model: merge it into the model and save that",
    "*.onnx": "this is an ONNX export: give the folder it was exported from",
    "*.gguf": "this is a quantised file for llama.cpp: give the folder it was made from",
    "flax_model.msgpack": "open it with transformers 4 (from_flax=True) and save it again as safetensors",
    "*.weights": "these are weights without names (bert4keras' save_weights): use save_weights_as_checkpoint",
    "*.index": "the .index file is no TensorFlow checkpoint's, or cut: copy the checkpoint again",
    "saved_model.pb": "this SavedModel has no variables of a BERT: give the folder it was exported from",
}
# A dense layer of its own before the classes, which is BERT's pooler in all but name.
_GARDEN_POOLERS = ("sentence_prediction/pooler_dense", "next_sentence/pooler_dense")


@dataclasses.dataclass(frozen=True)
class Weights:
    """The weights of a folder, still in their file.

    Args:
        path: Path. The file, for messages.
        tensors: mapping from the file's names to arrays, lazy, with `shapes` and `dtypes`.
        dialect: str. One of `name_table.DIALECTS`.
        prefix: str. What stands before the encoder's names.
    """

    path: Path
    tensors: Mapping[str, np.ndarray]
    dialect: str
    prefix: str

    @property
    def stored(self) -> dict[str, str]:
        """Name of the table to the name in `tensors`."""
        return current_names(self.tensors, self.dialect)


def open_weights(folder: Path) -> Weights:
    """Finds and opens the weights of a folder.

    Args:
        folder: Path.

    Returns:
        Weights.

    Raises:
        CheckpointError: no weights of a BERT in it; says what the folder is instead.
    """
    present = _entries(folder)
    path, tensors = _open_first(folder, present)
    if tensors is None:
        raise _nothing_found(folder, present)
    if isinstance(tensors, TensorBundle):
        tensors = _with_full_names(tensors)
    dialect = find_dialect(tensors)
    if dialect is None:
        markers = sorted({name_table.ROWS[0].names[dialect] for dialect in name_table.DIALECTS})
        raise CheckpointError(
            f"No word embeddings among its {len(tensors)} tensors",
            where=str(path),
            expected=f"the weights of a BERT, with a name that ends in one of {', '.join(markers)}",
            remedy=_other_model(tensors),
        )
    return Weights(path, tensors, dialect, find_prefix(tensors, dialect))


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as cause:
        hint = f"give the folder that holds the file: {folder.parent}" if folder.is_file() else ""
        raise CheckpointError(f"Cannot be read: {cause.strerror}", where=str(folder), remedy=hint) from cause


def _open_first(folder: Path, present: list[str]):
    for name, reader in _READERS.items():
        if name in present:
            refuse_link_outside(folder / name)
            tensors = reader(folder / name)
            return folder / name, _with_more(folder, tensors) if MORE_WEIGHTS in present else tensors
    if keras_nlp.is_preset(folder):
        return folder, keras_nlp.preset_tensors(folder)
    files = [name for name in present if name.endswith(".h5")]
    if len(files) == 1:
        refuse_link_outside(folder / files[0])
        return folder / files[0], Hdf5File(folder / files[0])
    for prefix in find_bundles(folder):
        return prefix, TensorBundle(prefix)
    return folder, None


def _with_more(folder: Path, tensors: LazyTensors) -> LazyTensors:
    """The tensors, and those of the file beside them."""
    path = folder / MORE_WEIGHTS
    refuse_link_outside(path)
    more = SafetensorsFile(path)
    twice = sorted(more.shapes.keys() & tensors.shapes.keys())
    if twice:
        raise CheckpointError(
            f"{len(twice)} tensors also stand in the file of the weights, first {quoted(twice[0])}",
            where=str(path),
            remedy="the two files belong to different models: copy the folder again",
        )
    return JoinedTensors(tensors, more)


def _with_full_names(bundle: TensorBundle):
    """TensorFlow 2 stores tensors by their place in the object; their own names stand in the graph."""
    names = object_graph_names(bundle)
    if not names:
        return bundle
    stored = {}
    for key in bundle:
        if ".OPTIMIZER_SLOT" not in key and names.get(key):
            stored.setdefault(names[key], key)
    for pooler in _GARDEN_POOLERS:
        for ending in ("kernel", "bias"):
            own = next((name for name in stored if name.endswith(f"{pooler}/{ending}")), None)
            if own:
                stored[f"pooler_transform/{ending}"] = stored.pop(own)
    return RenamedTensors(bundle, stored)


def _nothing_found(folder: Path, present: list[str]) -> CheckpointError:
    remedy = next((hint for kind, hint in _OTHER_KINDS.items() if fnmatch.filter(present, kind)), "")
    inner = next((name for name in present if (folder / name / CONFIG).is_file()), None)
    if not remedy and inner:
        remedy = f"give the folder {folder / inner}, which holds a {CONFIG}"
    return CheckpointError(
        f"No weights in it, but {', '.join(present[:8]) or 'nothing'}",
        where=str(folder),
        expected=f"a model folder: {WEIGHTS}, pytorch_model.bin, tf_model.h5, *.ckpt.index …",
        remedy=remedy,
    )


def _other_model(tensors) -> str:
    """What a checkpoint without BERT's names may be."""
    known = {
        "albert": "ALBERT", "electra": "ELECTRA", "distilbert": "DistilBERT", "roberta": "RoBERTa",
        "deberta": "DeBERTa", "model.layers": "ModernBERT", "transformer.h": "GPT-2",
    }  # fmt: skip
    found = next((title for word, title in known.items() if any(word in name for name in tensors)), None)
    return f"these look like the weights of {found}, which has other layers than BERT" if found else ""
