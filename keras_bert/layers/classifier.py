"""`Classifier`: the head over one vector."""

import keras

from keras_bert.layers.projection import Projection


@keras.saving.register_keras_serializable(package="keras_bert")
class Classifier(keras.layers.Layer):
    """logits = dense(dropout(x)), the logits always in float32.

    Args:
        num_classes: int. Classes C.
        dropout: float in [0, 1).
        initializer_range: float. Standard deviation of the truncated normal of a new kernel.
    Call arguments:
        inputs: float tensor (..., D).
    Returns:
        float32 tensor (..., C).
    """

    def __init__(self, num_classes, dropout=0.1, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.dropout = dropout
        self.initializer_range = initializer_range
        self.dropout_layer = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        # float32: a softmax over bfloat16 logits has two significant digits.
        self.projection = Projection(
            num_classes,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
            dtype="float32",
            name="logits",
        )

    def build(self, inputs_shape):
        self.projection.build(inputs_shape)

    def call(self, inputs, training=None):
        return self.projection(self.dropout_layer(inputs, training=training))

    def compute_output_shape(self, inputs_shape):
        return (*inputs_shape[:-1], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "dropout": self.dropout,
            "initializer_range": self.initializer_range,
        }
