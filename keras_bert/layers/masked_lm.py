"""`MaskedLmHead`: which piece of the vocabulary stands at a place."""

import keras
from keras import ops

from keras_bert.layers.initial import TruncatedNormal
from keras_bert.layers.kernels import ACTIVATIONS
from keras_bert.layers.normalization import LayerNorm
from keras_bert.layers.projection import Projection
from keras_bert.layers.slots import gather_slots


@keras.saving.register_keras_serializable(package="keras_bert")
class MaskedLmHead(keras.layers.Layer):
    """BERT's masked-language-model head: transform, then the token table in reverse.

        x = layer_norm(activation(transform(inputs)))
        logits = x @ token_table^T + output_bias

    Args:
        vocabulary_size: int. Rows V of the table.
        embedding_dim: int. Width E of the table.
        activation: str. A key of `keras_bert.layers.kernels.ACTIVATIONS`; "gelu" is the erf form.
        layer_norm_epsilon: float.
        initializer_range: float. Standard deviation of the truncated normal of new kernels.
        tied: bool. The table is the embeddings' and comes as an argument of the call; otherwise the head
            has one of its own, `decoder`.
    Call arguments:
        inputs: float tensor (B, T, D).
        token_table: float tensor (V, E), `embeddings(token_ids, return_table=True)`; None if untied.
        mask_positions: int tensor (B, M), the places to predict; None means all T.
    Returns:
        float32 tensor (B, M, V), or (B, T, V) without `mask_positions`. The product is computed in the
        layer's precision, the bias added in float32.
    Raises:
        ValueError: an unknown activation, or a table that is missing, superfluous or of another shape.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3.1, task 1.
    """

    def __init__(
        self,
        vocabulary_size,
        embedding_dim,
        activation="gelu",
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        tied=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"`activation` must be one of {', '.join(ACTIVATIONS)}. Received: activation={activation!r}"
            )
        self.vocabulary_size = vocabulary_size
        self.embedding_dim = embedding_dim
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        self.tied = tied
        self.transform = Projection(
            embedding_dim,
            activation=ACTIVATIONS[activation],
            kernel_initializer=TruncatedNormal(stddev=initializer_range),
            dtype=self.dtype_policy,
            name="transform",
        )
        self.layer_norm = LayerNorm(layer_norm_epsilon, dtype=self.dtype_policy, name="layer_norm")

    def build(self, inputs_shape, token_table_shape=None, mask_positions_shape=None):
        table = (self.vocabulary_size, self.embedding_dim)
        given = None if token_table_shape is None else tuple(token_table_shape)
        if given != (table if self.tied else None):
            raise ValueError(
                f"A tied head is called with a token table of shape {table}, an untied one with none. "
                f"Received: tied={self.tied}, token table of shape {given}"
            )
        self.transform.build((None, inputs_shape[-1]))
        self.layer_norm.build((None, self.embedding_dim))
        if not self.tied:
            initializer = TruncatedNormal(stddev=self.initializer_range)
            self.decoder = self.add_weight(table, initializer=initializer, name="decoder")
        # A bias in bfloat16 would have lost its digits before it is added in float32.
        self.output_bias = self.add_weight(
            (self.vocabulary_size,), initializer="zeros", dtype="float32", autocast=False, name="output_bias"
        )

    def call(self, inputs, token_table=None, mask_positions=None):
        slots = ops.shape(inputs)[:2] if mask_positions is None else ops.shape(mask_positions)
        if mask_positions is None:
            x = ops.reshape(inputs, (-1, inputs.shape[-1]))  # (B*T, D)
        else:
            x = gather_slots(inputs, mask_positions)  # (B*M, D)
        x = self.layer_norm(self.transform(x))  # (B*M, E)
        table = token_table if self.tied else self.decoder  # (V, E)
        logits = ops.cast(ops.matmul(x, ops.transpose(table)), "float32") + self.output_bias  # (B*M, V)
        return ops.reshape(logits, (*slots, self.vocabulary_size))  # (B, M, V)

    def compute_output_shape(self, inputs_shape, token_table_shape=None, mask_positions_shape=None):
        slots = inputs_shape[:2] if mask_positions_shape is None else mask_positions_shape
        return (*slots, self.vocabulary_size)

    def compute_output_spec(self, inputs, token_table=None, mask_positions=None):
        positions_shape = None if mask_positions is None else mask_positions.shape
        shape = self.compute_output_shape(inputs.shape, mask_positions_shape=positions_shape)
        return keras.KerasTensor(shape, dtype="float32")

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "activation": self.activation,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
            "tied": self.tied,
        }
