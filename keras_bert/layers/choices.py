"""An axis of choices, folded into the batch before the encoder and out of it after the classifier."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_bert")
class FlattenChoices(keras.layers.Layer):
    """(B, C, T) -> (B*C, T): the encoder reads every choice as a sequence of its own.

    Call arguments:
        inputs: tensor (B, C, T) of any dtype.
    Returns:
        Tensor (B*C, T) of the same dtype.
    """

    def call(self, inputs):
        return ops.reshape(inputs, (-1, ops.shape(inputs)[2]))

    def compute_output_shape(self, inputs_shape):
        batch, choices, length = inputs_shape
        return (None if None in (batch, choices) else batch * choices, length)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)


@keras.saving.register_keras_serializable(package="keras_bert")
class UnflattenChoices(keras.layers.Layer):
    """(B*C, 1) -> (B, C), one score a choice, row by row; or (B*C, D) -> (B, C, D), a vector a choice.

    Args:
        vectors: bool. Whether a choice has a vector.
    Call arguments:
        scores: float tensor (B*C, 1) or (B*C, D).
        features: tensor (B, C, T), what `FlattenChoices` was given.
    Returns:
        Tensor (B, C) or (B, C, D) of the scores' dtype.
    """

    def __init__(self, vectors=False, **kwargs):
        super().__init__(**kwargs)
        self.vectors = vectors

    def build(self, scores_shape, features_shape):
        pass

    def call(self, scores, features):
        rest = (scores.shape[-1],) if self.vectors else ()
        return ops.reshape(scores, (*ops.shape(features)[:2], *rest))

    def compute_output_shape(self, scores_shape, features_shape):
        return (*features_shape[:2], *(scores_shape[1:] if self.vectors else ()))

    def compute_output_spec(self, scores, features):
        return keras.KerasTensor(self.compute_output_shape(scores.shape, features.shape), dtype=scores.dtype)

    def get_config(self):
        return {**super().get_config(), "vectors": self.vectors}
