"""The parts of a training step that XLA compiles on TensorFlow, each with its gradient.

A residual connection with dropout and normalisation is some twenty operations of TensorFlow forward and forty
backward, and each goes through memory once; compiled they are one loop a direction. Dropout masks are hashes
of the places (dropout_masks.py), drawn again in the backward pass instead of being kept. The arithmetic is in
float32, whatever the precision of what comes and goes. Which models take this way `BertModel.compile` says;
`kernels.py` is where a layer asks for it.

Compiled for every new shape: callers see to it that shapes repeat (layers/real_tokens.py).
"""

import functools
import math

import keras
from keras import ops

from keras_bert.layers import dropout_masks

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


@functools.cache
def works() -> bool:
    """Whether this TensorFlow has XLA for what it runs on: some builds were made without."""
    try:
        return int(_xla(lambda x: x + 1)(tf.constant(1))) == 2
    except (tf.errors.OpError, ValueError):
        return False


def dropout_add_norm(x, residual, norm, dropout, training):
    """norm(residual + dropout(x)).

    Args:
        x, residual: float tensors (..., D).
        norm: `LayerNorm`, built.
        dropout: `keras_bert.layers.Dropout`. Its seed is advanced by one where something is dropped.
        training: bool. False: nothing is dropped.
    """
    rate, seed = _drawn(dropout, training)
    forward, backward = _norm(norm.epsilon, rate)

    @tf.custom_gradient
    def apply(x, residual, gamma, beta):
        y, normalised, inverse = forward(x, residual, gamma, beta, seed)
        return y, lambda gradient: backward(gradient, normalised, inverse, gamma, seed)

    # Tensors, not variables: those would have to be handed through by name.
    return apply(x, residual, *(tf.identity(ops.convert_to_tensor(w)) for w in (norm.gamma, norm.beta)))


def softmax_dropout(scores, bias, dropout, training):
    """dropout(softmax(scores + bias)) over the last axis.

    Args:
        scores: float tensor (B, N, T, S).
        bias: float32 tensor that broadcasts with it. It gets no gradient.
        dropout, training: as above.
    Returns:
        Tensor of the dtype of `scores`.
    """
    rate, seed = _drawn(dropout, training)
    forward, backward = _softmax(rate)

    @tf.custom_gradient
    def apply(scores):
        dropped, probabilities = forward(scores, bias, seed)
        return dropped, lambda gradient: backward(gradient, probabilities, seed)

    return apply(scores)


def attention(query, key, value, bias, dropout, training):
    """dropout(softmax(query @ key^T / sqrt(H) + bias)) @ value, its products within XLA too.

    Of (B, N, T, S) one tensor is kept for the backward pass, the probabilities before dropout.

    Args:
        query, key, value: float32 tensors (B, N, T, H); in bfloat16 XLA's products are slow on CPUs.
        bias, dropout, training: as above.
    Returns:
        float32 tensor (B, N, T, H).
    """
    rate, seed = _drawn(dropout, training)
    forward, backward = _attention(rate)

    @tf.custom_gradient
    def apply(query, key, value):
        y, probabilities = forward(query, key, value, bias, seed)
        return y, lambda gradient: backward(gradient, y, query, key, value, probabilities, seed)

    return apply(query, key, value)


def activation(function, x):
    """function(x), for a function of every number by itself."""
    forward, backward = _activation(function)

    @tf.custom_gradient
    def apply(x):
        return forward(x), lambda gradient: backward(gradient, x)

    return apply(x)


def crossentropy(labels, logits):
    """logsumexp(logits) - logits[label].

    Args:
        labels: int tensor (...), in [0, V).
        logits: float32 tensor (..., V).
    Returns:
        float32 tensor (...).
    """
    width, (forward, backward) = logits.shape[-1], _crossentropy()
    flat_labels = tf.reshape(tf.cast(labels, tf.int32), (-1,))

    @tf.custom_gradient
    def apply(logits):
        values, total = forward(flat_labels, logits)
        return values, lambda gradient: backward(gradient, flat_labels, logits, total)

    return tf.reshape(apply(tf.reshape(logits, (-1, width))), tf.shape(labels))


def _drawn(dropout, training):
    """The rate, and the seed of this call, int32 (2,)."""
    if not training or not dropout.rate:
        return 0.0, tf.zeros(2, tf.int32)
    return dropout.rate, ops.cast(dropout.seed_generator.next(), "int32")


def _dropped(x, seed, rate):
    """float32 `x` with a share of `rate` of its entries set to 0; the same ones for the same seed."""
    if not rate:
        return x
    return dropout_masks.dropped_at(tf.reshape(tf.range(tf.size(x)), tf.shape(x)), x, rate, seed)


def _xla(function):
    return tf.function(function, jit_compile=True, autograph=False)


@functools.cache
def _norm(epsilon, rate):
    def forward(x, residual, gamma, beta, seed):
        total = _float32(residual) + _dropped(_float32(x), seed, rate)
        centred = total - tf.reduce_mean(total, axis=-1, keepdims=True)
        inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True) + epsilon)
        normalised = centred * inverse
        y = normalised * _float32(gamma) + _float32(beta)
        return tf.cast(y, x.dtype), tf.cast(normalised, x.dtype), inverse

    def backward(gradient, normalised, inverse, gamma, seed):
        dtype, own = gradient.dtype, gamma.dtype
        gradient, normalised = _float32(gradient), _float32(normalised)
        of_normalised = gradient * _float32(gamma)
        along = tf.reduce_mean(of_normalised * normalised, axis=-1, keepdims=True)
        mean = tf.reduce_mean(of_normalised, axis=-1, keepdims=True)
        of_total = inverse * (of_normalised - mean - normalised * along)
        rows = tuple(range(len(gradient.shape) - 1))
        of_gamma, of_beta = tf.reduce_sum(gradient * normalised, rows), tf.reduce_sum(gradient, rows)
        of_x = tf.cast(_dropped(of_total, seed, rate), dtype)
        return of_x, tf.cast(of_total, dtype), tf.cast(of_gamma, own), tf.cast(of_beta, own)

    return _xla(forward), _xla(backward)


@functools.cache
def _softmax(rate):
    def forward(scores, bias, seed):
        probabilities = tf.nn.softmax(_float32(scores) + bias)
        dropped = tf.cast(_dropped(probabilities, seed, rate), scores.dtype)
        return dropped, tf.cast(probabilities, scores.dtype)

    def backward(gradient, probabilities, seed):
        dtype, probabilities = gradient.dtype, _float32(probabilities)
        gradient = _dropped(_float32(gradient), seed, rate)
        along = tf.reduce_sum(gradient * probabilities, axis=-1, keepdims=True)
        return tf.cast(probabilities * (gradient - along), dtype)

    return _xla(forward), _xla(backward)


@functools.cache
def _attention(rate):
    def scaled(query):
        return query * (1.0 / math.sqrt(query.shape[-1]))

    def forward(query, key, value, bias, seed):
        probabilities = tf.nn.softmax(tf.matmul(scaled(query), key, transpose_b=True) + bias)
        return tf.matmul(_dropped(probabilities, seed, rate), value), probabilities

    def backward(gradient, y, query, key, value, probabilities, seed):
        of_value = tf.matmul(_dropped(probabilities, seed, rate), gradient, transpose_a=True)
        of_probabilities = _dropped(tf.matmul(gradient, value, transpose_b=True), seed, rate)
        # Their sum weighted by the probabilities, from T*H numbers a head instead of T*S.
        along = tf.reduce_sum(gradient * y, axis=-1, keepdims=True)
        of_scores = probabilities * (of_probabilities - along)
        of_query = scaled(tf.matmul(of_scores, key))
        return of_query, tf.matmul(of_scores, scaled(query), transpose_a=True), of_value

    return _xla(forward), _xla(backward)


@functools.cache
def _activation(function):
    def forward(x):
        return tf.cast(function(_float32(x)), x.dtype)

    def backward(gradient, x):
        x32 = _float32(x)
        with tf.GradientTape() as tape:
            tape.watch(x32)
            y = function(x32)
        return tf.cast(tape.gradient(y, x32, _float32(gradient)), x.dtype)

    return _xla(forward), _xla(backward)


@functools.cache
def _crossentropy():
    def forward(labels, logits):
        total = tf.reduce_logsumexp(logits, axis=-1)
        return total - tf.gather(logits, labels, axis=1, batch_dims=1), total

    def backward(gradient, labels, logits, total):
        probabilities = tf.exp(logits - total[:, None])
        return (probabilities - tf.one_hot(labels, tf.shape(logits)[1])) * gradient[:, None]

    return _xla(forward), _xla(backward)


def _float32(x):
    return tf.cast(x, tf.float32)
