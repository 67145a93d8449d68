"""From a sequence to one vector."""

import keras

from keras_bert.layers.initial import TruncatedNormal
from keras_bert.layers.projection import Projection


@keras.saving.register_keras_serializable(package="keras_bert")
class ClsPooler(Projection):
    """BERT's pooler: tanh(dense(x[:, 0])), the [CLS] token through one trained layer.

    Args:
        units: int. Width D.
        initializer_range: float. Standard deviation of the truncated normal of a new kernel.
    Call arguments:
        inputs: float tensor (B, T, D).
    Returns:
        Float tensor (B, D).
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3.1.
    """

    def __init__(self, units, initializer_range=0.02, **kwargs):
        kwargs.setdefault("activation", "tanh")
        kwargs.setdefault("kernel_initializer", TruncatedNormal(stddev=initializer_range))
        super().__init__(units, **kwargs)

    def call(self, inputs, training=None):
        return super().call(inputs[:, 0, :], training=training)  # (B, D)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)
