"""The activations give the values of their formulas, whatever form a backend chooses."""

import math

import keras
import numpy as np
import pytest

from keras_bert.config import ACTIVATIONS as CONFIG_ACTIVATIONS
from keras_bert.layers import kernels

X = np.linspace(-6.0, 6.0, 241, dtype="float32")

FORMULAS = {
    "gelu": lambda x: 0.5 * x * (1.0 + math.erf(x / math.sqrt(2.0))),
    "gelu_approximate": lambda x: (
        0.5 * x * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    ),
    "relu": lambda x: max(x, 0.0),
    "silu": lambda x: x / (1.0 + math.exp(-x)),
    "tanh": math.tanh,
}


def values_of(name):
    return keras.ops.convert_to_numpy(kernels.ACTIVATIONS[name](keras.ops.convert_to_tensor(X)))


def test_there_is_a_kernel_for_every_activation_a_config_may_name():
    assert set(kernels.ACTIVATIONS) == set(CONFIG_ACTIVATIONS) == set(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_has_the_values_of_its_formula(name):
    expected = [FORMULAS[name](float(x)) for x in X]
    np.testing.assert_allclose(values_of(name), expected, rtol=0, atol=1e-6)


def test_the_two_gelus_differ_by_at_most_half_a_thousandth():
    # The known distance of the two forms: a swap of one for the other is seen.
    assert 4.6e-4 < np.abs(values_of("gelu") - values_of("gelu_approximate")).max() < 4.8e-4


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_keeps_bfloat16(name):
    y = kernels.ACTIVATIONS[name](keras.ops.cast(X, "bfloat16"))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="looks into a TensorFlow graph")
def test_the_traced_gelu_has_no_op_that_converters_do_not_know():
    import tensorflow as tf

    graph = tf.function(kernels.gelu).get_concrete_function(tf.TensorSpec([None], "float32")).graph
    ops = {operation.type for operation in graph.get_operations()}
    assert "Erf" in ops and "Erfc" not in ops


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_goes_through_the_rows_in_order_and_stacks_the_results(reverse):
    numbers, flags = np.arange(4, dtype="float32"), np.array([True, False, True, True])

    def step(carry, row):
        number, flag = row
        carry = keras.ops.where(flag, 10.0 * carry + number, carry)
        return carry, (carry, -number)

    last, (carries, negated) = kernels.scan(step, keras.ops.zeros(()), (numbers, flags), reverse=reverse)
    assert float(last) == (320.0 if reverse else 23.0)
    expected = [320.0, 32.0, 32.0, 3.0] if reverse else [0.0, 0.0, 2.0, 23.0]
    np.testing.assert_array_equal(carries, expected)
    np.testing.assert_array_equal(negated, -numbers)


def test_a_scan_of_tensorflow_agrees_with_the_portable_one():
    rows = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")

    def step(carry, row):
        carry = keras.ops.tanh(carry + row)
        return carry, carry

    for reverse in (False, True):
        ours = kernels.scan(step, keras.ops.zeros(3), rows, reverse=reverse)
        portable = keras.ops.scan(step, keras.ops.zeros(3), rows, reverse=reverse)
        for one, other in zip(ours, portable, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
