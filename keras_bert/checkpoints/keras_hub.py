"""keras-hub: a live model as a checkpoint, and a preset written from our weights."""

import warnings
from pathlib import Path

from keras_bert.checkpoints.architectures import find_head
from keras_bert.checkpoints.checkpoint import Checkpoint
from keras_bert.checkpoints.folder import tensors_of
from keras_bert.checkpoints.formats import Weights
from keras_bert.checkpoints.keras_nlp import backbone_config, backbone_tensors, write_preset
from keras_bert.checkpoints.name_table import CLASSIFIER, ENCODER, KERAS_HUB, MASKED_LM, POOLER

_PARTS = {"masked_lm": (MASKED_LM,), "sequence_classification": (CLASSIFIER,)}


def checkpoint_of(model) -> Checkpoint:
    """A live `BertBackbone` of keras-hub, or a classifier or masked LM around one, as a `Checkpoint`.

    Raises:
        CheckpointError: another model.
    """
    where = Path(type(model).__name__)
    weights = Weights(where, backbone_tensors(model), KERAS_HUB, "")
    return Checkpoint(
        where, backbone_config(model), {}, [], None, weights, find_head(weights, []), None, {}, []
    )


def write_keras_hub(path, config, weights, *, head, tokenizer, head_config=None):
    """Writes a preset that `BertBackbone.from_preset` opens, or the class of keras-hub that has the head.

    Args:
        path: str or Path. The folder; an earlier preset there is replaced.
        config: BertConfig.
        weights: mapping from our paths to arrays.
        head: str or None. A key of `keras_bert.heads.HEADS`; one that keras-hub does not have is left out.
        tokenizer: `Tokenizer`.
        head_config: BertConfig or None. Whose activation and epsilon a masked LM's head has; None: `config`.

    Raises:
        CheckpointError: keras-hub would compute other numbers, such as with the erf form of gelu.
        OutputError: the folder cannot be written.
    """
    parts = {ENCODER, POOLER, *_PARTS.get(head, ())}
    tensors = tensors_of(
        weights, config, "", parts, "A preset of keras-hub cannot be written", path, KERAS_HUB
    )
    if head is not None and head not in _PARTS:
        warnings.warn(f"{path}: keras-hub has no head for {head}: the preset holds the encoder alone")
    notes = write_preset(
        path,
        config,
        tensors,
        tokenizer.vocabulary.pieces,
        tokenizer.lowercase,
        strip_accents=tokenizer.strip_accents,
        head_config=head_config,
    )
    for note in notes:
        warnings.warn(f"{path}: {note}")
