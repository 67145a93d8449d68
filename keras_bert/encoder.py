"""The network, as a paragraph."""

import keras

from keras_bert import features
from keras_bert.config import BertConfig
from keras_bert.errors import UsageError
from keras_bert.layers import AttentionScores, BertEmbeddings, ClsPooler, EncoderBlock, ExampleMask

_PACKED_FEATURES = ("token_ids", "segment_ids", "position_ids", "example_ids")


def bert_encoder(config: BertConfig, *, dtype=None, name="bert") -> keras.Model:
    """A BERT encoder as a functional model.

    Args:
        config: BertConfig. Its shape.
        dtype: str or `keras.DTypePolicy`. `"float32"` or `"mixed_bfloat16"`; None means Keras' global policy.
        name: str. The model's name.
    Returns:
        `keras.Model`: {token_ids, segment_ids, padding_mask: int32 (B, T)} ->
        {sequence_output: (B, T, D), pooled_output: (B, D)}.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805
    """
    inputs = features.inputs(*features.ENCODER_FEATURES)
    x = BertEmbeddings(
        config.vocabulary_size,
        config.hidden_dim,
        max_sequence_length=config.max_sequence_length,
        num_segments=config.num_segments,
        dropout=config.dropout,
        layer_norm_epsilon=config.layer_norm_epsilon,
        initializer_range=config.initializer_range,
        embedding_dim=config.embedding_dim,
        dtype=dtype,
        name="embeddings",
    )(inputs["token_ids"], inputs["segment_ids"])  # (B, T, D)
    for i in range(config.num_layers):
        x = EncoderBlock(
            config.num_heads,
            config.intermediate_dim,
            activation=config.activation,
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
            layer_norm_epsilon=config.layer_norm_epsilon,
            initializer_range=config.initializer_range,
            dtype=dtype,
            name=f"block_{i}",
        )(x, padding_mask=inputs["padding_mask"])  # (B, T, D)
    pooled = ClsPooler(
        config.hidden_dim, initializer_range=config.initializer_range, dtype=dtype, name="pooler"
    )(x)  # (B, D)
    return keras.Model(inputs, {"sequence_output": x, "pooled_output": pooled}, name=name)


def packed_encoder(encoder: keras.Model, *, pooled: bool = True) -> keras.Model:
    """The encoder for rows that hold several examples each; it shares every layer and weight of `encoder`.

    No token sees one of another example of its row: every example gets the vectors that it gets alone.

    Args:
        encoder: the functional model of `bert_encoder`.
        pooled: bool. False leaves out `pooled_output`, and with it the input `cls_positions`.
    Returns:
        `keras.Model`: {token_ids, segment_ids, position_ids, example_ids: int32 (B, T), cls_positions: int32
        (B, P)} -> {sequence_output: (B, T, D), pooled_output: (B, P, D)}; what `corpus.row_packing` lays out.
        What stands at padding and at unused places of P is unspecified, but finite.
    """
    names = (*_PACKED_FEATURES, *(("cls_positions",) if pooled else ()))
    inputs = features.inputs(*names)
    x = encoder.get_layer("embeddings")(
        inputs["token_ids"], inputs["segment_ids"], position_ids=inputs["position_ids"]
    )  # (B, T, D)
    mask = ExampleMask(name="example_mask")(inputs["example_ids"])  # (B, T, T)
    for block in _blocks(encoder):
        x = block(x, padding_mask=mask)  # (B, T, D)
    outputs = {"sequence_output": x}
    if pooled:
        pooler = encoder.get_layer("pooler")
        outputs["pooled_output"] = pooler(x, cls_positions=inputs["cls_positions"])  # (B, P, D)
    return keras.Model(inputs, outputs, name=f"packed_{encoder.name}")


def attention_scores(encoder: keras.Model) -> keras.Model:
    """A model that shows the attention of every block of `encoder`, sharing its layers.

    Args:
        encoder: the functional model of `bert_encoder`.
    Returns:
        `keras.Model`: the encoder's inputs -> {block_0, block_1, ...: float32 (B, N, T, S)}; the
        probabilities before dropout.
    Raises:
        UsageError: a packed encoder.
    """
    if "padding_mask" not in encoder.input:
        raise UsageError(
            "Attention is shown of texts, not of packed rows", where="encoder",
            expected="the functional model of `bert_encoder`",
        )  # fmt: skip
    mask = encoder.input["padding_mask"]
    outputs, x = {}, encoder.get_layer("embeddings").output
    for block in _blocks(encoder):
        show = AttentionScores(block.attention, name=f"{block.name}_attention_scores")
        outputs[block.name] = show(x, padding_mask=mask)  # (B, N, T, S)
        x = block.output
    return keras.Model(encoder.input, outputs, name="attention_scores")


def _blocks(encoder) -> list:
    return [layer for layer in encoder.layers if isinstance(layer, EncoderBlock)]
