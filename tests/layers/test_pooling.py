"""The pooler looks at [CLS] alone."""

import keras
import numpy as np
import pytest

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
    places = keras.Input((None,), dtype="int32")
    assert ClsPooler(4)(keras.Input((None, 4)), cls_positions=places).shape == (None, None, 4)


def test_every_packed_example_is_pooled_from_its_own_first_token():
    pooler = ClsPooler(4)
    everywhere = np.stack([pooler(X[:, t:]) for t in range(5)], axis=1)  # (B, T, D)
    places = np.array([[0, 3], [4, 4], [2, 0]], "int32")
    expected = np.take_along_axis(everywhere, places[..., None], axis=1)
    np.testing.assert_allclose(pooler(X, cls_positions=places), expected, rtol=0, atol=1e-6)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="what lies outside is the backend's choice"
)
def test_a_place_outside_of_its_row_is_no_place_of_the_next_row():
    for place in (-1, 5):
        with pytest.raises(Exception, match="indices"):
            ClsPooler(4)(X, cls_positions=np.array([[0], [place], [0]], "int32"))


@pytest.mark.parametrize("packed", [True, False])
def test_a_saved_pooler_comes_back(packed, tmp_path):
    inputs = {"x": keras.Input((None, 4), name="x")}
    if packed:
        inputs["cls_positions"] = keras.Input((None,), dtype="int32", name="cls_positions")
    model = keras.Model(inputs, ClsPooler(4)(inputs["x"], cls_positions=inputs.get("cls_positions")))
    model.save(tmp_path / "pooler.keras")
    loaded = keras.saving.load_model(tmp_path / "pooler.keras")
    features = {"x": X, "cls_positions": np.array([[0, 3]] * 3, "int32")}
    features = {name: features[name] for name in inputs}
    np.testing.assert_array_equal(loaded(features), model(features))
