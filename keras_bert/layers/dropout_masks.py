"""Dropout masks that are hashes of a seed and of the places: a few integer operations an entry."""

from keras import ops


def dropped_at(places, inputs, rate, seed):
    """What dropout leaves of `inputs` where the mask is a hash of the seed (2,) and each entry's place."""
    hashes = hashed(*ops.unstack(ops.cast(seed, "uint32")), places)
    return where_kept(is_kept(hashes, rate), inputs, rate)


def is_kept(hashes, rate):
    """bool tensor: all but a share of `rate` of the 2^32 numbers that a hash can be."""
    return ops.greater_equal(hashes, uint32(min(round(rate * 2**32), 2**32 - 1)))


def where_kept(kept, inputs, rate):
    """What dropout leaves of `inputs`, scaled up so that the expected sum stays."""
    return ops.where(kept, inputs * (1.0 / (1.0 - rate)), ops.zeros((), inputs.dtype))


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
        word = _mixed(ops.add(ops.cast(word, "uint32"), uint32(0x9E3779B9)))
        state = _mixed(ops.bitwise_xor(state, word))
    return state


def _mixed(x):
    """A bijection of the 32-bit numbers in which every bit changes about half of the upper ones.

    C. Wellons' lowbias32 (https://nullprogram.com/blog/2018/07/31/) without its last step, x ^ (x >> 16): the
    next call begins with it, and a comparison, which is decided by the upper bits, does not miss it.
    """
    x = ops.multiply(ops.bitwise_xor(x, ops.right_shift(x, uint32(16))), uint32(0x7FEB352D))
    return ops.multiply(ops.bitwise_xor(x, ops.right_shift(x, uint32(15))), uint32(0x846CA68B))


def uint32(number):
    """The number, below 2^32, as a scalar tensor."""
    return ops.convert_to_tensor(number, dtype="uint32")
