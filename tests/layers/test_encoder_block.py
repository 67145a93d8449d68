"""A block is two branches, each with residual, dropout and normalisation, in this order."""

import keras
import numpy as np
import pytest

from keras_bert.layers import EncoderBlock

MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], "int32")
X = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
EPSILON = 0.2
ALL = 1.0 - 1e-9  # a rate at which nothing survives and that every backend accepts


def block(**changes):
    layer = EncoderBlock(2, 12, **{"dropout": 0.0, "attention_dropout": 0.0, **changes})
    layer.build(X.shape)
    rng = np.random.default_rng(1)
    for weight in sorted(layer.weights, key=lambda weight: weight.path):
        weight.assign(rng.normal(size=weight.shape))
    return layer


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def normalised(x, norm, epsilon):
    gamma, beta = norm.get_weights()
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon) * gamma + beta


def test_a_block_is_two_residual_branches_each_normalised_after_the_sum():
    layer = block(layer_norm_epsilon=EPSILON, activation="relu")
    x = normalised(X + array(layer.attention(X, MASK)), layer.attention_layer_norm, EPSILON)
    (kernel, bias), (output_kernel, output_bias) = (
        layer.intermediate.get_weights(),
        layer.output_projection.get_weights(),
    )
    y = np.maximum(x @ kernel + bias, 0) @ output_kernel + output_bias
    expected = normalised(x + y, layer.output_layer_norm, EPSILON)
    np.testing.assert_allclose(layer(X, MASK), expected, rtol=0, atol=1e-4)


def test_dropout_is_applied_to_both_branches_before_the_sum():
    layer = block(dropout=ALL)
    x = normalised(X, layer.attention_layer_norm, 1e-12)
    expected = normalised(x, layer.output_layer_norm, 1e-12)
    np.testing.assert_allclose(layer(X, MASK, training=True), expected, rtol=0, atol=1e-4)


def test_attention_dropout_alone_changes_training():
    layer = block(attention_dropout=0.5)
    assert np.abs(array(layer(X, MASK, training=True)) - array(layer(X, MASK, training=False))).max() > 0.01


def test_without_dropout_training_is_inference():
    layer = block()
    np.testing.assert_array_equal(array(layer(X, MASK, training=True)), array(layer(X, MASK, training=False)))


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"gelu_approximate.*Received: activation='swish'"):
        EncoderBlock(2, 12, activation="swish")


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match=r"num_heads=3, hidden width=8"):
        EncoderBlock(3, 12).build((None, None, 8))


def test_a_rebuilt_block_has_the_same_configuration_and_outputs():
    layer = block(
        layer_norm_epsilon=EPSILON, activation="gelu_approximate", dropout=0.3, attention_dropout=0.2
    )
    rebuilt = EncoderBlock.from_config(layer.get_config())
    rebuilt.build(X.shape)
    rebuilt.set_weights(layer.get_weights())
    assert rebuilt.get_config() == layer.get_config()
    np.testing.assert_array_equal(array(rebuilt(X, MASK)), array(layer(X, MASK)))


def test_new_kernels_have_the_asked_standard_deviation():
    keras.utils.set_random_seed(0)
    layer = EncoderBlock(2, 512, initializer_range=0.3)
    layer.build((None, None, 128))
    for weight in layer.weights:
        if weight.path.endswith("kernel"):
            # A normal cut at two deviations, which keeps 0.88 of its spread.
            assert array(weight).std() == pytest.approx(0.3 * 0.88, rel=0.02), weight.path
            assert np.abs(array(weight)).max() <= 0.6
