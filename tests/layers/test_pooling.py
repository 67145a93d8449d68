"""The pooler looks at [CLS] alone."""

import keras
import numpy as np

from keras_bert.layers import ClsPooler

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")


def test_the_pooler_is_tanh_of_a_dense_layer_over_the_first_token():
    pooler = ClsPooler(4)
    pooler(X)
    kernel, bias = (np.random.default_rng(1).normal(size=w.shape) for w in pooler.weights)
    pooler.set_weights([kernel, bias])
    np.testing.assert_allclose(pooler(X), np.tanh(X[:, 0] @ kernel + bias), rtol=0, atol=1e-6)


def test_a_rebuilt_pooler_has_the_same_configuration():
    pooler = ClsPooler(4, initializer_range=0.3)
    assert ClsPooler.from_config(pooler.get_config()).get_config() == pooler.get_config()
    assert pooler.kernel_initializer.stddev == 0.3


def test_the_shape_is_known_before_the_batch_is():
    assert ClsPooler(4)(keras.Input((None, 4))).shape == (None, 4)
