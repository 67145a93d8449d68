"""A block that is computed twice learns what it would, on every backend."""

import keras
import numpy as np
import pytest

from keras_bert.layers import EncoderBlock
from keras_bert.layers.dropout import masks_apart


def trained(rematerialize, dropout):
    keras.utils.set_random_seed(0)
    inputs = {
        "x": keras.Input((5, 8), name="x"),
        "padding_mask": keras.Input((5,), dtype="int32", name="padding_mask"),
    }
    x = inputs["x"]
    for i in range(3):
        block = EncoderBlock(2, 16, dropout=dropout, attention_dropout=dropout, name=f"block_{i}")
        block.rematerialize = rematerialize
        x = block(x, padding_mask=inputs["padding_mask"])
    model = keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(x))
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=keras.backend.backend() == "jax")
    random = np.random.default_rng(0)
    data = {"x": random.normal(size=(4, 5, 8)).astype("float32"), "padding_mask": np.ones((4, 5), "int32")}
    data["padding_mask"][:2, 3:] = 0
    losses = model.fit(data, np.ones((4, 5, 1)), epochs=4, verbose=0).history["loss"]
    return losses, model.get_weights()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_weights_and_the_state_of_seeds_are_the_same(dropout):
    (losses, weights), (again, others) = trained(False, dropout), trained(True, dropout)
    np.testing.assert_allclose(again, losses, rtol=0, atol=1e-5)
    for a, b in zip(weights, others, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-5)


def test_masks_keyed_by_row_are_the_same():
    x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    outputs = []
    for rematerialize in (False, True):
        keras.utils.set_random_seed(0)
        block = EncoderBlock(2, 16, dropout=0.5, attention_dropout=0.5)
        block.rematerialize = rematerialize
        with masks_apart(np.array([7, 8], "int32")):
            outputs.append(keras.ops.convert_to_numpy(block(x, training=True)))
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=0, atol=1e-6)
