"""`Projection` is `keras.layers.Dense` in another order of memory: same values, same gradients."""

import keras
import numpy as np
import pytest

from keras_bert.layers import Projection


def twins(*shape):
    """A model of two `Projection`s and one of two `Dense`s with the same weights."""
    models = []
    for layer in (Projection, keras.layers.Dense):
        models.append(keras.Sequential([keras.Input(shape), layer(5, activation="tanh"), layer(3)]))
    weights = [np.random.default_rng(0).normal(size=w.shape) for w in models[0].weights]
    for model in models:
        model.set_weights(weights)
    return models


SHAPES = [(4,), (7, 4), (2, 3, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_projection_gives_the_outputs_of_dense(shape):
    ours, theirs = twins(*shape)
    x = np.random.default_rng(1).normal(size=(6, *shape)).astype("float32")
    np.testing.assert_allclose(ours(x), theirs(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_projection_gives_the_gradients_of_dense(shape):
    # One step of plain descent at rate 1 moves every weight by minus its gradient; that of the first layer
    # passes through the second.
    rng = np.random.default_rng(2)
    x, y = (
        rng.normal(size=(6, *shape)).astype("float32"),
        rng.normal(size=(6, *shape[:-1], 3)).astype("float32"),
    )
    moved = []
    for model in twins(*shape):
        before = model.get_weights()
        model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse")
        model.train_on_batch(x, y)
        moved.append([old - new for old, new in zip(before, model.get_weights(), strict=True)])
    for ours, theirs in zip(*moved, strict=True):
        assert np.abs(theirs).max() > 1e-3
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_projection_accepts_axes_of_unknown_length():
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, Projection(3)(inputs))
    assert model.output_shape == (None, None, 3)
    assert model(np.ones((2, 5, 4), "float32")).shape == (2, 5, 3)
