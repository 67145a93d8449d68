"""The masked-language-model head: transform, normalisation, the token table in reverse, a bias."""

import math

import keras
import numpy as np
import pytest

from keras_bert.layers import MaskedLmHead

B, T, D, E, V = 2, 5, 6, 4, 7
EPSILON = 0.1
RNG = np.random.default_rng(0)
X = RNG.normal(size=(B, T, D)).astype("float32")
TABLE = RNG.normal(size=(V, E)).astype("float32")
POSITIONS = np.array([[1, 4, 0], [3, 3, 0]], "int32")


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def head(**changes):
    layer = MaskedLmHead(V, E, **{"layer_norm_epsilon": EPSILON, **changes})
    layer.build(X.shape, TABLE.shape if layer.tied else None)
    rng = np.random.default_rng(1)
    for weight in sorted(layer.weights, key=lambda weight: weight.path):
        weight.assign(rng.normal(size=weight.shape))
    return layer


def expected(layer, table, activation):
    transform, norm, bias = layer.transform.get_weights(), layer.layer_norm.get_weights(), layer.output_bias
    x = activation(X.astype("float64") @ transform[0] + transform[1])
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + EPSILON) * norm[0] + norm[1]
    return x @ array(table).T + array(bias)


EXACT_GELU = np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))))
TANH_GELU = np.vectorize(lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


@pytest.mark.parametrize(
    ("name", "activation"), [("gelu", EXACT_GELU), ("gelu_approximate", TANH_GELU), ("tanh", np.tanh)]
)
def test_every_place_is_scored_against_the_given_table(name, activation):
    layer = head(activation=name)
    # The two forms of gelu differ by 5e-4.
    np.testing.assert_allclose(layer(X, TABLE), expected(layer, TABLE, activation), rtol=0, atol=1e-5)


def test_an_untied_head_multiplies_by_its_own_decoder():
    layer = head(tied=False, activation="tanh")
    assert tuple(layer.decoder.shape) == (V, E)
    np.testing.assert_allclose(layer(X), expected(layer, layer.decoder, np.tanh), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_masked_slots_have_the_scores_of_their_places(dtype):
    layer = head()
    at_slots = array(layer(X, TABLE, mask_positions=POSITIONS.astype(dtype)))
    everywhere = array(layer(X, TABLE))
    assert at_slots.shape == (B, 3, V)
    picked = np.take_along_axis(everywhere, POSITIONS[..., None], axis=1)
    np.testing.assert_allclose(at_slots, picked, rtol=0, atol=1e-6)


@pytest.mark.parametrize("place", [T, -1])
def test_a_place_outside_its_row_never_reads_a_neighbour(place):
    # Backends differ: an error of their own, or NaN; a number would be another row's.
    positions = POSITIONS.copy()
    positions[0, 1] = place
    try:
        logits = array(head()(X, TABLE, mask_positions=positions))
    except Exception as refusal:
        assert str(B * T) in str(refusal)
    else:
        assert np.isnan(logits[0, 1]).all()


def test_weights_have_the_names_that_checkpoints_are_translated_to():
    layer = head(tied=False, name="masked_lm")
    assert {weight.path for weight in layer.weights} == {
        "masked_lm/transform/kernel", "masked_lm/transform/bias", "masked_lm/layer_norm/gamma",
        "masked_lm/layer_norm/beta", "masked_lm/output_bias", "masked_lm/decoder",
    }  # fmt: skip
    assert "masked_lm/decoder" not in {weight.path for weight in head(name="masked_lm").weights}


@pytest.mark.parametrize(("tied", "table"), [(True, None), (True, (V, D)), (False, (V, E))])
def test_a_table_that_does_not_belong_to_the_head_is_refused(tied, table):
    with pytest.raises(ValueError, match=rf"shape \({V}, {E}\).*Received: tied={tied}"):
        MaskedLmHead(V, E, tied=tied).build(X.shape, table)


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"gelu_approximate.*Received: activation='swish'"):
        MaskedLmHead(V, E, activation="swish")


@pytest.mark.parametrize("tied", [True, False])
def test_shape_and_type_are_known_before_the_head_runs(tied):
    layer = MaskedLmHead(V, E, tied=tied, dtype="mixed_bfloat16")
    inputs, table = keras.KerasTensor((None, None, D), "bfloat16"), keras.KerasTensor((V, E), "bfloat16")
    table, positions = table if tied else None, keras.KerasTensor((None, 3), "int32")
    everywhere = layer(inputs, token_table=table)
    at_slots = layer(inputs, token_table=table, mask_positions=positions)
    assert [(t.shape, t.dtype) for t in (everywhere, at_slots)] == [
        ((None, None, V), "float32"),
        ((None, 3, V), "float32"),
    ]


def test_logits_are_float32_and_the_bias_is_not_rounded_under_mixed_bfloat16():
    layer = head(dtype="mixed_bfloat16")
    logits = layer(keras.ops.cast(X, "bfloat16"), keras.ops.zeros((V, E), "bfloat16"))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    np.testing.assert_array_equal(array(logits), np.broadcast_to(array(layer.output_bias), (B, T, V)))


@pytest.mark.parametrize("tied", [True, False])
def test_a_rebuilt_head_has_the_same_configuration_and_outputs(tied):
    layer = head(tied=tied, activation="relu", initializer_range=0.3)
    rebuilt = MaskedLmHead.from_config(layer.get_config())
    rebuilt.build(X.shape, TABLE.shape if tied else None)
    rebuilt.set_weights(layer.get_weights())
    assert rebuilt.get_config() == layer.get_config()
    table = TABLE if tied else None
    np.testing.assert_array_equal(array(rebuilt(X, table)), array(layer(X, table)))


def test_new_kernels_have_the_asked_standard_deviation_and_the_bias_starts_at_zero():
    keras.utils.set_random_seed(0)
    layer = MaskedLmHead(512, 256, initializer_range=0.3, tied=False)
    layer.build((None, None, 128))
    for weight in (layer.transform.kernel, layer.decoder):
        # A normal cut at two deviations, which keeps 0.88 of its spread.
        assert array(weight).std() == pytest.approx(0.3 * 0.88, rel=0.02), weight.path
    assert not array(layer.output_bias).any()
