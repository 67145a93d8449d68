"""THE table of weight names: one row per weight, one column per dialect. The order is that of the network.

In the names `{i}` is the number of the block and `{n}` the same counted from 1; `{part}` stands for query,
key and value, and `{p}` for their first letters: their arrays side by side are our one fused weight. Columns
that a dialect has no name for are "".
"""

import dataclasses

ENCODER, PROJECTION, POOLER = "encoder", "projection", "pooler"
CLASSIFIER, QUESTION_ANSWERING = "classifier", "question_answering"
MASKED_LM, DECODER, NEXT_SENTENCE = "masked_lm", "decoder", "next_sentence"
HEADS = (CLASSIFIER, QUESTION_ANSWERING, MASKED_LM, DECODER, NEXT_SENTENCE)
PARTS = (ENCODER, PROJECTION, POOLER, *HEADS)

HUGGINGFACE, GOOGLE, TRANSFORMERS_TF = "huggingface", "google", "transformers_tf"
MODEL_GARDEN, CYBERZHG, KERAS_HUB = "model_garden", "cyberzhg", "keras_hub"
# What usually stands before the names of encoder and pooler, never before a head's.
PREFIXES = {
    HUGGINGFACE: "bert.",
    GOOGLE: "bert/",
    TRANSFORMERS_TF: "bert/",
    MODEL_GARDEN: "",
    CYBERZHG: "",
    KERAS_HUB: "",
}
DIALECTS = tuple(PREFIXES)

QKV = ("query", "key", "value")


@dataclasses.dataclass(frozen=True)
class Row:
    """One weight; where the names hold `{i}`, the same weight of every block.

    Args:
        ours: str. Path of our Keras variable, below the encoder where it is the encoder's.
        shape: tuple of str. Shape letters (`keras_bert.layers`) of each source, in our orientation; E is the
            width of the embedding tables.
        names: dict. Dialect to the name there, without the prefix.
        transposed: tuple of str. The dialects that store the matrix as (out, in).
        fused: bool. Whether query, key and value are one weight of ours, concatenated along the last axis.
        part: str. One of `PARTS`.
    """

    ours: str
    shape: tuple[str, ...]
    names: dict[str, str]
    transposed: tuple[str, ...] = ()
    fused: bool = False
    part: str = ENCODER

    def in_block(self, index: int) -> "Row":
        """This row with the block's number filled in."""
        names = {dialect: _numbered(name, index) for dialect, name in self.names.items()}
        return dataclasses.replace(self, ours=_numbered(self.ours, index), names=names)

    def sources(self, dialect: str, prefix: str) -> list[str]:
        """The names of this weight in `dialect`, in the order of concatenation; [] where it has none."""
        name = self.names[dialect]
        if not name:
            return []
        if self.part not in HEADS:
            name = prefix + name
        if not self.fused:
            return [name]
        return [name.replace("{part}", part).replace("{p}", part[0]) for part in QKV]

    def source_letters(self, dialect: str) -> tuple[str, ...]:
        """The shape letters of each source as `dialect` stores it."""
        return self.shape[::-1] if dialect in self.transposed else self.shape


def _numbered(name: str, index: int) -> str:
    return name.replace("{i}", str(index)).replace("{n}", str(index + 1))


def _row(ours, letters, huggingface, google, transformers_tf, model_garden, cyberzhg, keras_hub, **more):
    names = dict(
        zip(DIALECTS, (huggingface, google, transformers_tf, model_garden, cyberzhg, keras_hub), strict=True)
    )
    return Row(ours, tuple(letters), names, **more)


def _kernel(*columns, transposed=(), **more):
    """A matrix that PyTorch stores as (out, in)."""
    return _row(*columns, transposed=(HUGGINGFACE, *transposed), **more)


# fmt: off
ROWS = (
    _row("embeddings/token_embedding/embeddings", "VE",
         "embeddings.word_embeddings.weight", "embeddings/word_embeddings",
         "embeddings/word_embeddings/weight", "word_embeddings/embeddings",
         "Embedding-Token/embeddings", "token_embedding/embeddings"),
    _row("embeddings/position_embedding/embeddings", "PE",
         "embeddings.position_embeddings.weight", "embeddings/position_embeddings",
         "embeddings/position_embeddings/embeddings", "position_embedding/embeddings",
         "Embedding-Position/embeddings", "position_embedding/embeddings"),
    _row("embeddings/segment_embedding/embeddings", "SE",
         "embeddings.token_type_embeddings.weight", "embeddings/token_type_embeddings",
         "embeddings/token_type_embeddings/embeddings", "type_embeddings/embeddings",
         "Embedding-Segment/embeddings", "segment_embedding/embeddings"),
    _row("embeddings/layer_norm/gamma", "E",
         "embeddings.LayerNorm.weight", "embeddings/LayerNorm/gamma",
         "embeddings/LayerNorm/gamma", "embeddings/layer_norm/gamma",
         "Embedding-Norm/gamma", "embeddings_layer_norm/gamma"),
    _row("embeddings/layer_norm/beta", "E",
         "embeddings.LayerNorm.bias", "embeddings/LayerNorm/beta",
         "embeddings/LayerNorm/beta", "embeddings/layer_norm/beta",
         "Embedding-Norm/beta", "embeddings_layer_norm/beta"),
    # No class of transformers has these with BERT's other names: such a folder is ours alone.
    _kernel("embeddings/embedding_projection/kernel", "ED",
            "encoder.embedding_hidden_mapping_in.weight", "encoder/embedding_hidden_mapping_in/kernel",
            "", "", "", "", part=PROJECTION),
    _row("embeddings/embedding_projection/bias", "D",
         "encoder.embedding_hidden_mapping_in.bias", "encoder/embedding_hidden_mapping_in/bias",
         "", "", "", "", part=PROJECTION),

    _kernel("block_{i}/attention/query_key_value/kernel", "DD",
            "encoder.layer.{i}.attention.self.{part}.weight",
            "encoder/layer_{i}/attention/self/{part}/kernel",
            "encoder/layer_{i}/attention/self/{part}/kernel",
            "transformer/layer_{i}/self_attention/{part}/kernel",
            "Encoder-{n}-MultiHeadSelfAttention_W{p}",
            "transformer_layer_{i}/self_attention_layer/{part}/kernel",
            fused=True),
    _row("block_{i}/attention/query_key_value/bias", "D",
         "encoder.layer.{i}.attention.self.{part}.bias", "encoder/layer_{i}/attention/self/{part}/bias",
         "encoder/layer_{i}/attention/self/{part}/bias", "transformer/layer_{i}/self_attention/{part}/bias",
         "Encoder-{n}-MultiHeadSelfAttention_b{p}", "transformer_layer_{i}/self_attention_layer/{part}/bias",
         fused=True),
    _kernel("block_{i}/attention/output/kernel", "DD",
            "encoder.layer.{i}.attention.output.dense.weight",
            "encoder/layer_{i}/attention/output/dense/kernel",
            "encoder/layer_{i}/attention/output/dense/kernel",
            "transformer/layer_{i}/self_attention/attention_output/kernel",
            "Encoder-{n}-MultiHeadSelfAttention_Wo",
            "transformer_layer_{i}/self_attention_layer/attention_output/kernel"),
    _row("block_{i}/attention/output/bias", "D",
         "encoder.layer.{i}.attention.output.dense.bias", "encoder/layer_{i}/attention/output/dense/bias",
         "encoder/layer_{i}/attention/output/dense/bias",
         "transformer/layer_{i}/self_attention/attention_output/bias",
         "Encoder-{n}-MultiHeadSelfAttention_bo",
         "transformer_layer_{i}/self_attention_layer/attention_output/bias"),
    _row("block_{i}/attention_layer_norm/gamma", "D",
         "encoder.layer.{i}.attention.output.LayerNorm.weight",
         "encoder/layer_{i}/attention/output/LayerNorm/gamma",
         "encoder/layer_{i}/attention/output/LayerNorm/gamma",
         "transformer/layer_{i}/self_attention_layer_norm/gamma",
         "Encoder-{n}-MultiHeadSelfAttention-Norm/gamma",
         "transformer_layer_{i}/self_attention_layer_norm/gamma"),
    _row("block_{i}/attention_layer_norm/beta", "D",
         "encoder.layer.{i}.attention.output.LayerNorm.bias",
         "encoder/layer_{i}/attention/output/LayerNorm/beta",
         "encoder/layer_{i}/attention/output/LayerNorm/beta",
         "transformer/layer_{i}/self_attention_layer_norm/beta",
         "Encoder-{n}-MultiHeadSelfAttention-Norm/beta",
         "transformer_layer_{i}/self_attention_layer_norm/beta"),
    _kernel("block_{i}/intermediate/kernel", "DF",
            "encoder.layer.{i}.intermediate.dense.weight", "encoder/layer_{i}/intermediate/dense/kernel",
            "encoder/layer_{i}/intermediate/dense/kernel", "transformer/layer_{i}/intermediate/kernel",
            "Encoder-{n}-FeedForward_W1", "transformer_layer_{i}/feedforward_intermediate_dense/kernel"),
    _row("block_{i}/intermediate/bias", "F",
         "encoder.layer.{i}.intermediate.dense.bias", "encoder/layer_{i}/intermediate/dense/bias",
         "encoder/layer_{i}/intermediate/dense/bias", "transformer/layer_{i}/intermediate/bias",
         "Encoder-{n}-FeedForward_b1", "transformer_layer_{i}/feedforward_intermediate_dense/bias"),
    _kernel("block_{i}/output/kernel", "FD",
            "encoder.layer.{i}.output.dense.weight", "encoder/layer_{i}/output/dense/kernel",
            "encoder/layer_{i}/output/dense/kernel", "transformer/layer_{i}/output/kernel",
            "Encoder-{n}-FeedForward_W2", "transformer_layer_{i}/feedforward_output_dense/kernel"),
    _row("block_{i}/output/bias", "D",
         "encoder.layer.{i}.output.dense.bias", "encoder/layer_{i}/output/dense/bias",
         "encoder/layer_{i}/output/dense/bias", "transformer/layer_{i}/output/bias",
         "Encoder-{n}-FeedForward_b2", "transformer_layer_{i}/feedforward_output_dense/bias"),
    _row("block_{i}/output_layer_norm/gamma", "D",
         "encoder.layer.{i}.output.LayerNorm.weight", "encoder/layer_{i}/output/LayerNorm/gamma",
         "encoder/layer_{i}/output/LayerNorm/gamma", "transformer/layer_{i}/output_layer_norm/gamma",
         "Encoder-{n}-FeedForward-Norm/gamma", "transformer_layer_{i}/feedforward_layer_norm/gamma"),
    _row("block_{i}/output_layer_norm/beta", "D",
         "encoder.layer.{i}.output.LayerNorm.bias", "encoder/layer_{i}/output/LayerNorm/beta",
         "encoder/layer_{i}/output/LayerNorm/beta", "transformer/layer_{i}/output_layer_norm/beta",
         "Encoder-{n}-FeedForward-Norm/beta", "transformer_layer_{i}/feedforward_layer_norm/beta"),

    _kernel("pooler/kernel", "DD", "pooler.dense.weight", "pooler/dense/kernel", "pooler/dense/kernel",
            "pooler_transform/kernel", "NSP-Dense/kernel", "pooled_dense/kernel", part=POOLER),
    _row("pooler/bias", "D", "pooler.dense.bias", "pooler/dense/bias", "pooler/dense/bias",
         "pooler_transform/bias", "NSP-Dense/bias", "pooled_dense/bias", part=POOLER),

    _kernel("classifier/kernel", "DC", "classifier.weight", "output_weights", "classifier/kernel",
            "sentence_prediction/logits/kernel", "", "logits/kernel", part=CLASSIFIER, transposed=(GOOGLE,)),
    _row("classifier/bias", "C", "classifier.bias", "output_bias", "classifier/bias",
         "sentence_prediction/logits/bias", "", "logits/bias", part=CLASSIFIER),
    _kernel("question_answering/kernel", "D2", "qa_outputs.weight", "cls/squad/output_weights",
            "qa_outputs/kernel", "", "", "", part=QUESTION_ANSWERING, transposed=(GOOGLE,)),
    _row("question_answering/bias", "2", "qa_outputs.bias", "cls/squad/output_bias", "qa_outputs/bias",
         "", "", "", part=QUESTION_ANSWERING),
    _kernel("masked_lm/transform/kernel", "DE", "cls.predictions.transform.dense.weight",
            "cls/predictions/transform/dense/kernel", "mlm___cls/predictions/transform/dense/kernel",
            "cls/predictions/transform/dense/kernel", "MLM-Dense/kernel",
            "mlm_head/intermediate_dense/kernel", part=MASKED_LM),
    _row("masked_lm/transform/bias", "E", "cls.predictions.transform.dense.bias",
         "cls/predictions/transform/dense/bias", "mlm___cls/predictions/transform/dense/bias",
         "cls/predictions/transform/dense/bias", "MLM-Dense/bias",
         "mlm_head/intermediate_dense/bias", part=MASKED_LM),
    _row("masked_lm/layer_norm/gamma", "E", "cls.predictions.transform.LayerNorm.weight",
         "cls/predictions/transform/LayerNorm/gamma", "mlm___cls/predictions/transform/LayerNorm/gamma",
         "cls/predictions/transform/LayerNorm/gamma", "MLM-Norm/gamma",
         "mlm_head/intermediate_layer_norm/gamma", part=MASKED_LM),
    _row("masked_lm/layer_norm/beta", "E", "cls.predictions.transform.LayerNorm.bias",
         "cls/predictions/transform/LayerNorm/beta", "mlm___cls/predictions/transform/LayerNorm/beta",
         "cls/predictions/transform/LayerNorm/beta", "MLM-Norm/beta",
         "mlm_head/intermediate_layer_norm/beta", part=MASKED_LM),
    _row("masked_lm/output_bias", "V", "cls.predictions.bias", "cls/predictions/output_bias",
         "mlm___cls/predictions/bias", "cls/predictions/output_bias/bias", "MLM-Sim/bias",
         "mlm_head/output_bias", part=MASKED_LM),
    # Only where it is not the table of token embeddings.
    _row("masked_lm/decoder", "VE", "cls.predictions.decoder.weight", "", "", "", "", "", part=DECODER),
    _kernel("next_sentence/kernel", "D2", "cls.seq_relationship.weight",
            "cls/seq_relationship/output_weights",
            "nsp___cls/seq_relationship/kernel", "next_sentence/logits/kernel", "NSP/kernel", "",
            part=NEXT_SENTENCE, transposed=(GOOGLE,)),
    _row("next_sentence/bias", "2", "cls.seq_relationship.bias", "cls/seq_relationship/output_bias",
         "nsp___cls/seq_relationship/bias", "next_sentence/logits/bias", "NSP/bias", "", part=NEXT_SENTENCE),
)
# fmt: on
