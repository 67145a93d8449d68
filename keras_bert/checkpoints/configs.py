"""The shape of a checkpoint's network: from its config, of whatever kind, or from the tensors alone."""

import re
from pathlib import Path

from keras_bert.checkpoints import huggingface, keras_nlp, names
from keras_bert.checkpoints.formats import CONFIG, Weights
from keras_bert.checkpoints.json_text import json_object
from keras_bert.checkpoints.name_table import (
    CYBERZHG,
    GOOGLE,
    KERAS_HUB,
    MODEL_GARDEN,
    PROJECTION,
    ROWS,
)
from keras_bert.config import BertConfig
from keras_bert.errors import CheckpointError, ConfigError
from keras_bert.files.regular import read_regular

GOOGLE_CONFIG = "bert_config.json"
OWN_ACTIVATION = "keras_bert_activation"  # what we add where Google's one "gelu" cannot tell the two apart
# Libraries whose "gelu" is the tanh form.
_TANH_GELU = (GOOGLE, MODEL_GARDEN, CYBERZHG)
_CYBERZHG_EPSILON = 1e-14


def read_any_config(folder: Path, weights: Weights) -> tuple[BertConfig, dict]:
    """The shape of the network in a folder.

    Args:
        folder: Path.
        weights: Weights. Of the folder.

    Returns:
        BertConfig, and the content of `config.json` as Hugging Face writes it, {} where there is none.

    Raises:
        ConfigError, CheckpointError: no config where one is needed, or one that is not a BERT's.
    """
    if weights.dialect == KERAS_HUB:
        fields, _ = keras_nlp.read_preset_config(folder)
        return BertConfig(**fields), {}
    if (folder / CONFIG).is_file():
        return huggingface.read_config(folder)
    config = _google_config(folder, weights) or _from_shapes(weights)
    if weights.dialect == CYBERZHG:
        config = config.replace(layer_norm_epsilon=_CYBERZHG_EPSILON)
    return config, {}


def _google_config(folder: Path, weights: Weights) -> BertConfig | None:
    path = folder / GOOGLE_CONFIG
    if not path.is_file():
        return None
    raw = json_object(read_regular(path), str(path), ConfigError)
    config = huggingface.config_from(raw, str(path))
    if raw.get(OWN_ACTIVATION) == "gelu":
        return config
    if config.activation == "gelu" and weights.dialect in _TANH_GELU:
        config = config.replace(activation="gelu_approximate")
    return config


def _from_shapes(weights: Weights) -> BertConfig:
    """The config that the tensors' shapes tell; the number of heads only where they are an axis."""
    stored, shapes = weights.stored, weights.tensors.shapes
    found = {}
    for row in names.rows(1):
        for source in row.sources(weights.dialect, weights.prefix):
            if source not in stored:
                continue
            shape = shapes[stored[source]]
            if row.fused and len(shape) == 3:
                found.setdefault("N", shape[1])
            letters = row.source_letters(weights.dialect)
            for letter, size in zip(letters, names.flat_shape(row, shape), strict=False):
                found.setdefault(letter, size)
    absent = [letter for letter in "VPSDFN" if letter not in found]
    if absent:
        what = "the number of attention heads" if absent == ["N"] else "the shape of the network"
        raise CheckpointError(
            f"Nothing says {what}",
            where=str(weights.path),
            expected=f"a {CONFIG} or {GOOGLE_CONFIG} beside the weights",
            remedy="copy the file that was published with this checkpoint into the folder",
        )
    return BertConfig(
        vocabulary_size=found["V"],
        num_layers=num_blocks(weights),
        num_heads=found["N"],
        hidden_dim=found["D"],
        intermediate_dim=found["F"],
        max_sequence_length=found["P"],
        num_segments=found["S"],
        activation="gelu_approximate" if weights.dialect in _TANH_GELU else "gelu",
        embedding_dim=found["E"] if found["E"] != found["D"] else None,
    )


def num_blocks(weights: Weights) -> int:
    """How many encoder blocks the names hold, refusing a gap in their numbers.

    Raises:
        CheckpointError: blocks are missing between others.
    """
    name = next(row.names[weights.dialect] for row in ROWS if "{i}" in row.ours)
    place = min(name.find(number) for number in ("{i}", "{n}") if number in name)
    first = int(name.startswith("{n}", place))
    pattern = re.compile(re.escape(weights.prefix + name[:place]) + r"(\d{1,5})(?!\d)")
    found = {int(match[1]) - first for match in map(pattern.match, weights.stored) if match}
    if found != set(range(len(found))):
        raise CheckpointError(
            f"There are {len(found)} encoder blocks, but the last has the number {max(found) + first}",
            where=str(weights.path),
            remedy="the checkpoint is not whole: download it again",
        )
    return len(found)


def is_factorised(weights: Weights) -> bool:
    """Whether the embeddings are projected to the width of the network."""
    sources = [
        source
        for row in names.rows(0, (PROJECTION,))
        for source in row.sources(weights.dialect, weights.prefix)
    ]
    return any(source in weights.stored for source in sources)
