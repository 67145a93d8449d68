"""The classifier: dropout, then a projection in float32."""

import keras
import numpy as np

from keras_bert.layers import Classifier

X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
ALL = 1.0 - 1e-9  # a rate at which nothing survives and that every backend accepts


def classifier(dropout=0.0, **kwargs):
    layer = Classifier(2, dropout, **kwargs)
    layer.build(X.shape)
    layer.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in layer.weights])
    return layer


def test_logits_are_a_plain_projection_of_the_input():
    layer = classifier()
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(layer(X), X @ kernel + bias, rtol=0, atol=1e-6)


def test_dropout_hides_the_input_in_training_only():
    layer = classifier(dropout=ALL)
    np.testing.assert_array_equal(layer(X, training=False), classifier()(X))
    np.testing.assert_allclose(
        layer(X, training=True), np.tile(layer.get_weights()[1], (3, 1)), rtol=0, atol=1e-6
    )


def test_logits_are_float32_under_mixed_bfloat16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        logits = classifier()(keras.ops.cast(X, "bfloat16"))
    finally:
        keras.config.set_dtype_policy(before)
    kernel, bias = classifier().get_weights()
    rounded = keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.cast(X, "bfloat16"), "float32"))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    # Nothing is rounded but the input itself.
    np.testing.assert_allclose(logits, rounded @ kernel + bias, rtol=0, atol=1e-6)


def test_a_rebuilt_classifier_has_the_same_configuration():
    layer = classifier(dropout=0.3, initializer_range=0.5)
    rebuilt = Classifier.from_config(layer.get_config())
    assert rebuilt.get_config() == layer.get_config()
    assert rebuilt.kernel_initializer.stddev == 0.5
