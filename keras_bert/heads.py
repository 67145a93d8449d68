"""The heads of BERT: functional models on an encoder, each a paragraph.

Every model shares the encoder's layers and weights, takes its inputs and gives a dict of float32 logits. On a
`packed_encoder` it gives one answer an example where it gives one a text: (B, P, C) for (B, C). The
paths of the heads' own weights:

    masked_lm/transform/{kernel,bias}   masked_lm/layer_norm/{gamma,beta}   masked_lm/output_bias
    masked_lm/decoder                   only where it is not tied to embeddings/token_embedding/embeddings
    next_sentence/{kernel,bias}         question_answering/{kernel,bias}
    classifier/{kernel,bias}            of sequences, of tokens and of choices
"""

import keras
from keras import ops

from keras_bert import features
from keras_bert.config import BertConfig
from keras_bert.errors import UsageError
from keras_bert.layers import Classifier, FlattenChoices, MaskedLmHead, UnflattenChoices


def pretraining(encoder, config, *, tied=True, mask_positions=False) -> keras.Model:
    """Masked pieces and next sentence: {mlm_logits (B, T, V) or (B, M, V), nsp_logits (B, 2)}.

    Class 0 of the next sentence: B really follows A. On a packed encoder: nsp_logits (B, P, 2).
    """
    inputs = _masked_inputs(encoder, mask_positions)
    outputs = {
        "mlm_logits": _masked_lm_logits(inputs, encoder, config, tied),
        "nsp_logits": _next_sentence_logits(encoder, config),
    }
    return keras.Model(inputs, outputs, name="pretraining")


def masked_lm(encoder, config, *, tied=True, mask_positions=False) -> keras.Model:
    """Masked pieces: {mlm_logits (B, T, V) or (B, M, V)}."""
    inputs = _masked_inputs(encoder, mask_positions)
    logits = _masked_lm_logits(inputs, encoder, config, tied)
    return keras.Model(inputs, {"mlm_logits": logits}, name="masked_lm")


def next_sentence(encoder, config) -> keras.Model:
    """Next sentence: {nsp_logits (B, 2)}."""
    return keras.Model(
        encoder.input, {"nsp_logits": _next_sentence_logits(encoder, config)}, name="next_sentence"
    )


def sequence_classification(encoder, config, *, num_labels) -> keras.Model:
    """One class a text: {logits (B, C)}."""
    logits = _classifier(num_labels, config)(_pooled(encoder))  # (B, C)
    return keras.Model(encoder.input, {"logits": logits}, name="sequence_classification")


def token_classification(encoder, config, *, num_labels) -> keras.Model:
    """One class a token: {logits (B, T, C)}."""
    logits = _classifier(num_labels, config)(encoder.output["sequence_output"])  # (B, T, C)
    return keras.Model(encoder.input, {"logits": logits}, name="token_classification")


def question_answering(encoder, config) -> keras.Model:
    """Where the answer begins and ends: {start_logits (B, T), end_logits (B, T)}; padding has scores too."""
    ends = Classifier(2, 0.0, name="question_answering")
    start, end = ops.unstack(ends(encoder.output["sequence_output"]), axis=-1)  # 2 x (B, T)
    return keras.Model(encoder.input, {"start_logits": start, "end_logits": end}, name="question_answering")


def multiple_choice(encoder, config) -> keras.Model:
    """Which of C texts: token_ids, segment_ids, padding_mask (B, C, T) -> {logits (B, C)}."""
    if set(encoder.input) != set(features.ENCODER_FEATURES):
        what = f"Choices cannot be packed; the encoder takes {', '.join(encoder.input)}"
        raise UsageError(
            what, where="encoder", expected=f"one that takes {', '.join(features.ENCODER_FEATURES)}"
        )
    inputs = features.inputs(*features.ENCODER_FEATURES, choices=True)
    flat = {name: FlattenChoices(name=f"flat_{name}")(tensor) for name, tensor in inputs.items()}  # (B*C, T)
    scores = _classifier(1, config)(encoder(flat)["pooled_output"])  # (B*C, 1)
    logits = UnflattenChoices(name="unflatten")(scores, inputs["token_ids"])  # (B, C)
    return keras.Model(inputs, {"logits": logits}, name="multiple_choice")


HEADS = {
    "pretraining": pretraining,
    "masked_lm": masked_lm,
    "next_sentence": next_sentence,
    "sequence_classification": sequence_classification,
    "token_classification": token_classification,
    "question_answering": question_answering,
    "multiple_choice": multiple_choice,
}
_WITH_LABELS = ("sequence_classification", "token_classification")
_WITH_MASKS = ("pretraining", "masked_lm")


def head_model(
    encoder: keras.Model,
    config: BertConfig,
    head: str,
    *,
    num_labels: int | None = None,
    tied: bool = True,
    mask_positions: bool = False,
) -> keras.Model:
    """A head on an encoder, by name.

    Args:
        encoder: the functional model of `bert_encoder`; shared, not copied.
        config: BertConfig. The encoder's.
        head: str. A key of `HEADS`.
        num_labels: int. Classes C, where the head is one over classes; 1 for a regression.
        tied: bool. The masked-language-model head multiplies by the encoder's token table; False gives it a
            table of its own.
        mask_positions: bool. The masked-language-model head reads only the places (B, M) of a further input
            `mask_positions`; False scores every place.
    Returns:
        `keras.Model`: the encoder's inputs -> dict of float32 logits, as the builder in `HEADS` says.
    Raises:
        UsageError: an unknown head, or a setting that it lacks or does not have.
    """
    if head not in HEADS:
        raise UsageError(f"There is no head {head!r}", where="head", expected=f"one of {', '.join(HEADS)}")
    if head in _WITH_LABELS:
        if isinstance(num_labels, bool) or not isinstance(num_labels, int) or num_labels < 1:
            what = f"The number of classes of the head {head!r} is {num_labels!r}"
            raise UsageError(what, where="num_labels", expected="an integer of 1 or more")
    elif num_labels is not None:
        raise UsageError(f"The head {head!r} has no classes to choose", where="num_labels", expected="None")
    if head not in _WITH_MASKS and (mask_positions or not tied):
        where = "mask_positions" if mask_positions else "tied"
        expected = f"one of the heads {', '.join(_WITH_MASKS)}"
        raise UsageError(f"The head {head!r} predicts no masked pieces", where=where, expected=expected)
    settings = {"num_labels": num_labels} if head in _WITH_LABELS else {}
    if head in _WITH_MASKS:
        settings = {"tied": tied, "mask_positions": mask_positions}
    return HEADS[head](encoder, config, **settings)


def _masked_inputs(encoder, mask_positions) -> dict:
    return {**encoder.input, **features.inputs(*(("mask_positions",) if mask_positions else ()))}


def _masked_lm_logits(inputs, encoder, config, tied):
    embeddings = encoder.get_layer("embeddings")
    head = MaskedLmHead(
        config.vocabulary_size,
        config.embedding_width,
        activation=config.activation,
        layer_norm_epsilon=config.layer_norm_epsilon,
        initializer_range=config.initializer_range,
        tied=tied,
        dtype=embeddings.dtype_policy,
        name="masked_lm",
    )
    table = embeddings(inputs["token_ids"], return_table=True) if tied else None  # (V, E)
    return head(
        encoder.output["sequence_output"], token_table=table, mask_positions=inputs.get("mask_positions")
    )  # (B, M, V)


def _next_sentence_logits(encoder, config):
    classifier = Classifier(2, 0.0, config.initializer_range, name="next_sentence")  # no dropout in BERT
    return classifier(_pooled(encoder))  # (B, 2)


def _pooled(encoder):
    if "pooled_output" not in encoder.output:
        raise UsageError(
            "The packed encoder has no vector for an example", where="encoder",
            expected="one with pooled_output", remedy="make it with packed_encoder(encoder, pooled=True)",
        )  # fmt: skip
    return encoder.output["pooled_output"]  # (B, D), or (B, P, D) where it is packed


def _classifier(num_labels, config):
    return Classifier(num_labels, config.head_dropout, name="classifier")
