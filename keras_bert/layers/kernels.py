"""The arithmetic that a backend may do in a faster form, each beside its portable one.

A faster form must agree with the portable one (tests/layers/test_kernels.py). Exports always trace the
portable form.
"""

import math

import keras
from keras import ops

_SQRT_HALF = math.sqrt(0.5)
_SQRT_TWO_OVER_PI = math.sqrt(2.0 / math.pi)


def gelu(x):
    """The exact GELU, x * Phi(x), through `erf`.

    `keras.ops.gelu(approximate=False)` emits the op Erfc, which TFLite, TensorFlow.js and ONNX converters
    do not know; `erf` works everywhere and still fuses to TFLite's GELU.
    """
    return 0.5 * x * (1.0 + ops.erf(x * _SQRT_HALF))


def gelu_approximate(x):
    """The tanh form of GELU (Google's since 2019, Hugging Face's `gelu_new`)."""
    # Written with x**3: the converter of TFLite recognises this form, not x * x * x.
    return 0.5 * x * (1.0 + ops.tanh(_SQRT_TWO_OVER_PI * (x + 0.044715 * ops.power(x, 3))))


def relu(x):
    """max(x, 0)."""
    return ops.relu(x)


def silu(x):
    """x * sigmoid(x)."""
    return ops.silu(x)


def tanh(x):
    """Hyperbolic tangent."""
    return ops.tanh(x)


# The keys are the values `BertConfig.activation` may have.
ACTIVATIONS = {"gelu": gelu, "gelu_approximate": gelu_approximate, "relu": relu, "silu": silu, "tanh": tanh}


def unset(shape, dtype):
    """A tensor that is about to be overwritten: none of its numbers is defined, no memory is taken yet."""
    if keras.backend.backend() != "tensorflow":
        return ops.zeros(shape, dtype)
    import tensorflow as tf

    return tf.raw_ops.Empty(shape=shape, dtype=dtype, init=False)
