"""`Dropout`, whose masks may be told apart by more than the seed: by the replica, or row by row."""

import contextlib
import contextvars

import keras
from keras import ops

from keras_bert.layers import dropout_masks, kernels

# A context variable, because tf.distribute runs the replicas in threads of their own.
_key = contextvars.ContextVar("key", default=None)
_call = contextvars.ContextVar("call", default=None)
_drawn = contextvars.ContextVar("drawn", default=())


@contextlib.contextmanager
def masks_apart(key, call=None):
    """Within it the masks of every `Dropout` depend on `key` too.

    Args:
        key: one of three.
            None: on nothing else, as in stock Keras, whose replicas have the same masks.
            Int tensor (): the number of the replica. Each has masks of its own, at stock speed.
            Int tensor (B,): one number a row. The mask of a row then depends on nothing but the seed's state,
            the row's key and the place in the row, by its coordinates: (d), (t, d) or (n, t, s). Neither the
            other rows nor the length that a row is padded to change it, nor how rows are shared out among
            replicas. Where choices are folded into the batch, C rows a key, the choice's number counts too.
        call: int tensor () or None. With keys (B,), it stands for the number of the call, which otherwise
            each layer counts: parts of one batch, trained one after the other, then have the masks that they
            would have together.
    Raises:
        ValueError: the key is no integer, or has more than one axis.
    """
    if key is not None:
        key = ops.convert_to_tensor(key)
        dtype = keras.backend.standardize_dtype(key.dtype)
        if "int" not in dtype or len(key.shape) > 1:
            raise ValueError(
                "`key` must be an integer tensor () or (B,). "
                f"Received: dtype={dtype}, shape={tuple(key.shape)}"
            )
        key = key if dtype == "int64" else ops.cast(key, "int32")
    before = _key.set(key), _call.set(call)
    try:
        yield
    finally:
        _key.reset(before[0])
        _call.reset(before[1])


@contextlib.contextmanager
def drawn_before(seeds):
    """Within it these generators, a list of (DropoutSeed, seed), give these seeds and keep their state."""
    token = _drawn.set(seeds)
    try:
        yield
    finally:
        _drawn.reset(token)


class DropoutSeed(keras.random.SeedGenerator):
    """The seed of a `Dropout`: two words, one for the layer and one that counts its calls.

    Within `masks_apart(replica)` what is drawn differs from replica to replica; the state does not.
    """

    def next(self, ordered=True):
        for generator, seed in _drawn.get():
            if generator is self:
                return seed
        seed = super().next(ordered)
        key = _key.get()
        if key is None or len(key.shape) == 1:
            return seed
        layer = dropout_masks.hashed(ops.cast(seed[0], "uint32"), *_words(key))
        return ops.stack([ops.cast(layer, seed.dtype), seed[1]])


@keras.saving.register_keras_serializable(package="keras_bert")
class Dropout(keras.layers.Layer):
    """Sets entries to 0 in training and scales the others up, so that the expected sum stays.

        y = where(kept, x / (1 - rate), 0)

    Every call that drops anything advances the state of the seed by one, whatever `masks_apart` says.

    Args:
        rate: float in [0, 1). The share of entries that are dropped.
        seed: int or None. None draws one from Python's `random`, as Keras does.
    Call arguments:
        inputs: float tensor (B, ...).
    Returns:
        Tensor of the same shape and dtype; outside of training the input itself.
    Raises:
        ValueError: a rate outside of [0, 1), or a first axis that is no multiple of the keys.
    Reference: Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"`rate` must be in [0, 1). Received: rate={rate}")
        self.rate = rate
        self.seed = seed
        if rate > 0:
            self.seed_generator = DropoutSeed(seed)
        self.supports_masking = True
        self.built = True  # there is nothing whose shape follows from the input's

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        key = _key.get()
        if key is None or len(key.shape) == 0:
            return kernels.dropout(inputs, self.rate, self.seed_generator)
        kept = _kept(self.seed_generator.next(), key, inputs, self.rate)
        return dropout_masks.where_kept(kept, inputs, self.rate)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


def _kept(seed, key, inputs, rate):
    """bool tensor of the shape of `inputs`: the entries that a mask keyed by row leaves."""
    rows, keys = inputs.shape[0], key.shape[0]
    if None not in (rows, keys) and (keys == 0 or rows % keys):
        raise ValueError(
            f"The first axis must be a multiple of the number of keys. Received: {rows} rows, {keys} keys"
        )
    sizes = ops.shape(inputs)
    seed, call = ops.cast(seed, "uint32"), _call.get()
    call = seed[1] if call is None else ops.cast(call, "uint32")
    hashes = dropout_masks.hashed(seed[0], call, *_words(key))  # (B,)
    # Of an uneven batch a replica may have no row, and no key.
    keys = ops.shape(key)[0]
    choices = sizes[0] // (max(keys, 1) if isinstance(keys, int) else ops.maximum(keys, 1))
    choices = ops.arange(choices, dtype="int32")  # (C,)
    hashes = ops.reshape(dropout_masks.hashed(ops.expand_dims(hashes, -1), choices), (sizes[0],))  # (B*C,)
    # By coordinates, one axis after the other: a flat index would change with the length of the padding.
    for size in sizes[1:]:
        hashes = dropout_masks.hashed(ops.expand_dims(hashes, -1), ops.arange(size, dtype="int32"))
    return dropout_masks.is_kept(hashes, rate)


def _words(key):
    """The lower and the upper 32 bits of an int32 or int64 tensor; those above an int32 repeat its sign."""
    above = 32 if keras.backend.standardize_dtype(key.dtype) == "int64" else 31
    return key, ops.right_shift(key, above)
