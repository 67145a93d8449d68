"""`Classifier`: the head over one vector."""

import keras
from keras import ops

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
        mean, deviation: float. Of what is to be learnt, where that is no logit. The bias begins with the
            mean; the kernel begins larger by the deviation, and both learn faster by it (with our
            optimizers): scores of 0 to 100 are learnt as those of 0 to 1 are.
    Call arguments:
        inputs: float tensor (..., D).
    Returns:
        float32 tensor (..., C).
    """

    def __init__(self, units, dropout=0.1, initializer_range=None, mean=0.0, deviation=1.0, **kwargs):
        # float32: a softmax over bfloat16 logits has two significant digits.
        kwargs.setdefault("dtype", "float32")
        narrow = initializer_range is not None
        initializer = TruncatedNormal(initializer_range) if narrow else HeadNormal(deviation)
        kwargs.setdefault("kernel_initializer", initializer)
        kwargs.setdefault("bias_initializer", keras.initializers.Constant(mean))
        super().__init__(units, **kwargs)
        self.dropout, self.mean, self.deviation = dropout, mean, deviation
        self.dropout_layer = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, inputs_shape):
        super().build(inputs_shape)
        for weight in (self.kernel, self.bias):
            weight.learning_rate_factor = self.deviation  # see `BertUpdates`

    def call(self, inputs, training=None):
        inputs = self.dropout_layer(inputs, training=training)
        outputs = super().call(inputs, training=training)
        if training and self.deviation != 1.0:
            # Nothing, but the gradient of the weights becomes that of weights smaller by the deviation, so
            # that a norm that gradients are clipped by does not know what the scores are counted in.
            again = super().call(ops.stop_gradient(inputs), training=training)
            outputs = outputs + (self.deviation - 1.0) * (again - ops.stop_gradient(again))
        return outputs

    def get_config(self):
        own = {"dropout": self.dropout, "mean": self.mean, "deviation": self.deviation}
        return {**super().get_config(), **own}
