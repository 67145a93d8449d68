"""Random numbers by counting: a value depends on a seed and its counters, and on nothing drawn before it.

    state = mix(seed + G);  for each counter: state = mix(state + counter * G)

with the mixing function and the constant G of SplitMix64, all modulo 2^64. So a worker, a resumed run or
another batch size draws for example 7 of epoch 3 what everyone draws for it.

Reference: Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators, section 5.
"""

import operator

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / the golden ratio, odd
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_WORD = 2**64 - 1
_GOLDEN_INT = int(_GOLDEN)


def bits(seed: int, *counters) -> np.ndarray:
    """64 random bits for each place of the counters.

    Args:
        seed: int. Taken modulo 2^64, as the counters are.
        counters: ints, or int arrays that broadcast against each other. Their number and order matter.

    Returns:
        uint64 array of the shape the counters broadcast to, without axes where all are ints.
    """
    state = _mixed(np.add(_words(seed), _GOLDEN))
    for counter in counters:
        state = _mixed(np.add(state, np.multiply(_words(counter), _GOLDEN)))
    return state


def bits_of(seed: int, *counters: int) -> int:
    """`bits` of plain ints as an int, many times as fast: NumPy's cost is by the call."""
    state = _mixed_int(seed + _GOLDEN_INT)
    for counter in counters:
        state = _mixed_int(state + counter * _GOLDEN_INT)
    return state


def uniforms(seed: int, *counters) -> np.ndarray:
    """Random numbers in [0, 1), multiples of 2^-53.

    Args:
        seed, counters: as for `bits`.

    Returns:
        float64 array of the shape the counters broadcast to.
    """
    return np.asarray(np.multiply(np.right_shift(bits(seed, *counters), _11), 2.0**-53))


def _words(values) -> np.ndarray:
    """An int or int array as uint64, modulo 2^64."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "iu":
            raise TypeError(f"counters are integers. Received: an array of {values.dtype}")
        return values.astype(np.uint64, copy=False)
    return np.array(operator.index(values) & _WORD, np.uint64)


def _mixed_int(state: int) -> int:
    state &= _WORD
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    state = (state ^ state >> 27) * 0x94D049BB133111EB & _WORD
    return state ^ state >> 31


def _mixed(state) -> np.ndarray:
    """Every bit of the result depends on every bit of `state`, which is written over."""
    # Ufuncs with `out`, not operators: scalars would warn of the overflow that is meant here.
    state = np.asarray(state)
    shifted = np.empty_like(state)
    for shift, factor in ((_30, _FIRST), (_27, _SECOND), (_31, None)):
        np.right_shift(state, shift, out=shifted)
        np.bitwise_xor(state, shifted, out=state)
        if factor is not None:
            np.multiply(state, factor, out=state)
    return state
