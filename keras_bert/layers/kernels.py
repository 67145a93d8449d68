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


def hashed(state, *words):
    """Takes further words into a hash, one after the other: every bit of the result depends on all of them.

    The result's upper bits are as good as random numbers; of its lower 16 that is only true once another word
    was taken in.

    Args:
        state: uint32 tensor. What was hashed before, or the first word.
        *words: int tensors that broadcast with it; their lower 32 bits count.
    Returns:
        uint32 tensor of the shape they broadcast to.
    """
    for word in words:
        # The sum keeps the word 0 from being 0 after mixing too.
        word = _mixed(ops.add(ops.cast(word, "uint32"), _uint32(0x9E3779B9)))
        state = _mixed(ops.bitwise_xor(state, word))
    return state


def _mixed(x):
    """A bijection of the 32-bit numbers in which every bit changes about half of the upper ones.

    C. Wellons' lowbias32 (https://nullprogram.com/blog/2018/07/31/) without its last step, x ^ (x >> 16): the
    next call begins with it, and a comparison, which is decided by the upper bits, does not miss it.
    """
    x = ops.multiply(ops.bitwise_xor(x, ops.right_shift(x, _uint32(16))), _uint32(0x7FEB352D))
    return ops.multiply(ops.bitwise_xor(x, ops.right_shift(x, _uint32(15))), _uint32(0x846CA68B))


def _uint32(number):
    return ops.convert_to_tensor(number, dtype="uint32")


def unset(shape, dtype):
    """A tensor that is about to be overwritten: none of its numbers is defined, no memory is taken yet."""
    if keras.backend.backend() != "tensorflow":
        return ops.zeros(shape, dtype)
    import tensorflow as tf

    return tf.raw_ops.Empty(shape=shape, dtype=dtype, init=False)
