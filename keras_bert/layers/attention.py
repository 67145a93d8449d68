"""Multi-head self-attention and the algebra of its mask."""

import contextlib
import contextvars

import keras
from keras import ops

from keras_bert.layers import kernels
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.initial import TruncatedNormal
from keras_bert.layers.projection import Projection
from keras_bert.layers.real_tokens import tokens_of

# Added to the score of a key that must not be seen. Finite, so that a row without any visible key gives
# a distribution and no NaN.
_hidden = contextvars.ContextVar("hidden", default=-1e9)


@contextlib.contextmanager
def hidden_score(value: float):
    """Within the block graphs are traced with another number for a key that must not be seen.

    For scores of 8 bits: laid over -1e9 they have one value for everything that is seen. At -30 a hidden key
    still gets less than 1e-9 of the attention, as long as scores differ by less than 9.
    """
    token = _hidden.set(value)
    try:
        yield
    finally:
        _hidden.reset(token)


def attention_bias(padding_mask):
    """What is added to the scores so that only what may be seen is attended to.

    Args:
        padding_mask: int or bool tensor, 1 for what may be seen: (B, S) for all queries alike, or (B, T, S).
    Returns:
        float32 tensor (B, 1, 1, S) or (B, 1, T, S): 0 for what may be seen, else a large negative number.
    """
    hidden = 1.0 - ops.cast(padding_mask, "float32")
    # expand_dims, not [:, None, None, :]: indexing with None becomes a Flex op in TFLite.
    bias = ops.expand_dims(hidden * _hidden.get(), 1)
    return ops.expand_dims(bias, 1) if len(bias.shape) == 3 else bias


def _bias_or_none(padding_mask):
    return None if padding_mask is None else attention_bias(padding_mask)


@keras.saving.register_keras_serializable(package="keras_bert")
class ExampleMask(keras.layers.Layer):
    """Which tokens of packed rows may see one another: those of one example.

        example_ids 1 1 2 0  ->  1 1 0 0
                                 1 1 0 0
                                 0 0 1 0
                                 0 0 0 0     padding sees nothing and is not seen

    Call arguments:
        example_ids: int tensor (B, T), one number for each example of a row, 0 for padding.
    Returns:
        int32 tensor (B, T, T), to be the `padding_mask` of `SelfAttention`.
    """

    def call(self, example_ids):
        queries, keys = ops.expand_dims(example_ids, 2), ops.expand_dims(example_ids, 1)
        seen = ops.logical_and(ops.equal(queries, keys), ops.not_equal(keys, 0))
        return ops.cast(seen, "int32")  # (B, T, T)

    def compute_output_shape(self, example_ids_shape):
        return (*example_ids_shape, example_ids_shape[1])

    def compute_output_spec(self, example_ids):
        return keras.KerasTensor(self.compute_output_shape(example_ids.shape), dtype="int32")


@keras.saving.register_keras_serializable(package="keras_bert")
class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention with one fused projection for query, key and value.

        query, key, value = split(x @ kernel + bias)
        y = (softmax(query @ key^T / sqrt(H) + bias_of_mask) @ value) @ output_kernel + output_bias

    The forward code is the same in training and inference and the same as what `scores` shows; only where
    nothing is dropped a backend may have a kernel for the whole second line (`kernels.fused_attention`).

    Args:
        num_heads: int. Heads N; must divide the hidden width D.
        dropout: float in [0, 1). On the attention probabilities.
        initializer_range: float. Standard deviation of the truncated normal of new kernels.
    Call arguments:
        inputs: float tensor (B, T, D).
        padding_mask: int or bool tensor (B, T), 1 for real tokens, or (B, T, T), 1 where a token may see
            another; None means that all are real and may.
    Returns:
        Float tensor (B, T, D). Rows of padding are unspecified, but finite.
    Raises:
        ValueError: `num_heads` does not divide D.
    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.
    """

    def __init__(self, num_heads, dropout=0.1, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.dropout = dropout
        self.initializer_range = initializer_range
        self.dropout_layer = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, inputs_shape, padding_mask_shape=None):
        width = inputs_shape[-1]
        if width % self.num_heads:
            raise ValueError(
                "`num_heads` must divide the hidden width. Received: "
                f"num_heads={self.num_heads}, hidden width={width}"
            )
        self.head_dim = width // self.num_heads

        def projection(units, name):
            initializer = TruncatedNormal(stddev=self.initializer_range)
            return Projection(units, kernel_initializer=initializer, dtype=self.dtype_policy, name=name)

        self.query_key_value = projection(3 * width, "query_key_value")
        self.query_key_value.build(inputs_shape)
        self.output_projection = projection(width, "output")
        self.output_projection.build(inputs_shape)

    def call(self, inputs, padding_mask=None, training=None):
        if kernels.fuses_attention() and not (training and self.dropout):
            mixed = kernels.fused_attention(*self._heads_apart(inputs), padding_mask)  # (B, T, N, H)
            return self.output_projection(ops.reshape(mixed, ops.shape(inputs)))  # (B, T, D)
        tokens = tokens_of(padding_mask)
        query, key, value = self._heads(inputs, tokens)
        bias = _bias_or_none(tokens.mask)
        mixed = kernels.attention(query, key, value, bias, self.dropout_layer, training)  # (B, N, T, H)
        return tokens.scatter(self.output_projection(tokens.merged(mixed)))  # (B, T, D)

    def scores(self, inputs, padding_mask=None):
        """The attention probabilities, float32 tensor (B, N, T, S); every row sums to 1."""
        query, key, _ = self._heads(inputs, tokens_of(None))
        return kernels.softmax(kernels.attention_scores(query, key), _bias_or_none(padding_mask))

    def _heads(self, inputs, tokens):
        """Query, key and value, 3 x (B, N, T, H)."""
        return tokens.heads(self.query_key_value(tokens.gather(inputs)), self.num_heads)

    def _heads_apart(self, inputs):
        """Query, key and value by a product each, 3 x (B, T, N, H).

        On a GPU taking one large result apart, and its gradient together, costs more than that.
        """
        flat = ops.reshape(inputs, (-1, inputs.shape[-1]))  # (B*T, D)
        shape = (*ops.shape(inputs)[:2], self.num_heads, self.head_dim)
        columns = ops.split(self.query_key_value.kernel, 3, axis=-1)  # 3 x (D, D)
        biases = ops.split(self.query_key_value.bias, 3)  # 3 x (D,)
        return [ops.reshape(ops.matmul(flat, c) + b, shape) for c, b in zip(columns, biases, strict=True)]

    def compute_output_shape(self, inputs_shape, padding_mask_shape=None):
        return inputs_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "dropout": self.dropout,
            "initializer_range": self.initializer_range,
        }


class AttentionScores(keras.layers.Layer):
    """Shows the probabilities of an existing `SelfAttention` inside a functional model.

    Args:
        attention: SelfAttention. Shared, not copied.
    Call arguments: those of `SelfAttention`.
    Returns:
        float32 tensor (B, N, T, S).
    """

    def __init__(self, attention, **kwargs):
        super().__init__(**kwargs)
        self.attention = attention

    def build(self, inputs_shape, padding_mask_shape=None):
        if not self.attention.built:
            self.attention.build(inputs_shape)

    def call(self, inputs, padding_mask=None):
        return self.attention.scores(inputs, padding_mask)
