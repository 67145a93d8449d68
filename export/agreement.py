"""Whether two answers decide alike, where their numbers differ because weights were rounded."""

import numpy as np

# Two values closer than this to one another may change places when weights are rounded.
NEAR_TIE = 0.1
# Cosine from which on an embedding is the same one. Weights of 8 bits leave 0.99 and more.
SAME_DIRECTION = 0.95


def decisions(inputs: dict, expected: dict, answer: dict):
    """What every row decides: the largest of several values by its place, an embedding by its direction.

    The vectors of padding decide nothing and are left out.

    Args:
        inputs, expected, answer: dict of NumPy arrays, the batch first.
    Yields:
        bool arrays (D,) twice, for each row: whether its D decisions are those expected, and whether what is
        expected is no near tie.
    """
    pairs = [
        _direction(array, answer[name]) if name.endswith("embedding") else _place(array, answer[name])
        for name, array in expected.items()
        if array.dtype.kind == "f" and array.ndim > 1 and array.shape[-1] > 1
    ]
    mask = _mask_of(inputs)
    for i in range(len(next(iter(expected.values())))):
        kept = [np.ones((0,), bool)] * 2, *((_kept(a[i], mask, i), _kept(c[i], mask, i)) for a, c in pairs)
        yield tuple(np.concatenate(parts) for parts in zip(*kept, strict=True))


def _place(expected, answer):
    """(B, ..., C) -> bool (B, ...) twice."""
    runner_up, best = np.moveaxis(np.sort(expected, axis=-1)[..., -2:], -1, 0)
    return expected.argmax(-1) == answer.argmax(-1), best - runner_up >= NEAR_TIE


def _direction(expected, answer):
    """(B, D) -> bool (B,) twice."""
    lengths = np.linalg.norm(expected, axis=-1) * np.linalg.norm(answer, axis=-1)
    agrees = (expected * answer).sum(-1) >= SAME_DIRECTION * np.maximum(lengths, 1e-12)
    return agrees, np.ones_like(agrees)


def _kept(values, mask, i):
    """The decisions of row i, those of padding left out where there is one a token."""
    if mask is not None and values.ndim and values.shape == mask[i].shape:
        return values[mask[i]]
    return np.ravel(values)


def _mask_of(inputs):
    """bool (B, T): the real tokens; None of texts."""
    if "padding_mask" in inputs:
        return inputs["padding_mask"] > 0
    if "length" in inputs:
        return np.arange(inputs["token_ids"].shape[1]) < inputs["length"][:, None]
    return None
