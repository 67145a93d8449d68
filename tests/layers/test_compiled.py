"""What XLA compiles in a training step gives the values and the gradients of the portable forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.layers import kernels
from keras_bert.layers.dropout import Dropout
from keras_bert.training.losses import SparseCrossentropy

RNG = np.random.default_rng(0)


def numbers(*shape, dtype="float32"):
    return tf.cast(tf.constant(RNG.normal(size=shape), tf.float32), dtype)


def both(function, *inputs):
    """(values, gradients by the inputs) of the portable form and of the compiled one."""
    found = []
    for active in (False, True):

        @tf.function
        def run(*inputs, active=active):
            with kernels.compiled_parts(active), tf.GradientTape() as tape:
                tape.watch(inputs)
                y = function(*inputs)
                loss = tf.reduce_sum(
                    tf.cast(y, tf.float32)
                    * tf.reshape(tf.sin(tf.range(tf.size(y), dtype=tf.float32)), tf.shape(y))
                )
            return y, tape.gradient(loss, inputs)

        found.append(run(*inputs))
        names = str(run.get_concrete_function(*inputs).graph.as_graph_def())
        assert ("_XlaMustCompile" in names) is active
    return found


def close(found, dtype):
    (y, gradients), (other, others) = found
    # In bfloat16 the portable forms round after every operation, of which the compiled ones know nothing.
    limit = 2e-6 if dtype == "float32" else 0.03
    for a, b in zip([y, *gradients], [other, *others], strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        a, b = (tf.cast(t, tf.float32).numpy() for t in (a, b))
        assert np.abs(a - b).max() <= limit * max(np.abs(a).max(), 1.0)


POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def norm_of(width, dtype="float32"):
    norm = keras.layers.LayerNormalization(epsilon=1e-12, dtype=POLICIES[dtype])
    norm.build((None, width))
    norm.gamma.assign(RNG.normal(size=width))
    norm.beta.assign(RNG.normal(size=width))
    return norm


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 8)], ids=str)
def test_normalisation_of_a_sum(shape, dtype):
    norm, dropout = norm_of(8, dtype), Dropout(0.0, dtype=POLICIES[dtype])

    def function(x, residual):
        return kernels.add_norm(x, residual, norm, dropout, True)

    found = both(function, numbers(*shape, dtype=dtype), numbers(*shape, dtype=dtype))
    close(found, dtype)


def test_normalisation_hands_gradients_to_its_own_weights():
    norm, dropout, gradients = norm_of(8), Dropout(0.0), []
    x, residual, weights = numbers(5, 8), numbers(5, 8), numbers(5, 8)
    for active in (False, True):
        with kernels.compiled_parts(active), tf.GradientTape() as tape:
            loss = tf.reduce_sum(kernels.add_norm(x, residual, norm, dropout, True) * weights)
        gradients.append(tape.gradient(loss, [norm.gamma.value, norm.beta.value]))
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_softmax(dtype, with_bias):
    bias = tf.constant([0.0, 0.0, 0.0, -1e9]) if with_bias else None
    dropout = Dropout(0.0, dtype=POLICIES[dtype])
    close(
        both(
            lambda x: kernels.attention_probabilities(x, bias, dropout, True),
            numbers(2, 3, 4, 4, dtype=dtype),
        ),
        dtype,
    )


HIDDEN = {"none": None, "keys": (2, 1, 1, 7), "of every query": (2, 1, 5, 7)}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_attention(dtype, hidden):
    dropout, bias = Dropout(0.0, dtype=POLICIES[dtype]), None
    if HIDDEN[hidden]:
        bias = tf.constant(np.where(RNG.random(HIDDEN[hidden]) < 0.3, -1e9, 0), tf.float32)
    query, key, value = (numbers(2, 3, length, 4, dtype=dtype) for length in (5, 7, 7))
    close(both(lambda q, k, v: kernels.attention(q, k, v, bias, dropout, True), query, key, value), dtype)


def test_attention_drops_what_its_mask_says_and_the_gradients_alike():
    dropout, inputs = Dropout(0.4, seed=5), [numbers(2, 3, 6, 4) for _ in range(3)]
    bias, weights = tf.constant([0.0, 0, 0, 0, 0, -1e9]), numbers(2, 3, 6, 4)
    seed = dropout.seed_generator.state.numpy()
    with kernels.compiled_parts():
        kept = kernels.attention_probabilities(tf.zeros((2, 3, 6, 6)), None, dropout, True).numpy() > 0
    assert list(dropout.seed_generator.state.numpy() - seed) == [0, 1] and 0.5 < kept.mean() < 0.7
    dropout.seed_generator.state.assign(seed)

    def by_hand(query, key, value):
        probabilities = tf.nn.softmax(tf.einsum("bnth,bnsh->bnts", query, key) / 2 + bias)  # 2: the root of H
        return tf.einsum("bnts,bnsh->bnth", probabilities * kept / 0.6, value)

    def compiled(query, key, value):
        with kernels.compiled_parts():
            return kernels.attention(query, key, value, bias, dropout, True)

    found = []
    for function in (by_hand, compiled):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
            loss = tf.reduce_sum(y * weights)
        found.append((y, tape.gradient(loss, inputs)))
    close(found, "float32")
    assert list(dropout.seed_generator.state.numpy() - seed) == [0, 1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["gelu", "gelu_approximate", "silu"])
def test_activations(name, dtype):
    x = tf.cast(tf.concat([numbers(500) * 3, [0.0, -30.0, 30.0, 1e-4]], 0), dtype)
    close(both(kernels.ACTIVATIONS[name], x), dtype)


@pytest.mark.parametrize("labels", [(6,), (2, 3)], ids=str)
def test_crossentropy_of_a_vocabulary(labels):
    y = tf.constant(RNG.integers(2000, size=labels))
    close(both(lambda x: kernels.crossentropy(y, x * 5), numbers(*labels, 2000)), "float32")


def test_the_loss_takes_the_compiled_form_and_few_classes_do_not():
    for classes, compiled in ((2, False), (2000, True)):
        y = tf.zeros(3, tf.int32)

        @tf.function
        def loss(x, y=y):
            with kernels.compiled_parts():
                return SparseCrossentropy()(y, x)

        graph = loss.get_concrete_function(tf.zeros((3, classes))).graph.as_graph_def()
        assert ("_XlaMustCompile" in str(graph)) is compiled


def test_dropout_drops_a_share_scales_the_rest_and_drops_the_gradient_alike():
    norm, dropout = norm_of(64), Dropout(0.25, seed=3)
    ones, zeros, weights, kept = tf.ones((400, 64)), tf.zeros((400, 64)), numbers(400, 64), []
    for _ in range(2):
        before = dropout.seed_generator.state.numpy()
        with kernels.compiled_parts(), tf.GradientTape() as tape:
            tape.watch(ones)
            y = kernels.attention_probabilities(ones, None, dropout, True)
            loss = tf.reduce_sum(y * weights)
        gradient = tape.gradient(loss, ones).numpy()
        assert list(dropout.seed_generator.state.numpy() - before) == [0, 1]
        y = y.numpy() * 64
        assert set(np.round(np.unique(y), 4)) == {0.0, np.float32(1.3333)} and np.isfinite(gradient).all()
        kept.append(y > 0)
        reached = np.where(kept[-1], weights.numpy() / 0.75, 0)  # then through a softmax of equal scores
        np.testing.assert_allclose(gradient, (reached - reached.mean(1, keepdims=True)) / 64, atol=1e-6)
        assert abs(kept[-1].mean() - 0.75) < 0.01
    assert 0.3 < (kept[0] != kept[1]).mean() < 0.45  # 2 * 0.25 * 0.75
    assert abs(np.corrcoef(kept[0][:, :-1].ravel(), kept[0][:, 1:].ravel())[0, 1]) < 0.02
    with kernels.compiled_parts(), tf.GradientTape() as tape:
        x = numbers(400, 64)
        tape.watch(x)
        before = dropout.seed_generator.state.numpy()
        y = kernels.add_norm(x, zeros, norm, dropout, True)
        loss = tf.reduce_sum(y * numbers(400, 64))
    dropped = tape.gradient(loss, x).numpy() == 0
    dropout.seed_generator.state.assign(before)
    with kernels.compiled_parts():  # the same masks, told from another function
        other = kernels.attention_probabilities(ones, None, dropout, True).numpy() == 0
    np.testing.assert_array_equal(dropped, other)


def test_outside_of_training_nothing_is_dropped():
    dropout = Dropout(0.5, seed=1)
    with kernels.compiled_parts():
        y = kernels.attention_probabilities(tf.zeros((2, 4)), None, dropout, False)
    np.testing.assert_array_equal(y, np.full((2, 4), 0.25))


def test_the_masks_are_those_that_jax_draws():
    """kernels.dropout on JAX and the compiled form number the places alike and hash them alike."""
    x, dropout = tf.ones((3, 5, 7)), Dropout(0.5, seed=11)
    seed = dropout.seed_generator.state.numpy().astype("uint32")
    with kernels.compiled_parts():
        kept = kernels.attention_probabilities(x, None, dropout, True).numpy() > 0
    expected = [_hash(_hash(int(seed[0]), int(seed[1])), place) >= 2**31 for place in range(x.numpy().size)]
    np.testing.assert_array_equal(kept.ravel(), expected)


def _hash(state, word):
    """dropout_masks.hashed in plain integers."""

    def mixed(x):
        x = ((x ^ (x >> 16)) * 0x7FEB352D) % 2**32
        return ((x ^ (x >> 15)) * 0x846CA68B) % 2**32

    return mixed(state ^ mixed((word + 0x9E3779B9) % 2**32))
