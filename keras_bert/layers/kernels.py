"""The arithmetic that a backend may do in a faster form, each beside its portable one.

A faster form must agree with the portable one (tests/layers/test_kernels.py). Exports always trace the
portable form, but for `scan`.
"""

import contextlib
import contextvars
import functools
import math

import keras
from keras import ops

from keras_bert.layers import dropout_masks

_SQRT_HALF = math.sqrt(0.5)
_SQRT_TWO_OVER_PI = math.sqrt(2.0 / math.pi)
_MANY_CLASSES = 1024  # below, one more function to compile costs more than it saves
_compiles = contextvars.ContextVar("compiles_parts", default=False)


@contextlib.contextmanager
def compiled_parts(active=True):
    """Within it, on TensorFlow, layers compute in the forms of layers/compiled.py: for a training step."""
    token = _compiles.set(active and keras.backend.backend() == "tensorflow")
    try:
        yield
    finally:
        _compiles.reset(token)


def compiles_parts() -> bool:
    """Whether what runs now is within `compiled_parts`."""
    return _compiles.get()


def _of_every_number(function):
    """An activation, which compiled is one loop forward and one backward."""

    @functools.wraps(function)
    def activation(x):
        if not compiles_parts():
            return function(x)
        from keras_bert.layers import compiled

        return compiled.activation(function, x)

    return activation


def add_norm(x, residual, norm, dropout, training):
    """norm(residual + dropout(x)): what ends both halves of a block.

    Args:
        x, residual: float tensors (..., D).
        norm: `LayerNorm`.
        dropout: `Dropout` layer.
        training: bool or None.
    """
    if compiles_parts():
        from keras_bert.layers import compiled

        return compiled.dropout_add_norm(x, residual, norm, dropout, training)
    return norm(residual + dropout(x, training=training))


def attention(query, key, value, bias, dropout, training):
    """dropout(softmax(query @ key^T / sqrt(H) + bias)) @ value.

    Args:
        query, key, value: float tensors (B, N, T, H).
        bias: float32 tensor that broadcasts with (B, N, T, S), or None.
        dropout: `Dropout` layer.
        training: bool or None.
    Returns:
        Float tensor (B, N, T, H).
    """
    if compiles_parts() and keras.backend.standardize_dtype(query.dtype) == "float32":
        from keras_bert.layers import compiled

        return compiled.attention(query, key, value, 0.0 if bias is None else bias, dropout, training)
    scores = attention_scores(query, key)
    return ops.matmul(attention_probabilities(scores, bias, dropout, training), value)


def attention_scores(query, key):
    """query @ key^T / sqrt(H): 2 x (B, N, T, H) -> (B, N, T, S)."""
    # Scaling the query costs T*H multiplications a head, scaling the scores T*S.
    query = query * (1.0 / math.sqrt(query.shape[-1]))
    return ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))


def attention_probabilities(scores, bias, dropout, training):
    """dropout(softmax(scores + bias)) over the last axis, the softmax in float32.

    Args:
        scores: float tensor (B, N, T, S).
        bias: float32 tensor that broadcasts with it, or None.
        dropout: `Dropout` layer.
        training: bool or None.
    Returns:
        Tensor of the dtype of `scores`.
    """
    if compiles_parts():
        from keras_bert.layers import compiled

        return compiled.softmax_dropout(scores, 0.0 if bias is None else bias, dropout, training)
    return dropout(ops.cast(softmax(scores, bias), scores.dtype), training=training)


def softmax(scores, bias=None):
    """softmax(scores + bias) over the last axis, a float32 tensor."""
    # In bfloat16 every probability would lose two decimal digits.
    scores = ops.cast(scores, "float32")
    if bias is not None:
        scores = scores + bias
    if scores.shape[-1] == 1:  # Keras warns about a softmax over one value, which is 1
        return ops.ones_like(scores)
    return ops.softmax(scores, axis=-1)


def crossentropy(labels, logits):
    """logsumexp(logits) - logits[label]: int (...) and float32 (..., C) -> float32 (...)."""
    # Of question answering's logits, which are of places, the number is not known.
    if compiles_parts() and (logits.shape[-1] or 0) >= _MANY_CLASSES:
        from keras_bert.layers import compiled

        return compiled.crossentropy(labels, logits)
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


@_of_every_number
def gelu(x):
    """The exact GELU, x * Phi(x), through `erf`.

    `keras.ops.gelu(approximate=False)` emits the op Erfc, which TFLite, TensorFlow.js and ONNX converters
    do not know; `erf` works everywhere and still fuses to TFLite's GELU.
    """
    return 0.5 * x * (1.0 + ops.erf(x * _SQRT_HALF))


@_of_every_number
def gelu_approximate(x):
    """The tanh form of GELU (Google's since 2019, Hugging Face's `gelu_new`)."""
    # Written with x**3: the converter of TFLite recognises this form, not x * x * x.
    return 0.5 * x * (1.0 + ops.tanh(_SQRT_TWO_OVER_PI * (x + 0.044715 * ops.power(x, 3))))


def relu(x):
    """max(x, 0)."""
    return ops.relu(x)


@_of_every_number
def silu(x):
    """x * sigmoid(x)."""
    return ops.silu(x)


def tanh(x):
    """Hyperbolic tangent."""
    return ops.tanh(x)


# The keys are the values `BertConfig.activation` may have.
ACTIVATIONS = {"gelu": gelu, "gelu_approximate": gelu_approximate, "relu": relu, "silu": silu, "tanh": tanh}


def fuses_attention() -> bool:
    """Whether the backend has attention in one kernel that never keeps the scores: JAX, by cuDNN on a GPU."""
    return keras.backend.backend() == "jax"


def fused_attention(query, key, value, padding_mask=None):
    """softmax(query @ key^T / sqrt(H)) @ value, without dropout; by the backend's own kernel.

    Args:
        query, key, value: float tensors (B, T, N, H).
        padding_mask: as `SelfAttention` takes it.
    Returns:
        Float tensor (B, T, N, H).
    """
    mask = None
    if padding_mask is not None:
        batch, length = ops.shape(query)[:2]
        mask = ops.cast(padding_mask, "bool")
        mask = ops.expand_dims(mask, (1, 2) if len(mask.shape) == 2 else 1)
        mask = ops.broadcast_to(mask, (batch, 1, length, length))  # cuDNN wants every query's
    return ops.dot_product_attention(query, key, value, mask=mask)


def dropout(inputs, rate, seed_generator):
    """`inputs` scaled up, with a share of `rate` of the entries set to 0.

    On JAX the masks are hashes of the places, a few integer operations an entry; the rounds of its own
    generator took a seventh of a training step of BERT-large on an H100. They repeat after 2^32 entries.

    Args:
        inputs: float tensor.
        rate: float in (0, 1).
        seed_generator: `keras.random.SeedGenerator`. It is advanced by one.
    """
    if keras.backend.backend() != "jax":
        return keras.random.dropout(inputs, rate, seed=seed_generator)
    places, size = ops.zeros((), "uint32"), 1
    for axis in reversed(range(len(inputs.shape))):
        along = ops.arange(inputs.shape[axis], dtype="uint32") * dropout_masks.uint32(size % 2**32)
        places = ops.expand_dims(along, tuple(range(1, len(inputs.shape) - axis))) + places
        size *= inputs.shape[axis]
    return dropout_masks.dropped_at(places, inputs, rate, seed_generator.next())


def scan(step, carry, rows, reverse=False):
    """Goes through the rows one by one: `carry, result = step(carry, row)`.

    On TensorFlow with a loop of our own. That of Keras cannot be differentiated under XLA, does not take
    several `rows` of a number that only the graph knows, and wants results shaped as the carry. It is also
    what exports trace: TFLite has all of its operations.

    Args:
        step: function of two tensors or tuples of tensors, which returns such too.
        carry: tensor or tuple of tensors. Every step returns the same shapes and types.
        rows: tensor or tuple of tensors, all of the same number of rows.
        reverse: bool. Begins with the last row; the results are in the order of the rows all the same.
    Returns:
        The last carry, and the stacked results.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.scan(step, carry, rows, reverse=reverse)
    import tensorflow as tf

    rows = tf.nest.map_structure(tf.convert_to_tensor, rows)
    first = tf.nest.map_structure(lambda all_rows: all_rows[0], rows)
    likeness = step(carry, first)[1]  # only for its types and shapes: a graph drops it
    count = tf.shape(tf.nest.flatten(rows)[0])[0]

    def array_like(row):
        return tf.TensorArray(row.dtype, size=count, element_shape=row.shape)

    arrays = tf.nest.map_structure(lambda row, all_rows: array_like(row).unstack(all_rows), first, rows)

    def body(done, carry, results):
        at = count - 1 - done if reverse else done
        carry, result = step(carry, tf.nest.map_structure(lambda array: array.read(at), arrays))
        return (
            done + 1,
            carry,
            tf.nest.map_structure(lambda array, one: array.write(at, one), results, result),
        )

    # XLA wants to know how often at most, to keep what the gradient needs.
    loop = (0, carry, tf.nest.map_structure(array_like, likeness))
    _, carry, results = tf.while_loop(lambda done, *_: done < count, body, loop, maximum_iterations=count)
    return carry, tf.nest.map_structure(lambda array: array.stack(), results)


def unset(shape, dtype):
    """A tensor that is about to be overwritten: none of its numbers is defined, no memory is taken yet."""
    if keras.backend.backend() != "tensorflow":
        return ops.zeros(shape, dtype)
    import tensorflow as tf

    return tf.raw_ops.Empty(shape=shape, dtype=dtype, init=False)
