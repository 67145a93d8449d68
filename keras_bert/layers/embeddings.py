"""`BertEmbeddings`: token, position and segment embeddings, summed, normalised, dropped out."""

import contextlib
import contextvars

import keras
from keras import ops

from keras_bert.layers.dropout import Dropout
from keras_bert.layers.initial import TruncatedNormal
from keras_bert.layers.normalization import LayerNorm
from keras_bert.layers.projection import Projection

_seen = contextvars.ContextVar("seen", default=lambda embedded: embedded)


@contextlib.contextmanager
def embeddings_seen_by(function):
    """Within it the embedded tokens (B, T, E) go through `function` before anything is added to them."""
    token = _seen.set(function)
    try:
        yield
    finally:
        _seen.reset(token)


@keras.saving.register_keras_serializable(package="keras_bert")
class BertEmbeddings(keras.layers.Layer):
    """The input layer of BERT.

        x = token_embedding(token_ids) + position_embedding(position_ids) + segment_embedding(segment_ids)
        x = dropout(norm(x))
        x = embedding_projection(x)        # only where the tables are factorised, E unlike D

    Args:
        vocabulary_size: int. Rows V of the token table.
        hidden_dim: int. Width D.
        max_sequence_length: int. Rows of the position table; inputs longer than it need `position_ids`.
        num_segments: int. Rows of the segment table.
        dropout: float in [0, 1).
        layer_norm_epsilon: float.
        initializer_range: float. Standard deviation of the truncated normal of new tables.
        embedding_dim: int or None. Width E of the tables; None means D.
    Call arguments:
        token_ids: int tensor (B, T).
        segment_ids: int tensor (B, T).
        position_ids: int tensor (B, T), the place of each piece in its example; None means 0, 1, ... T - 1.
        return_table: bool. Give the token table itself, which a masked-language-model head multiplies by.
            As a second call of this layer in a functional model the table stays one variable, in training
            as in a model that was saved and loaded.
    Returns:
        Float tensor (B, T, D); the token table (V, E) with `return_table`.
    Raises:
        ValueError: T is known and larger than `max_sequence_length`, and there are no `position_ids`.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3 and figure 2; factorised:
    Lan et al. 2019, https://arxiv.org/abs/1909.11942, section 3.1.
    """

    def __init__(
        self,
        vocabulary_size,
        hidden_dim,
        max_sequence_length=512,
        num_segments=2,
        dropout=0.1,
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        embedding_dim=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.max_sequence_length = max_sequence_length
        self.num_segments = num_segments
        self.dropout = dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        self.embedding_dim = embedding_dim
        self.width = hidden_dim if embedding_dim is None else embedding_dim  # E

        def table(rows, name):
            initializer = TruncatedNormal(stddev=initializer_range)
            return keras.layers.Embedding(
                rows, self.width, embeddings_initializer=initializer, dtype=self.dtype_policy, name=name
            )

        self.token_embedding = table(vocabulary_size, "token_embedding")
        self.position_embedding = table(max_sequence_length, "position_embedding")
        self.segment_embedding = table(num_segments, "segment_embedding")
        self.layer_norm = LayerNorm(layer_norm_epsilon, dtype=self.dtype_policy, name="layer_norm")
        self.dropout_layer = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.embedding_projection = None
        if self.width != hidden_dim:
            self.embedding_projection = Projection(
                hidden_dim,
                kernel_initializer=TruncatedNormal(stddev=initializer_range),
                dtype=self.dtype_policy,
                name="embedding_projection",
            )

    def build(self, token_ids_shape, segment_ids_shape=None, position_ids_shape=None):
        self.token_embedding.build(token_ids_shape)
        self.position_embedding.build(token_ids_shape)
        self.segment_embedding.build(token_ids_shape)
        self.layer_norm.build((*token_ids_shape, self.width))
        if self.embedding_projection is not None:
            self.embedding_projection.build((*token_ids_shape, self.width))

    def call(self, token_ids, segment_ids=None, position_ids=None, training=None, return_table=False):
        if return_table:
            return ops.cast(self.token_embedding.embeddings, self.compute_dtype)  # (V, E)
        x = _seen.get()(self.token_embedding(token_ids))  # (B, T, E)
        x = x + self.segment_embedding(segment_ids)
        if position_ids is None:
            x = x + ops.expand_dims(self.position_embedding(self._places(token_ids)), 0)  # (B, T, E)
        else:
            x = x + self.position_embedding(position_ids)  # (B, T, E)
        x = self.dropout_layer(self.layer_norm(x), training=training)  # (B, T, E)
        return x if self.embedding_projection is None else self.embedding_projection(x)  # (B, T, D)

    def _places(self, token_ids):
        length = token_ids.shape[1]
        if length is not None and length > self.max_sequence_length:
            raise ValueError(
                "The input is longer than the position table. Received: "
                f"length={length}, max_sequence_length={self.max_sequence_length}"
            )
        return ops.arange(ops.shape(token_ids)[1], dtype="int32")  # (T,)

    def compute_output_shape(self, token_ids_shape, segment_ids_shape=None, position_ids_shape=None):
        return (*token_ids_shape, self.hidden_dim)

    def compute_output_spec(
        self, token_ids, segment_ids=None, position_ids=None, training=None, return_table=False
    ):
        table = (self.vocabulary_size, self.width)
        shape = table if return_table else self.compute_output_shape(token_ids.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "hidden_dim": self.hidden_dim,
            "max_sequence_length": self.max_sequence_length,
            "num_segments": self.num_segments,
            "dropout": self.dropout,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
            "embedding_dim": self.embedding_dim,
        }
