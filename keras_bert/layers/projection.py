"""`Projection`: a dense layer over the last axis, as one two-dimensional matrix product."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_bert")
class Projection(keras.layers.Dense):
    """`keras.layers.Dense` that flattens the leading axes before the product.

        y = reshape(reshape(x, (B*T, D)) @ kernel + bias, (B, T, F))

    The stock layer multiplies (B, T, D) by (D, F) as a batch of products; its weight gradient is then B
    products of shape (D, F) that have to be summed. Flattened, both directions are one large product.

    Args: as `keras.layers.Dense`.
    Call arguments:
        inputs: float tensor (..., D).
    Returns:
        Float tensor (..., units).
    """

    def call(self, inputs, training=None):
        width = inputs.shape[-1]
        flat = inputs if len(inputs.shape) == 2 else ops.reshape(inputs, (-1, width))  # (B*T, D)
        outputs = super().call(flat, training=training)  # (B*T, F)
        if len(inputs.shape) == 2:
            return outputs
        return ops.reshape(outputs, (*ops.shape(inputs)[:-1], self.units))  # (B, T, F)
