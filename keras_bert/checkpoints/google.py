"""Writing a checkpoint of Google's original BERT: `bert_config.json`, `bert_model.ckpt.*`, `vocab.txt`."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_bert.checkpoints.architectures import ARCHITECTURES, architecture_for
from keras_bert.checkpoints.configs import GOOGLE_CONFIG, OWN_ACTIVATION
from keras_bert.checkpoints.folder import tensors_of
from keras_bert.checkpoints.name_table import GOOGLE, POOLER, PREFIXES
from keras_bert.config import BertConfig
from keras_bert.errors import CheckpointError
from keras_bert.files.atomic import atomic_folder
from keras_bert.text.settings import VOCABULARY_FILE

BUNDLE = "bert_model.ckpt"
# Google's key, ours. Theirs has no epsilon: it is 1e-12.
_KEYS = (
    ("attention_probs_dropout_prob", "attention_dropout"),
    ("hidden_act", "activation"),
    ("hidden_dropout_prob", "dropout"),
    ("hidden_size", "hidden_dim"),
    ("initializer_range", "initializer_range"),
    ("intermediate_size", "intermediate_dim"),
    ("max_position_embeddings", "max_sequence_length"),
    ("num_attention_heads", "num_heads"),
    ("num_hidden_layers", "num_layers"),
    ("type_vocab_size", "num_segments"),
    ("vocab_size", "vocabulary_size"),
)
_EPSILON = 1e-12


def write_google(path, config: BertConfig, weights: Mapping[str, np.ndarray], *, head: str | None, tokenizer):
    """Writes a folder that Google's TensorFlow 1 code and its descendants read.

    Args:
        path: str or Path. The folder; it must not hold anything yet.
        config: BertConfig.
        weights: mapping from our paths to arrays.
        head: str or None. A key of `keras_bert.heads.HEADS`; its weights go along.
        tokenizer: `Tokenizer`.

    Raises:
        CheckpointError: an epsilon or a head that Google's code does not have.
        OutputError: the folder cannot be written.
    """
    from keras_bert.checkpoints.tensor_bundle import write_bundle

    if config.layer_norm_epsilon != _EPSILON:
        raise CheckpointError(
            f"`layer_norm_epsilon` is {config.layer_norm_epsilon}",
            where=str(path),
            expected=f"{_EPSILON}: Google's code has no other",
            remedy="write a Hugging Face folder instead",
        )
    parts = {*ARCHITECTURES[architecture_for(head)].parts, POOLER}
    prefix = PREFIXES[GOOGLE]
    tensors = tensors_of(weights, config, prefix, parts, "Google's BERT cannot be written", path, GOOGLE)
    with atomic_folder(path) as stage:
        write_bundle(stage / BUNDLE, {name: np.asarray(array, order="C") for name, array in tensors.items()})
        raw = _config(config, path)
        (stage / GOOGLE_CONFIG).write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")
        tokenizer.vocabulary.save(stage / VOCABULARY_FILE)


def _config(config: BertConfig, path) -> dict:
    values = config.to_dict()
    raw = {theirs: values[ours] for theirs, ours in _KEYS}
    if values["embedding_dim"] not in (None, config.hidden_dim):
        raw["embedding_size"] = values["embedding_dim"]
    if config.activation == "gelu":
        raw[OWN_ACTIVATION] = "gelu"
        warnings.warn(
            f"{Path(path)}: this model was trained with the erf form of gelu; Google's code computes the "
            "tanh form, whose outputs differ by up to 1e-3. Ours reads the right one from the folder."
        )
    elif config.activation == "gelu_approximate":
        raw["hidden_act"] = "gelu"
    return raw
