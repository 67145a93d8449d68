"""BERT written a second time in plain NumPy, and small models to compare with it."""

import math

import keras
import numpy as np

import keras_bert as kb

# What the tests of the values start from; every value that enters the arithmetic is unlike its default.
SHAPE = {
    "vocabulary_size": 31, "num_layers": 2, "num_heads": 3, "hidden_dim": 12, "intermediate_dim": 20,
    "max_sequence_length": 17, "num_segments": 3, "layer_norm_epsilon": 0.01,
}  # fmt: skip
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0}

ACTIVATIONS = {
    "gelu": np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2)))),
    "gelu_approximate": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
}


def numpy_dense(weights, x, path):
    return x @ weights[f"{path}/kernel"] + weights[f"{path}/bias"]


def numpy_norm(weights, x, path, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return centred / scale * weights[f"{path}/gamma"] + weights[f"{path}/beta"]


def numpy_bert(weights, config, token_ids, segment_ids, padding_mask):
    """BERT in float64: one head at a time, padding never enters a sum; (sequence_output, pooled_output)."""

    def dense(x, path):
        return numpy_dense(weights, x, path)

    def norm(x, path):
        return numpy_norm(weights, x, path, config.layer_norm_epsilon)

    def attend(x, real, path):
        query, key, value = np.split(dense(x, f"{path}/query_key_value"), 3, axis=-1)
        heads = []
        for head in range(config.num_heads):
            part = slice(head * config.head_dim, (head + 1) * config.head_dim)
            scores = query[:, part] @ key[real, part].T / math.sqrt(config.head_dim)
            exponentials = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(exponentials / exponentials.sum(-1, keepdims=True) @ value[real, part])
        return dense(np.concatenate(heads, axis=-1), f"{path}/output")

    sequences = []
    for ids, segments, mask in zip(token_ids, segment_ids, padding_mask, strict=True):
        x = weights["embeddings/token_embedding/embeddings"][ids]
        x = x + weights["embeddings/segment_embedding/embeddings"][segments]
        x = norm(x + weights["embeddings/position_embedding/embeddings"][: len(ids)], "embeddings/layer_norm")
        if "embeddings/embedding_projection/kernel" in weights:
            x = dense(x, "embeddings/embedding_projection")
        for i in range(config.num_layers):
            block = f"block_{i}"
            attended = attend(x, np.flatnonzero(mask), f"{block}/attention")
            x = norm(x + attended, f"{block}/attention_layer_norm")
            inner = ACTIVATIONS[config.activation](dense(x, f"{block}/intermediate"))
            x = norm(x + dense(inner, f"{block}/output"), f"{block}/output_layer_norm")
        sequences.append(x)
    sequence_output = np.stack(sequences)
    return sequence_output, np.tanh(dense(sequence_output[:, 0], "pooler"))


def config_with(**changes):
    return kb.BertConfig(**{**SHAPE, **NO_DROPOUT, **changes})


def random_encoder(config, scale=0.4, **kwargs):
    return randomised(kb.bert_encoder(config, **kwargs), scale)


def randomised(model, scale=0.4):
    """The model with seeded weights, none of them 0 or 1."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(scale=scale, size=weight.shape))
    return model


def batch(config, lengths=(17, 5, 1), seed=0):
    """Random tokens and segments, padded to the longest; what padding holds is random too."""
    rng, longest = np.random.default_rng(seed), max(lengths)
    shape = (len(lengths), longest)
    return {
        "token_ids": rng.integers(0, config.vocabulary_size, shape).astype("int32"),
        "segment_ids": rng.integers(0, config.num_segments, shape).astype("int32"),
        "padding_mask": (np.arange(longest) < np.array(lengths)[:, None]).astype("int32"),
    }


def run(model, features, **kwargs):
    outputs = model(features, **kwargs)
    return {
        name: keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))
        for name, tensor in outputs.items()
    }


def by_path(encoder):
    return {w.path: keras.ops.convert_to_numpy(w).astype("float64") for w in encoder.weights}
