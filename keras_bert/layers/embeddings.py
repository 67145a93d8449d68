"""`BertEmbeddings`: token, position and segment embeddings, summed, normalised, dropped out."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_bert")
class BertEmbeddings(keras.layers.Layer):
    """The input layer of BERT.

        x = token_embedding(token_ids) + position_embedding[:T] + segment_embedding(segment_ids)
        x = dropout(norm(x))

    Args:
        vocabulary_size: int. Rows V of the token table.
        hidden_dim: int. Width D.
        max_sequence_length: int. Rows of the position table; longer inputs are refused.
        num_segments: int. Rows of the segment table.
        dropout: float in [0, 1).
        layer_norm_epsilon: float.
        initializer_range: float. Standard deviation of the truncated normal of new tables.
    Call arguments:
        token_ids: int tensor (B, T).
        segment_ids: int tensor (B, T).
    Returns:
        Float tensor (B, T, D).
    Raises:
        ValueError: T is known and larger than `max_sequence_length`.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3 and figure 2.
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

        def table(rows, name, layer=keras.layers.Embedding):
            initializer = keras.initializers.TruncatedNormal(stddev=initializer_range)
            return layer(
                rows, hidden_dim, embeddings_initializer=initializer, dtype=self.dtype_policy, name=name
            )

        # Reversible: the masked-language-model head multiplies by the same table.
        self.token_embedding = table(vocabulary_size, "token_embedding", keras.layers.ReversibleEmbedding)
        self.position_embedding = table(max_sequence_length, "position_embedding")
        self.segment_embedding = table(num_segments, "segment_embedding")
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy, name="layer_norm"
        )
        self.dropout_layer = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, token_ids_shape, segment_ids_shape=None):
        self.token_embedding.build(token_ids_shape)
        self.position_embedding.build(token_ids_shape)
        self.segment_embedding.build(token_ids_shape)
        self.layer_norm.build((*token_ids_shape, self.hidden_dim))

    def call(self, token_ids, segment_ids, training=None):
        length = token_ids.shape[1]
        if length is not None and length > self.max_sequence_length:
            raise ValueError(
                "The input is longer than the position table. Received: "
                f"length={length}, max_sequence_length={self.max_sequence_length}"
            )
        positions = ops.arange(ops.shape(token_ids)[1], dtype="int32")  # (T,)
        x = self.token_embedding(token_ids) + self.segment_embedding(segment_ids)  # (B, T, D)
        x = x + ops.expand_dims(self.position_embedding(positions), 0)  # (B, T, D)
        return self.dropout_layer(self.layer_norm(x), training=training)

    def compute_output_shape(self, token_ids_shape, segment_ids_shape=None):
        return (*token_ids_shape, self.hidden_dim)

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
        }
