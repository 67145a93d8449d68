"""The names tensors are stored under -> the names of the table, dialect by dialect."""

import re
from collections.abc import Iterable

from keras_bert.checkpoints.name_table import (
    CYBERZHG,
    GOOGLE,
    HUGGINGFACE,
    KERAS_HUB,
    MODEL_GARDEN,
    ROWS,
    TRANSFORMERS_TF,
)

# Constants that older releases of transformers stored beside the weights.
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
# Hugging Face checkpoints converted before 2019 keep Google's names for the two vectors of a layer norm.
_OLD_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
# An untied decoder adds its own bias, and the other one is dead; tied, they are one.
OWN_BIAS, BIAS = "cls.predictions.decoder.bias", "cls.predictions.bias"
# What optimizers, counters and moving averages leave in a checkpoint.
_TRAINING = re.compile(
    r"(.*/)?(adam_[mv]|lamb_[mv]|Adam(_\d)?|Momentum|ExponentialMovingAverage|global_step|"
    r"beta[12]_power|(m|v)/.*|iteration|learning_rate|save_counter|Variable|_CHECKPOINTABLE_OBJECT_GRAPH|"
    r"loss_scale|good_steps|bad_step_counter|do_lower_case)"
)


def current_names(tensors: Iterable[str], dialect: str = HUGGINGFACE) -> dict[str, str]:
    """The table's name of every tensor to the name it is stored under; buffers and optimizers left out."""
    if dialect == HUGGINGFACE:
        return _huggingface(tensors)
    rename = _RENAMES.get(dialect, lambda name: name)
    current = {}
    for name in tensors:
        if not _TRAINING.fullmatch(name):
            current.setdefault(rename(name), name)
    return current


def _huggingface(tensors) -> dict[str, str]:
    stored = [name for name in tensors if not name.endswith(_BUFFERS)]
    current = {name: name for name in stored}
    for name in stored:
        for old, new in _OLD_ENDINGS.items():
            renamed = name.removesuffix(old) + new
            if name.endswith(old) and renamed not in current:
                current[renamed] = current.pop(name)
    if OWN_BIAS in current:
        current[BIAS] = current.pop(OWN_BIAS)
    return current


def _transformers_tf(name: str) -> str:
    """`bert/tf_bert_for_…/bert/encoder/layer_._0/…:0` -> `bert/encoder/layer_0/…`"""
    name = re.sub(r"^.*\btf_bert_\w+/", "", name.removesuffix(":0"))
    return name.replace("/layer_._", "/layer_")


def _model_garden(name: str) -> str:
    """Full names of variables; the masked LM's stand below the name of its model."""
    return re.sub(r"^(bert(_\w+)?/)(?=cls/|next_sentence/)", "", name)


def _cyberzhg(name: str) -> str:
    """`Encoder-1-FeedForward/Encoder-1-FeedForward/Encoder-1-FeedForward_W1:0` -> the layer's name once."""
    parts = name.removesuffix(":0").split("/")
    if "_" in parts[-1] or len(parts) < 2:
        return parts[-1]
    return "/".join(parts[-2:])


_RENAMES = {TRANSFORMERS_TF: _transformers_tf, MODEL_GARDEN: _model_garden, CYBERZHG: _cyberzhg}


def find_prefix(tensors: Iterable[str], dialect: str = HUGGINGFACE) -> str | None:
    """What stands before the encoder's names in a checkpoint (`"bert."` or nothing).

    Args:
        tensors: names of the checkpoint.
        dialect: str. One of `name_table.DIALECTS`.

    Returns:
        str, or None where the names hold no word embeddings.
    """
    marker = ROWS[0].names[dialect]
    found = [name.removesuffix(marker) for name in current_names(tensors, dialect) if name.endswith(marker)]
    if dialect == KERAS_HUB:  # below another layer the same words are our own path, or another model's
        found = [prefix for prefix in found if not prefix]
    return min(found, key=len) if found else None


def find_dialect(tensors: Iterable[str]) -> str | None:
    """The dialect the names are of, by the table of token embeddings; None where it is none of them."""
    tensors = list(tensors)
    for dialect in (HUGGINGFACE, TRANSFORMERS_TF, GOOGLE, MODEL_GARDEN, CYBERZHG, KERAS_HUB):
        if find_prefix(tensors, dialect) is not None:
            return dialect
    return None
