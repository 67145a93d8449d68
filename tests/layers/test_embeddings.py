"""The embeddings are the normalised sum of three tables, each of which is used."""

import keras
import numpy as np
import pytest

from keras_bert.layers import BertEmbeddings

IDS = np.array([[5, 3, 3, 0], [1, 3, 2, 4]], "int32")
SEGMENTS = np.array([[0, 0, 1, 1], [0, 1, 0, 1]], "int32")


@pytest.fixture
def layer():
    layer = BertEmbeddings(6, 8, max_sequence_length=4, num_segments=2, layer_norm_epsilon=0.1, dropout=0.0)
    layer(IDS, SEGMENTS)
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    return layer


def outputs(layer, ids=IDS, segments=SEGMENTS, **kwargs):
    return keras.ops.convert_to_numpy(layer(ids, segments, **kwargs))


def test_embeddings_are_the_normalised_sum_of_token_position_and_segment(layer):
    token, position, segment, gamma, beta = (w.astype("float64") for w in layer.get_weights())
    x = token[IDS] + position[None] + segment[SEGMENTS]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.1) * gamma + beta
    np.testing.assert_allclose(outputs(layer), x, rtol=0, atol=1e-5)


def test_factorised_embeddings_are_projected_after_normalisation_and_dropout():
    layer = BertEmbeddings(6, 8, max_sequence_length=4, dropout=0.5, layer_norm_epsilon=0.1, embedding_dim=3)
    layer(IDS, SEGMENTS)
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    token, position, segment, gamma, beta, kernel, bias = (w.astype("float64") for w in layer.get_weights())
    assert (token.shape, kernel.shape, bias.shape) == ((6, 3), (3, 8), (8,))
    x = token[IDS] + position[None] + segment[SEGMENTS]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.1) * gamma + beta
    np.testing.assert_allclose(outputs(layer), x @ kernel + bias, rtol=0, atol=1e-5)
    # Dropped are entries of width E: what is left is the projection of x with some of its 3 entries doubled.
    dropped = (outputs(layer, training=True) - bias) @ np.linalg.pinv(kernel)
    np.testing.assert_allclose(dropped * (dropped - 2 * x), 0, rtol=0, atol=1e-4)
    assert 0 < (np.abs(dropped) < 1e-5).mean() < 1


def test_the_token_table_can_be_asked_for(layer):
    table = keras.ops.convert_to_numpy(layer(IDS, return_table=True))
    np.testing.assert_array_equal(table, layer.get_weights()[0])


@pytest.mark.parametrize("embedding_dim", [None, 3])
def test_shapes_are_known_before_the_layer_runs(embedding_dim):
    layer = BertEmbeddings(6, 8, embedding_dim=embedding_dim, dtype="mixed_bfloat16")
    ids = keras.KerasTensor((None, None), "int32")
    table = layer(ids, return_table=True)
    assert (layer(ids, ids).shape, table.shape) == ((None, None, 8), (6, embedding_dim or 8))
    assert layer(ids, ids).dtype == table.dtype == "bfloat16"
    table = layer(IDS, return_table=True)
    assert keras.ops.is_tensor(table) and not isinstance(table, keras.Variable)
    assert keras.backend.standardize_dtype(table.dtype) == "bfloat16"


@pytest.mark.parametrize(
    ("table", "row", "touched"),
    [
        ("token_embedding", 3, IDS == 3),
        ("position_embedding", 2, np.broadcast_to(np.arange(4) == 2, IDS.shape)),
        ("segment_embedding", 1, SEGMENTS == 1),
    ],
)
def test_a_row_of_a_table_touches_only_the_tokens_that_look_it_up(layer, table, row, touched):
    before = outputs(layer)
    [variable] = getattr(layer, table).weights
    changed = keras.ops.convert_to_numpy(variable).copy()
    changed[row, 0] += 1.0  # one entry: the normalisation would hide a shift of the whole row
    variable.assign(changed)
    difference = np.abs(outputs(layer) - before).max(axis=-1)
    np.testing.assert_array_equal(difference > 1e-3, touched)


def test_a_shorter_input_uses_the_first_positions(layer):
    np.testing.assert_allclose(
        outputs(layer, IDS[:, :2], SEGMENTS[:, :2]), outputs(layer)[:, :2], rtol=0, atol=1e-6
    )


def test_an_input_longer_than_the_position_table_is_refused(layer):
    long = np.zeros((1, 5), "int32")
    with pytest.raises(ValueError, match=r"length=5, max_sequence_length=4"):
        layer(long, long)


def test_positions_may_be_given_and_are_counted_from_zero_otherwise(layer):
    counted = np.tile(np.arange(4, dtype="int32"), (2, 1))
    np.testing.assert_allclose(outputs(layer, position_ids=counted), outputs(layer), rtol=0, atol=1e-6)
    turned = outputs(layer, IDS[:, ::-1], SEGMENTS[:, ::-1], position_ids=counted[:, ::-1])
    np.testing.assert_allclose(turned[:, ::-1], outputs(layer), rtol=0, atol=1e-6)


def test_a_row_of_packed_examples_may_be_longer_than_the_position_table(layer):
    twice = [np.tile(rows, 2) for rows in (IDS, SEGMENTS, np.arange(4, dtype="int32")[None].repeat(2, 0))]
    y = outputs(layer, twice[0], twice[1], position_ids=twice[2])
    for half in (y[:, :4], y[:, 4:]):
        np.testing.assert_allclose(half, outputs(layer), rtol=0, atol=1e-6)


def test_dropout_drops_in_training_only(layer):
    rebuilt = BertEmbeddings.from_config({**layer.get_config(), "dropout": 0.5})
    rebuilt(IDS, SEGMENTS)
    rebuilt.set_weights(layer.get_weights())
    np.testing.assert_array_equal(outputs(rebuilt, training=False), outputs(layer))
    dropped = outputs(rebuilt, training=True)
    kept = dropped != 0
    assert 0.2 < kept.mean() < 0.8
    np.testing.assert_allclose(dropped[kept], 2 * outputs(layer)[kept], rtol=1e-6)


def test_a_rebuilt_layer_has_the_same_configuration(layer):
    assert BertEmbeddings.from_config(layer.get_config()).get_config() == layer.get_config()
