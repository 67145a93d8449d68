"""The tokens of a batch that are no padding, one behind the other: dense layers need not compute the rest.

A batch is as long as its longest row; of batches of random texts half to two thirds are padding. Attention
looks across a row and needs the rectangle, but is a small part of the work; whatever treats every token by
itself (projections, normalisation, activation, dropout) can do without.

Only within `without_padding()`, and there only on the TensorFlow backend: the number of tokens is known when
the batch is, which neither XLA nor TFLite has shapes for.
"""

import contextlib
import contextvars

import keras

_active = contextvars.ContextVar("without_padding", default=False)


@contextlib.contextmanager
def without_padding(active=True):
    """Within it the layers of the encoder leave padding out; their results at real tokens stay the same."""
    token = _active.set(active and keras.backend.backend() == "tensorflow")
    try:
        yield
    finally:
        _active.reset(token)


def tokens_of(padding_mask):
    """The tokens of a batch that layers are to compute.

    Args:
        padding_mask: int or bool tensor (B, T), 1 for real tokens; of (B, T, T) and None all count.
    Returns:
        An object with `gather`, (B, T, D) -> (N, D), and `scatter`, back, 0 for padding. Outside of
        `without_padding` both return what they are given.
    """
    if not _active.get() or padding_mask is None or len(padding_mask.shape) != 2:
        return _All
    return _Real(padding_mask)


class _All:
    """Every token: nothing is moved."""

    @staticmethod
    def gather(x):
        return x

    scatter = gather


class _Real:
    """The tokens whose mask is not 0, a row after the other."""

    def __init__(self, padding_mask):
        import tensorflow as tf

        self._places = tf.where(padding_mask)  # (N, 2)
        self._shape = tf.shape(padding_mask, tf.int64)

    # gather_nd and scatter_nd are one another's gradient; that of `tf.gather` would be sparse.
    def gather(self, x):
        import tensorflow as tf

        return tf.gather_nd(x, self._places)

    def scatter(self, values):
        import tensorflow as tf

        width = values.shape[-1]
        whole = tf.scatter_nd(self._places, values, tf.concat([self._shape, [width]], axis=0))
        return tf.ensure_shape(whole, (None, None, width))
