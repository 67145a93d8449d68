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


@keras.saving.register_keras_serializable(package="keras_bert")
class TokenPooling(keras.layers.Layer):
    """One vector of a sequence's tokens, without weights: the embedding of a text.

    Args:
        mode: str. `"mean"` over the tokens that are no padding, `"cls"`, or `"max"`.
        normalize: bool. Scale every vector to length one.
    Call arguments:
        inputs: float tensor (B, T, D).
        padding_mask: int tensor (B, T), 1 for real tokens.
    Returns:
        float32 tensor (B, D).
    """

    def __init__(self, mode="mean", normalize=False, **kwargs):
        # float32: in bfloat16 the cosines of near texts are all the same.
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.mode, self.normalize = mode, normalize

    def build(self, inputs_shape, padding_mask_shape=None):
        pass

    def call(self, inputs, padding_mask):
        if self.mode == "cls":
            vector = inputs[:, 0]
        elif self.mode == "mean":
            mask = ops.expand_dims(ops.cast(padding_mask, inputs.dtype), -1)  # (B, T, 1)
            # A sequence without any token, which only fills a list up, has the vector 0.
            vector = ops.sum(inputs * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)
        else:
            mask = ops.expand_dims(ops.cast(padding_mask, "bool"), -1)
            vector = ops.max(ops.where(mask, inputs, ops.cast(-1e9, inputs.dtype)), axis=1)
        if not self.normalize:
            return vector
        length = ops.sqrt(ops.sum(ops.square(vector), axis=-1, keepdims=True))
        return vector / ops.maximum(length, 1e-12)

    def compute_output_shape(self, inputs_shape, padding_mask_shape=None):
        return (inputs_shape[0], inputs_shape[2])

    def get_config(self):
        return {**super().get_config(), "mode": self.mode, "normalize": self.normalize}
