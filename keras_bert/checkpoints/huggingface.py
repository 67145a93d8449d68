"""Hugging Face's `config.json`, and Google's, which has the same keys."""

import re
from collections.abc import Sequence
from pathlib import Path

from keras_bert.checkpoints.json_text import json_object, quoted
from keras_bert.config import BertConfig
from keras_bert.errors import ConfigError
from keras_bert.files.regular import read_regular

# Ours, theirs, the type in their file, the shape letter it is the size of (`keras_bert.layers`). Where a
# file is silent, transformers' default is also ours.
FIELDS = (
    ("vocabulary_size", "vocab_size", int, "V"),
    ("num_layers", "num_hidden_layers", int, ""),
    ("num_heads", "num_attention_heads", int, "N"),
    ("hidden_dim", "hidden_size", int, "D"),
    ("intermediate_dim", "intermediate_size", int, "F"),
    ("embedding_dim", "embedding_size", int, "E"),
    ("activation", "hidden_act", str, ""),
    ("dropout", "hidden_dropout_prob", float, ""),
    ("attention_dropout", "attention_probs_dropout_prob", float, ""),
    ("classifier_dropout", "classifier_dropout", float, ""),
    ("max_sequence_length", "max_position_embeddings", int, "P"),
    ("num_segments", "type_vocab_size", int, "S"),
    ("layer_norm_epsilon", "layer_norm_eps", float, ""),
    ("initializer_range", "initializer_range", float, ""),
    ("pad_token_id", "pad_token_id", int, ""),
)
REQUIRED = ("vocab_size", "num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size")
# In their file null stands for the default.
NULLABLE = ("classifier_dropout", "pad_token_id", "embedding_size")

# Their name to ours. The first of several with one meaning is the one we write.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_approximate",
    "gelu_pytorch_tanh": "gelu_approximate",
    "gelu_fast": "gelu_approximate",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}
_ACTIVATION_OF = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}

# Known keys that describe the head or the stored bits, so that a stale value would be a lie.
_HEAD_KEYS = ("id2label", "label2id", "num_labels", "problem_type")
_BITS_KEYS = ("dtype", "torch_dtype")


def read_config(folder) -> tuple[BertConfig, dict]:
    """The `config.json` of a folder.

    Args:
        folder: str or Path.

    Returns:
        BertConfig, and the file's content as it stands.

    Raises:
        ConfigError: unreadable, not a BERT's, or a value that no BERT can have; names the file and the key.
    """
    path = Path(folder) / "config.json"
    raw = _read_json(path)
    return config_from(raw, str(path)), raw


def refuse_other_models(folder):
    """Raises the ConfigError of `read_config` for models that are no BERT, whatever else is wrong with it."""
    path = Path(folder) / "config.json"
    _refuse_other_models(_read_json(path), str(path))


def _read_json(path: Path) -> dict:
    try:
        return json_object(read_regular(path), str(path), ConfigError)
    except OSError as cause:
        raise ConfigError(f"Cannot be read: {cause.strerror}", where=str(path)) from cause


def config_from(raw: dict, where: str) -> BertConfig:
    """The BertConfig that the content of a `config.json` describes.

    Args:
        raw: dict. Their keys.
        where: str. The file, for messages.
    """
    _refuse_other_models(raw, where)
    absent = [theirs for theirs in REQUIRED if raw.get(theirs) is None]
    if absent:
        raise ConfigError(f"Missing: {', '.join(absent)}", where=where, expected="the config.json of a BERT")
    values = {}
    for ours, theirs, kind, _ in FIELDS:
        if theirs not in raw or (raw[theirs] is None and theirs in NULLABLE):
            continue
        values[ours] = _checked(raw[theirs], theirs, kind, where)
    try:
        return BertConfig(**values)
    except ConfigError as error:
        raise ConfigError(_in_their_words(error.what), where=where) from None


def labels_from(raw: dict, where: str) -> list[str] | None:
    """The class names of `id2label`, in the order of their ids; None where the file has none."""
    names = raw.get("id2label")
    if names is None:
        return None
    ids = [str(index) for index in range(len(names))] if isinstance(names, dict) else None
    if ids is None or set(ids) != set(names) or not all(isinstance(name, str) for name in names.values()):
        raise ConfigError(
            "`id2label` is not a list of classes",
            where=where,
            expected='{"0": "first class", "1": "second" …}',
        )
    return [names[index] for index in ids]


def architectures_from(raw: dict, where: str) -> list[str]:
    """The classes of transformers that a `config.json` names; [] where it names none."""
    classes = raw.get("architectures") or []
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ConfigError(
            f"`architectures` is {quoted(classes)}", where=where, expected="a list of names of classes"
        )
    return classes


def write_config(
    config: BertConfig,
    architecture: str,
    *,
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
    raw_config: dict | None = None,
) -> dict:
    """The content of a `config.json`; the inverse of `read_config`.

    Args:
        config: BertConfig.
        architecture: str. The class of transformers that the weights are for.
        labels: sequence of str. The class names, in the order of their ids; None without a head.
        problem_type: str. `"single_label_classification"`, `"multi_label_classification"` or
            `"regression"`, where the head needs it said.
        raw_config: dict. The file the model came from; its unknown keys are kept, and so is its way of
            writing a value that has not changed.

    Returns:
        dict, to be written as JSON.
    """
    raw = {key: value for key, value in (raw_config or {}).items() if key not in (*_HEAD_KEYS, *_BITS_KEYS)}
    raw["architectures"] = [architecture]
    raw["model_type"] = "bert"
    values = config.to_dict()
    before = config_from(raw_config, "raw_config").to_dict() if raw_config else {}
    for ours, theirs, _, _ in FIELDS:
        if ours == "embedding_dim" and values[ours] in (None, config.hidden_dim):
            raw.pop(theirs, None)  # transformers' BERT has no such key
        elif theirs not in raw or before.get(ours) != values[ours]:
            raw[theirs] = _ACTIVATION_OF[values[ours]] if ours == "activation" else values[ours]
    if labels is not None:
        raw["id2label"] = {str(index): name for index, name in enumerate(labels)}
        raw["label2id"] = {name: index for index, name in enumerate(labels)}
    if problem_type is not None:
        raw["problem_type"] = problem_type
    return raw


def _refuse_other_models(raw: dict, where: str):
    """Refuses, by name, what has BERT's keys but not BERT's arithmetic."""
    # Files of 2019 have no model_type; their other keys are checked like everybody's. A keras-hub preset has
    # a config.json of its own kind.
    if "registered_name" in raw:
        return
    model_type = raw.get("model_type", "bert")
    if model_type != "bert":
        raise ConfigError(
            f"`model_type` is {quoted(model_type)}",
            where=where,
            expected="'bert'",
            remedy="use a checkpoint of BERT's own architecture; other layers cannot be loaded into it",
        )
    positions = raw.get("position_embedding_type") or "absolute"
    if positions != "absolute":
        raise ConfigError(
            f"`position_embedding_type` is {quoted(positions)}",
            where=where,
            expected="'absolute'",
            remedy="use a checkpoint with learned absolute positions; relative ones are another arithmetic",
        )
    for key in ("is_decoder", "add_cross_attention"):
        if raw.get(key):
            raise ConfigError(
                f"`{key}` is {quoted(raw[key])}", where=where, expected="an encoder, where it is false"
            )


def _checked(value, theirs: str, kind: type, where: str):
    """The value in our terms, or a ConfigError that names their key."""
    accepted = (int, float) if kind is float else kind
    if isinstance(value, bool) or not isinstance(value, accepted):
        expected = {int: "an integer", float: "a number", str: "a string"}[kind]
        raise ConfigError(f"`{theirs}` is {quoted(value)}", where=where, expected=expected)
    if theirs != "hidden_act":
        return value
    if value not in ACTIVATIONS:
        raise ConfigError(
            f"`hidden_act` is {quoted(value)}",
            where=where,
            expected=f"one of {', '.join(sorted(ACTIVATIONS))}",
        )
    return ACTIVATIONS[value]


def _in_their_words(message: str) -> str:
    """A message of `BertConfig` with the keys that stand in the file."""
    theirs = {ours: theirs for ours, theirs, _, _ in FIELDS}
    return re.sub(r"\w+", lambda word: theirs.get(word[0], word[0]), message)
