"""Which weight of a keras-hub preset is which: our readable name, its place in the file, its path when live.

A weight file of Keras 3 calls a layer by its class and the order in which it came, and its variables by
number: `layers/dense/vars/0` is the kernel of the pooler.
"""

FIELDS = ("vocabulary_size", "num_layers", "num_heads", "hidden_dim", "intermediate_dim", "dropout",
          "max_sequence_length", "num_segments")  # fmt: skip
# What their BertBackbone has without saying so.
ACTIVATION, EPSILON, MASKED_LM_ACTIVATION, MASKED_LM_EPSILON = "gelu_approximate", 1e-12, "gelu", 1e-5
HEADS = ("BertTextClassifier", "BertMaskedLM", "BertTextEmbedder")

_KERNEL_BIAS, _GAMMA_BETA = ("kernel", "bias"), ("gamma", "beta")
# Our name, the layer's path in their file, the layer's path in a live model, the layer's variables in order.
# A `{i}` is a block's number; `{_i}` is the same as they write it in files, where the first has none.
BACKBONE = (
    ("embeddings/token_embedding", "layers/reversible_embedding", "token_embedding", ("embeddings",)),
    ("embeddings/position_embedding", "layers/position_embedding", "position_embedding", ("embeddings",)),
    ("embeddings/segment_embedding", "layers/embedding", "segment_embedding", ("embeddings",)),
    ("embeddings/layer_norm", "layers/layer_normalization", "embeddings_layer_norm", _GAMMA_BETA),
    *(
        (f"transformer_layer_{{i}}/self_attention/{ours}",
         f"layers/transformer_encoder{{_i}}/_self_attention_layer/{theirs}_dense",
         f"transformer_layer_{{i}}/self_attention_layer/{ours}", _KERNEL_BIAS)
        for ours, theirs in (("query", "query"), ("key", "key"), ("value", "value"),
                             ("attention_output", "output"))
    ),
    *(
        (f"transformer_layer_{{i}}/{ours}", f"layers/transformer_encoder{{_i}}/_{theirs}",
         f"transformer_layer_{{i}}/{theirs}", names)
        for ours, theirs, names in (
            ("self_attention_layer_norm", "self_attention_layer_norm", _GAMMA_BETA),
            ("feedforward_intermediate", "feedforward_intermediate_dense", _KERNEL_BIAS),
            ("feedforward_output", "feedforward_output_dense", _KERNEL_BIAS),
            ("feedforward_layer_norm", "feedforward_layer_norm", _GAMMA_BETA))
    ),
    ("pooled_dense", "layers/dense", "pooled_dense", _KERNEL_BIAS),
)  # fmt: skip
TASKS = {
    "BertTextClassifier": (("logits", "layers/dense", "logits", _KERNEL_BIAS),),
    "BertMaskedLM": (
        ("mlm_head/transform", "layers/masked_lm_head/_intermediate_dense", "mlm_head/intermediate_dense",
         _KERNEL_BIAS),
        ("mlm_head/layer_norm", "layers/masked_lm_head/_intermediate_layer_norm",
         "mlm_head/intermediate_layer_norm", _GAMMA_BETA),
        ("mlm_head", "layers/masked_lm_head", "mlm_head", ("output_bias",)),
    ),
    "BertTextEmbedder": (),
}  # fmt: skip


def names_of(num_layers: int, kind: str | None = None) -> list[tuple[str, str, str]]:
    """(our name, path in their file, path in a live model) of every weight, in the order of the network."""
    return written_out((*BACKBONE, *TASKS.get(kind, ())), num_layers)


def written_out(rows, num_layers: int) -> list[tuple[str, str, str]]:
    """The same of some rows of the table."""
    per_block = [row for row in rows if "{i}" in row[0]]
    before = rows[: rows.index(per_block[0])] if per_block else rows
    after = rows[len(before) + len(per_block) :]
    blocks = [
        tuple(part.replace("{i}", str(i)).replace("{_i}", f"_{i}" * bool(i)) for part in row[:3]) + row[3:]
        for i in range(num_layers)
        for row in per_block
    ]
    return [
        (ours if name == "embeddings" else f"{ours}/{name}", f"{stored}/vars/{place}", f"{live}/{name}")
        for ours, stored, live, names in (*before, *blocks, *after)
        for place, name in enumerate(names)
    ]
