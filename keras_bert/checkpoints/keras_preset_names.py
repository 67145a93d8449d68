"""Weight files of keras-hub's presets, decoded: which variable of the live model lies at which place.

A live model calls its variables by name, as the table of names does (`name_table.py`). A weight file of
Keras 3 does not: it calls a layer by its class and the order in which it came, an attribute of a layer by the
attribute's name, and variables by number:

    pooled_dense/kernel      layers/dense/vars/0
"""

import re

from keras_bert.checkpoints.name_table import CLASSIFIER, ENCODER, KERAS_HUB, MASKED_LM, POOLER
from keras_bert.checkpoints.names import rows

FIELDS = ("vocabulary_size", "num_layers", "num_heads", "hidden_dim", "intermediate_dim", "dropout",
          "max_sequence_length", "num_segments")  # fmt: skip
# What their BertBackbone has without saying so.
ACTIVATION, EPSILON, MASKED_LM_ACTIVATION, MASKED_LM_EPSILON = "gelu_approximate", 1e-12, "gelu", 1e-5

BACKBONE = (ENCODER, POOLER)
# Their classes with a head, and the parts of the table that the head is.
HEADS = {"BertTextClassifier": (CLASSIFIER,), "BertMaskedLM": (MASKED_LM,), "BertTextEmbedder": ()}

# Layer of the live model to layer of the file. A `{i}` is a block's number; `{_i}` is the same as they write
# it in files, where the first has none.
_ATTENTION = "layers/transformer_encoder{_i}/_self_attention_layer"
_LAYERS = {
    "token_embedding": "layers/reversible_embedding",
    "position_embedding": "layers/position_embedding",
    "segment_embedding": "layers/embedding",
    "embeddings_layer_norm": "layers/layer_normalization",
    "transformer_layer_{i}/self_attention_layer/query": f"{_ATTENTION}/query_dense",
    "transformer_layer_{i}/self_attention_layer/key": f"{_ATTENTION}/key_dense",
    "transformer_layer_{i}/self_attention_layer/value": f"{_ATTENTION}/value_dense",
    "transformer_layer_{i}/self_attention_layer/attention_output": f"{_ATTENTION}/output_dense",
    **{
        f"transformer_layer_{{i}}/{layer}": f"layers/transformer_encoder{{_i}}/_{layer}"
        for layer in ("self_attention_layer_norm", "feedforward_intermediate_dense",
                      "feedforward_output_dense", "feedforward_layer_norm")
    },
    "pooled_dense": "layers/dense",
    # In a file of their own, task.weights.h5.
    "logits": "layers/dense",
    "mlm_head/intermediate_dense": "layers/masked_lm_head/_intermediate_dense",
    "mlm_head/intermediate_layer_norm": "layers/masked_lm_head/_intermediate_layer_norm",
    "mlm_head": "layers/masked_lm_head",
}  # fmt: skip
_NUMBERS = {"embeddings": 0, "kernel": 0, "bias": 1, "gamma": 0, "beta": 1, "output_bias": 0}


def places(num_layers: int, parts) -> dict[str, str]:
    """Path of a variable in the live model to its place in the file, in the order of the network.

    Args:
        num_layers: int. Number of blocks.
        parts: tuple of str. `BACKBONE`, or a value of `HEADS`: each has a file of its own.
    """
    names = [name for row in rows(num_layers, parts) for name in row.sources(KERAS_HUB, "")]
    return {name: _place(name) for name in names}


def _place(name: str) -> str:
    layer, _, variable = name.rpartition("/")
    block = re.match(r"transformer_layer_(\d+)/", layer)
    number = int(block[1]) if block else 0
    stored = _LAYERS[re.sub(r"^transformer_layer_\d+", "transformer_layer_{i}", layer)]
    return f"{stored.replace('{_i}', f'_{number}' * bool(number))}/vars/{_NUMBERS[variable]}"
