"""`EncoderBlock`: attention and feed-forward, each with residual and normalisation."""

import keras

from keras_bert.layers.attention import SelfAttention
from keras_bert.layers.dropout import Dropout
from keras_bert.layers.initial import TruncatedNormal
from keras_bert.layers.kernels import ACTIVATIONS, add_norm
from keras_bert.layers.normalization import LayerNorm
from keras_bert.layers.projection import Projection
from keras_bert.layers.real_tokens import tokens_of
from keras_bert.layers.recomputing import recomputed


@keras.saving.register_keras_serializable(package="keras_bert")
class EncoderBlock(keras.layers.Layer):
    """One post-norm Transformer encoder block.

        x = norm(x + dropout(attention(x)))
        x = norm(x + dropout(output(activation(intermediate(x)))))

    Args:
        num_heads: int. Attention heads N; must divide the hidden width D.
        intermediate_dim: int. Feed-forward width F (BERT-base: 3072 = 4 D).
        activation: str. A key of `keras_bert.layers.kernels.ACTIVATIONS`; "gelu" is the erf form.
        dropout: float in [0, 1). Applied to both branch outputs.
        attention_dropout: float in [0, 1). Applied to the attention probabilities.
        layer_norm_epsilon: float.
        initializer_range: float. Standard deviation of the truncated normal of new kernels.
    Call arguments:
        inputs: float tensor (B, T, D).
        padding_mask: int or bool tensor (B, T), 1 for real tokens, or (B, T, T), 1 where a token may see
            another.
    Returns:
        Float tensor (B, T, D). Rows of padding are unspecified, but finite.
    Raises:
        ValueError: `num_heads` does not divide D, or the activation is unknown.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3.
    """

    # Set by `BertModel.compile`: how a block is trained is no part of what it is.
    rematerialize = False

    def __init__(
        self,
        num_heads,
        intermediate_dim,
        activation="gelu",
        dropout=0.1,
        attention_dropout=0.1,
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"`activation` must be one of {', '.join(ACTIVATIONS)}. Received: activation={activation!r}"
            )
        self.num_heads = num_heads
        self.intermediate_dim = intermediate_dim
        self.activation = activation
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        self.attention = SelfAttention(
            num_heads, attention_dropout, initializer_range, dtype=self.dtype_policy, name="attention"
        )
        self.attention_layer_norm = self._norm("attention_layer_norm")
        self.intermediate = self._projection(
            intermediate_dim, "intermediate", activation=ACTIVATIONS[activation]
        )
        self.output_layer_norm = self._norm("output_layer_norm")
        self.attention_dropout_layer = self._dropout("attention_dropout")
        self.output_dropout_layer = self._dropout("output_dropout")

    def _norm(self, name):
        return LayerNorm(self.layer_norm_epsilon, dtype=self.dtype_policy, name=name)

    def _dropout(self, name):
        return Dropout(self.dropout, dtype=self.dtype_policy, name=name)

    def _projection(self, units, name, activation=None):
        initializer = TruncatedNormal(stddev=self.initializer_range)
        return Projection(
            units, activation=activation, kernel_initializer=initializer, dtype=self.dtype_policy, name=name
        )

    def build(self, inputs_shape, padding_mask_shape=None):
        self.attention.build(inputs_shape)
        self.attention_layer_norm.build(inputs_shape)
        self.intermediate.build(inputs_shape)
        self.output_projection = self._projection(inputs_shape[-1], "output")
        self.output_projection.build((*inputs_shape[:-1], self.intermediate_dim))
        self.output_layer_norm.build(inputs_shape)

    def call(self, inputs, padding_mask=None, training=None):
        if training and self.rematerialize:
            return recomputed(self, lambda x: self._forward(x, padding_mask, training), inputs)
        return self._forward(inputs, padding_mask, training)

    def _forward(self, inputs, padding_mask, training):
        x = self.attention(inputs, padding_mask=padding_mask, training=training)  # (B, T, D)
        tokens = tokens_of(padding_mask)
        inputs, x = tokens.gather(inputs), tokens.gather(x)
        x = add_norm(x, inputs, self.attention_layer_norm, self.attention_dropout_layer, training)
        y = self.output_projection(self.intermediate(x))  # (..., F) -> (..., D)
        return tokens.scatter(add_norm(y, x, self.output_layer_norm, self.output_dropout_layer, training))

    def compute_output_shape(self, inputs_shape, padding_mask_shape=None):
        return inputs_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "intermediate_dim": self.intermediate_dim,
            "activation": self.activation,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
        }
