"""Losses, on logits, in float32."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_bert")
class SparseCrossentropy(keras.losses.Loss):
    """Cross-entropy of integer labels against logits.

        loss = mean over the batch of weight * (logsumexp(logits) - logits[label])

    A label outside [0, C) is refused by the data pipeline, never clamped here.

    Call arguments:
        y_true: int tensor (B,).
        y_pred: float tensor (B, C). Logits.
    Returns:
        float32 scalar.
    """

    def __init__(self, name="crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        logits = ops.cast(y_pred, "float32")
        return keras.losses.sparse_categorical_crossentropy(y_true, logits, from_logits=True)  # (B,)
