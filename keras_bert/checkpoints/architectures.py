"""The classes of transformers: which weights each has, and which head that is."""

import dataclasses

from keras_bert.checkpoints.name_table import (
    CLASSIFIER,
    DECODER,
    ENCODER,
    HEADS,
    HUGGINGFACE,
    MASKED_LM,
    NEXT_SENTENCE,
    POOLER,
    PREFIXES,
    QUESTION_ANSWERING,
)
from keras_bert.checkpoints.names import rows
from keras_bert.errors import CheckpointError


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Which weights a class of transformers has.

    Args:
        head: str or None. A key of `keras_bert.heads.HEADS`.
        parts: tuple of str. Parts of the table of names.
        prefix: str. What stands before the names of encoder and pooler.
    """

    head: str | None
    parts: tuple[str, ...]
    prefix: str = PREFIXES[HUGGINGFACE]


ARCHITECTURES = {
    "BertModel": Architecture(None, (ENCODER, POOLER), ""),
    "BertForPreTraining": Architecture("pretraining", (ENCODER, POOLER, MASKED_LM, NEXT_SENTENCE)),
    "BertForMaskedLM": Architecture("masked_lm", (ENCODER, MASKED_LM)),
    "BertForNextSentencePrediction": Architecture("next_sentence", (ENCODER, POOLER, NEXT_SENTENCE)),
    "BertForSequenceClassification": Architecture("sequence_classification", (ENCODER, POOLER, CLASSIFIER)),
    "BertForTokenClassification": Architecture("token_classification", (ENCODER, CLASSIFIER)),
    "BertForQuestionAnswering": Architecture("question_answering", (ENCODER, QUESTION_ANSWERING)),
    "BertForMultipleChoice": Architecture("multiple_choice", (ENCODER, POOLER, CLASSIFIER)),
}


def architecture(name: str) -> Architecture:
    """The entry of `ARCHITECTURES`, or a CheckpointError that lists them."""
    if name not in ARCHITECTURES:
        raise CheckpointError(
            f"The architecture {name!r} cannot be written", expected=f"one of {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[name]


def architecture_for(head: str | None) -> str:
    """The class of transformers that has this head."""
    return next(name for name, entry in ARCHITECTURES.items() if entry.head == head)


def parts_in(weights) -> list[str]:
    """The heads of the table that some `Weights` hold completely, and the pooler."""
    stored = weights.stored
    return [
        part
        for part in (POOLER, *HEADS)
        if all(
            sources and stored.keys() >= set(sources)
            for sources in (row.sources(weights.dialect, weights.prefix) for row in rows(0, (part,)))
        )
    ]


def find_head(weights, classes: list[str]) -> str | None:
    """The head some `Weights` have: the one their config names, if it is there, else what the tensors tell.

    Args:
        weights: `formats.Weights`.
        classes: list of str. `architectures` of the config.
    """
    parts = parts_in(weights)
    for name in classes:
        known = ARCHITECTURES.get(name.removeprefix("TF"))
        if known and known.head and set(known.parts) - {ENCODER, POOLER} <= set(parts):
            return known.head
    if MASKED_LM in parts:
        return "pretraining" if NEXT_SENTENCE in parts else "masked_lm"
    if NEXT_SENTENCE in parts:
        return "next_sentence"
    if QUESTION_ANSWERING in parts:
        return "question_answering"
    if CLASSIFIER in parts:
        return "sequence_classification" if POOLER in parts else "token_classification"
    return None


def is_tied(weights) -> bool:
    """Whether the masked LM's decoder is the table of token embeddings."""
    import numpy as np

    [decoder] = rows(0, (DECODER,))
    sources = decoder.sources(weights.dialect, weights.prefix)
    if not sources or sources[0] not in weights.stored:
        return True
    table = rows(0, (ENCODER,))[0].sources(weights.dialect, weights.prefix)[0]
    own, table = (weights.tensors[weights.stored[name]] for name in (sources[0], table))
    return own.shape == table.shape and np.array_equal(own, table)
