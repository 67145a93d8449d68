"""Choices become rows of the batch and come back as one score each, in their order."""

import keras
import numpy as np

from keras_bert.layers import FlattenChoices, UnflattenChoices

FEATURES = np.arange(2 * 3 * 4, dtype="int32").reshape(2, 3, 4)


def test_every_choice_becomes_a_row_in_the_order_of_the_rows():
    flat = FlattenChoices()(FEATURES)
    assert keras.backend.standardize_dtype(flat.dtype) == "int32"
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(flat), FEATURES.reshape(6, 4))


def test_the_scores_come_back_to_the_row_of_their_choices():
    scores = np.arange(6, dtype="float32")[:, None]
    folded = UnflattenChoices()(scores, FEATURES)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(folded), [[0, 1, 2], [3, 4, 5]])


def test_shapes_and_types_are_known_before_the_layers_run():
    features, scores = keras.KerasTensor((None, 3, None), "int32"), keras.KerasTensor((None, 1), "float32")
    flat, folded = FlattenChoices()(features), UnflattenChoices()(scores, features)
    assert [(t.shape, t.dtype) for t in (flat, folded)] == [
        ((None, None), "int32"),
        ((None, 3), "float32"),
    ]
    assert FlattenChoices().compute_output_shape((2, 3, 4)) == (6, 4)


def test_rebuilt_layers_have_the_same_configuration():
    for layer in (FlattenChoices(name="flat"), UnflattenChoices(name="back")):
        assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
