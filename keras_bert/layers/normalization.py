"""Layer normalisation as all layers of a BERT have it."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_bert")
class LayerNorm(keras.layers.LayerNormalization):
    """Layer normalisation over the last axis, in at least float32, with weights of at least float32.

        c = x - mean(x)
        y = c / sqrt(mean(c^2) + epsilon) * gamma + beta

    It is Keras' layer with fewer passes over the numbers: that one takes the difference to the mean twice,
    and multiplies the mean by gamma. Of a policy whose variables are bfloat16 the weights are float32 all the
    same, as those of a mixed policy: a model stored in bfloat16 answers as the mixed one it is made of.

    Args:
        epsilon: float.
    Call arguments:
        inputs: float tensor (..., D).
    Returns:
        Tensor of the same shape in the policy's precision.
    Reference: Ba et al. 2016, https://arxiv.org/abs/1607.06450
    """

    def __init__(self, epsilon=1e-12, dtype=None, **kwargs):
        super().__init__(epsilon=epsilon, dtype=dtype, **kwargs)
        policy = self.dtype_policy
        if policy.variable_dtype in ("bfloat16", "float16"):
            self.dtype_policy = f"mixed_{policy.compute_dtype}"

    def call(self, inputs):
        x = ops.cast(inputs, keras.backend.result_type(self.compute_dtype, "float32"))
        centred = x - ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        y = centred * ops.rsqrt(variance + self.epsilon) * self.gamma + self.beta
        return ops.cast(y, self.compute_dtype)
