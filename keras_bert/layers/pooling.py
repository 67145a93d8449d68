"""From a sequence to one vector."""

import keras
from keras import ops

from keras_bert.layers.initial import TruncatedNormal
from keras_bert.layers.projection import Projection
from keras_bert.layers.slots import gather_slots


@keras.saving.register_keras_serializable(package="keras_bert")
class ClsPooler(Projection):
    """BERT's pooler: tanh(dense(x[:, 0])), the [CLS] token through one trained layer.

    Args:
        units: int. Width D.
        initializer_range: float. Standard deviation of the truncated normal of a new kernel.
    Call arguments:
        inputs: float tensor (B, T, D).
        cls_positions: int tensor (B, P), where the [CLS] of each packed example stands; None: one, in front.
    Returns:
        Float tensor (B, D), or (B, P, D) with `cls_positions`.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, section 3.1.
    """

    def __init__(self, units, initializer_range=0.02, **kwargs):
        kwargs.setdefault("activation", "tanh")
        kwargs.setdefault("kernel_initializer", TruncatedNormal(stddev=initializer_range))
        super().__init__(units, **kwargs)

    def build(self, inputs_shape, cls_positions_shape=None):
        super().build(inputs_shape)

    def call(self, inputs, cls_positions=None, training=None):
        if cls_positions is None:
            return super().call(inputs[:, 0, :], training=training)  # (B, D)
        pooled = super().call(gather_slots(inputs, cls_positions), training=training)  # (B*P, D)
        return ops.reshape(pooled, (*ops.shape(cls_positions), self.units))  # (B, P, D)

    def compute_output_shape(self, inputs_shape, cls_positions_shape=None):
        examples = inputs_shape[:1] if cls_positions_shape is None else cls_positions_shape
        return (*examples, self.units)
