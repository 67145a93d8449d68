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
from keras import ops

_memory = contextvars.ContextVar("without_padding", default=None)


@contextlib.contextmanager
def without_padding(active=True):
    """Within it the layers of the encoder leave padding out; their results at real tokens stay the same."""
    token = _memory.set({} if active and keras.backend.backend() == "tensorflow" else None)
    try:
        yield
    finally:
        _memory.reset(token)


def tokens_of(padding_mask):
    """The tokens of a batch that layers are to compute.

    Args:
        padding_mask: int or bool tensor (B, T), 1 for real tokens; of (B, T, T) and None all count.
    Returns:
        An object with `mask`, and four ways to go, each of which is undone by another:
            gather, (B, T, D) -> (R, D), and scatter, back, 0 for padding.
            heads, (R, 3 D) -> 3 x (B, N, T, H), and merged, of one such back: (R, D).
        Outside of `without_padding` gather and scatter return what they are given, and R is B, T.
    """
    memory = _memory.get()
    if memory is None or padding_mask is None or len(padding_mask.shape) != 2:
        return _All(padding_mask)
    if id(padding_mask) not in memory:
        memory[id(padding_mask)] = padding_mask, _Real(padding_mask)  # kept, so that its id stays its own
    return memory[id(padding_mask)][1]


class _All:
    """Every token: nothing is moved."""

    def __init__(self, padding_mask):
        self.mask = padding_mask

    @staticmethod
    def gather(x):
        return x

    scatter = gather

    @staticmethod
    def heads(projected, num_heads):
        batch, length = ops.shape(projected)[:2]
        split = ops.split(projected, 3, axis=-1)  # 3 x (B, T, D)
        shape = (batch, length, num_heads, split[0].shape[-1] // num_heads)
        return [ops.transpose(ops.reshape(part, shape), (0, 2, 1, 3)) for part in split]  # 3 x (B, N, T, H)

    @staticmethod
    def merged(mixed):
        batch, num_heads, length, width = ops.shape(mixed)
        return ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (batch, length, num_heads * width))


class _Real:
    """The tokens whose mask is not 0, a row after the other, and some more to make a round number R.

    Round numbers, of tokens and of the length inside attention, because whatever is compiled or prepared for
    a shape is so once for many batches. What is more than the real ones is finite, and its gradient is 0: it
    goes into nothing but itself. That is what padding in the rectangle has too, so that each stands for
    the other, and moving either way is one gather of rows whose gradient is another, without any sum.
    """

    def __init__(self, padding_mask):
        import tensorflow as tf

        padding_mask = tf.cast(padding_mask, tf.int32)  # a bool one too
        self._places = tf.where(padding_mask)  # (real tokens, 2)
        self._shape = tf.shape(padding_mask, tf.int64)
        batch, length = tf.unstack(tf.shape(padding_mask))
        self._batch, self._length = batch, _rounded(length, 16)
        real = tf.pad(tf.not_equal(padding_mask, 0), [[0, 0], [0, self._length - length]])  # (B, T)
        self.mask, is_real = tf.cast(real, tf.int32), tf.reshape(real, [-1])
        count, places = tf.shape(self._places)[0], batch * self._length
        # Padding in the rectangle needs one row here to stand for it.
        rows = tf.where(count < places, _rounded(count + 1, _step(count)), count)  # R
        self._count, self._more = count, rows - count
        order = tf.cumsum(tf.cast(is_real, tf.int32)) - 1
        self._row_at = tf.reshape(tf.where(is_real, order, rows - 1), (batch, self._length))  # (B, T)
        # The first place of padding stands for all of them; where there is none, nothing asks for it.
        padding = tf.argmin(tf.concat([tf.cast(is_real, tf.int32), [0]], axis=0), output_type=tf.int32)
        row, at = tf.unstack(tf.cast(self._places, tf.int32), axis=1)
        self._place_of = tf.concat([row * self._length + at, tf.fill([self._more], padding)], axis=0)  # (R,)
        self._scattered, self._maps = {}, {}

    # gather_nd and scatter_nd are one another's gradient; that of `tf.gather` would be sparse.
    def gather(self, x):
        import tensorflow as tf

        if id(x) in self._scattered:  # from one block to the next nothing needs to be moved
            return self._scattered[id(x)][1]
        return tf.pad(tf.gather_nd(x, self._places), [[0, self._more], [0, 0]])

    def scatter(self, values):
        import tensorflow as tf

        width = values.shape[-1]
        shape = tf.concat([self._shape, [width]], axis=0)
        whole = tf.scatter_nd(self._places, values[: self._count], shape)
        whole = tf.ensure_shape(whole, (None, None, width))
        self._scattered[id(whole)] = whole, values
        return whole

    def heads(self, projected, num_heads):
        import tensorflow as tf

        width = projected.shape[-1] // (3 * num_heads)
        there, back = self._head_maps(num_heads, 3)
        moved = _moved(tf.reshape(projected, (-1, width)), there, back)
        shape = (3, self._batch, num_heads, self._length, width)
        return tf.unstack(tf.reshape(moved, shape))  # 3 x (B, N, T, H)

    def merged(self, mixed):
        import tensorflow as tf

        num_heads, width = mixed.shape[1], mixed.shape[-1]
        back, there = self._head_maps(num_heads, 1)
        moved = _moved(tf.reshape(mixed, (-1, width)), there, back)
        return tf.reshape(moved, (-1, num_heads * width))  # (R, D)

    def _head_maps(self, num_heads, parts):
        """Which row of (R * parts * N, H) stands at a place of (parts, B, N, T, H), and the reverse; flat."""
        import tensorflow as tf

        if (num_heads, parts) not in self._maps:
            part, head = tf.range(parts)[:, None], tf.range(num_heads)
            columns = part * num_heads + head  # (parts, N)
            there = (
                self._row_at[:, None] * (parts * num_heads) + columns[:, None, :, None]
            )  # (parts, B, N, T)
            row, at = self._place_of // self._length, self._place_of % self._length
            blocks = part * self._batch + row[:, None, None]  # (R, parts, 1)
            back = (blocks * num_heads + head) * self._length + at[:, None, None]  # (R, parts, N)
            self._maps[num_heads, parts] = tf.reshape(there, [-1]), tf.reshape(back, [-1])
        return self._maps[num_heads, parts]


def _moved(rows, there, back):
    """rows[there], whose gradient is that of the result taken at `back`: each undoes the other."""
    import tensorflow as tf

    @tf.custom_gradient
    def move(rows):
        return tf.gather(rows, there), lambda gradient: tf.gather(gradient, back)

    return move(rows)


def _rounded(number, step):
    return (number + step - 1) // step * step


def _step(number):
    """A power of two, 1/16 to 1/32 of the number, and at least 16."""
    import tensorflow as tf

    powers = tf.constant([2**power for power in range(9, 24)])
    return tf.bitwise.left_shift(16, tf.searchsorted(powers, [number], side="right")[0])
