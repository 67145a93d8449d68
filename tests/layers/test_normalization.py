"""`LayerNorm` beside Keras' layer and beside arithmetic in float64."""

import keras
import numpy as np
import pytest

from keras_bert.layers.normalization import LayerNorm


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_it_is_the_formula(scale):
    random = np.random.default_rng(0)
    x = (scale * (random.normal(size=(5, 7, 384)) + 3)).astype("float32")
    gamma, beta = random.normal(size=(2, 384)).astype("float32")
    norm, stock = LayerNorm(1e-12), keras.layers.LayerNormalization(epsilon=1e-12)
    for layer in (norm, stock):
        layer.build(x.shape)
        layer.set_weights([gamma, beta])
    exact = x.astype("float64")
    exact = (exact - exact.mean(-1, keepdims=True)) / np.sqrt(exact.var(-1, keepdims=True) + 1e-12)
    exact = exact * gamma + beta
    ours, theirs = (np.abs(np.asarray(layer(x), "float64") - exact).max() for layer in (norm, stock))
    assert ours < 5e-6 and ours <= theirs + 1e-6


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16", "float16"])
def test_weights_are_float32_in_every_precision(policy):
    norm = LayerNorm(1e-6, dtype=policy)
    norm.build((2, 8))
    assert {w.dtype for w in norm.weights} == {"float32"}
    y = norm(keras.ops.ones((2, 8), policy.removeprefix("mixed_")))
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="has no float64 unless it is asked for")
def test_float64_loses_nothing():
    x = np.random.default_rng(0).normal(size=(3, 8)) + 1e6
    norm = LayerNorm(1e-12, dtype="float64")
    exact = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    np.testing.assert_allclose(norm(keras.ops.convert_to_tensor(x, "float64")), exact, rtol=0, atol=1e-8)


def test_it_is_made_again_from_its_config():
    norm = LayerNorm(1e-7, name="norm")
    again = LayerNorm.from_config(norm.get_config())
    assert again.epsilon == 1e-7 and again.name == "norm"
