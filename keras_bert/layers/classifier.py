"""`Classifier`: the head over one vector."""

import keras

from keras_bert.layers.dropout import Dropout
from keras_bert.layers.initial import HeadNormal, TruncatedNormal
from keras_bert.layers.projection import Projection


@keras.saving.register_keras_serializable(package="keras_bert")
class Classifier(Projection):
    """logits = dense(dropout(x)), computed in float32 whatever the encoder's precision.

    Args:
        units: int. Classes C.
        dropout: float in [0, 1).
        initializer_range: float or None. Standard deviation of the truncated normal of a new kernel. None:
            see `HeadNormal`.
    Call arguments:
        inputs: float tensor (..., D).
    Returns:
        float32 tensor (..., C).
    """

    def __init__(self, units, dropout=0.1, initializer_range=None, **kwargs):
        # float32: a softmax over bfloat16 logits has two significant digits.
        kwargs.setdefault("dtype", "float32")
        initializer = HeadNormal() if initializer_range is None else TruncatedNormal(initializer_range)
        kwargs.setdefault("kernel_initializer", initializer)
        super().__init__(units, **kwargs)
        self.dropout = dropout
        self.dropout_layer = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def call(self, inputs, training=None):
        return super().call(self.dropout_layer(inputs, training=training), training=training)

    def get_config(self):
        return {**super().get_config(), "dropout": self.dropout}
