"""The CRF gives what an enumeration of all paths gives, in float64 and by other means."""

import itertools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_bert.layers import Crf
from keras_bert.layers.crf import (
    PENALTY,
    crf_log_likelihood,
    crf_marginals,
    crf_viterbi,
    marginals,
    unpack,
    viterbi,
)
from keras_bert.training.crf_loss import CrfLoss
from keras_bert.training.losses import SparseCrossentropy

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
only_tensorflow = pytest.mark.skipif(not ON_TENSORFLOW, reason="a matter of TensorFlow's graphs")
C = 3
# Whole rows, gaps, units only at one end, a single unit, none.
MASK = np.array(
    [[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [1, 0, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 1, 0, 0]]
)
# O, B-X, I-X
BIO = ([[1, 1, 0], [1, 1, 1], [1, 1, 1]], [1, 1, 0], [1, 1, 1])


def example(seed=0, scale=1.0):
    """logits, tags, mask, transitions, start, end."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(*MASK.shape, C))
    tags = rng.integers(0, C, MASK.shape).astype("int32")
    weights = [scale * rng.normal(size=shape) for shape in ((C, C), (C,), (C,))]
    return logits.astype("float32"), tags, MASK, *(w.astype("float32") for w in weights)


def score_of(path, logits, transitions, start, end):
    """The score of a path over the logits (U, C) of the units alone, float64."""
    score = start[path[0]] + end[path[-1]] + sum(logits[t, tag] for t, tag in enumerate(path))
    return score + sum(transitions[a, b] for a, b in itertools.pairwise(path))


def enumerated(logits, tags, mask, *weights):
    """By all paths: log-likelihood of the tags, best path, its score, marginals; of a row."""
    units = np.flatnonzero(mask)
    best_tags, probabilities = np.zeros(len(mask), int), np.zeros(logits.shape)
    if not len(units):
        return 0.0, best_tags, 0.0, probabilities
    logits, weights = logits[units].astype("float64"), [w.astype("float64") for w in weights]
    paths = list(itertools.product(range(C), repeat=len(units)))
    scores = np.array([score_of(path, logits, *weights) for path in paths])
    each = np.exp(scores - scores.max())
    best_tags[units] = paths[scores.argmax()]
    for path, probability in zip(paths, each / each.sum(), strict=True):
        probabilities[units, path] += probability
    log_z = np.log(each.sum()) + scores.max()
    return score_of(tags[units], logits, *weights) - log_z, best_tags, scores.max(), probabilities


def rows_enumerated(example):
    logits, tags, mask, *weights = example
    rows = [enumerated(*row, *weights) for row in zip(logits, tags, mask, strict=True)]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def packed(logits, *weights):
    """The output of a `Crf` with these weights."""
    rows = np.concatenate([np.reshape(w, (-1, logits.shape[-1])) for w in weights])
    return np.concatenate([logits, np.repeat(rows[None], len(logits), 0)], 1).astype("float32")


def value(x):
    return ops.convert_to_numpy(x)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_likelihood_best_path_and_marginals_are_those_of_the_enumeration(seed, scale):
    logits, tags, mask, *weights = case = example(seed, scale)
    log_likelihood, best, score, probabilities = rows_enumerated(case)
    tolerance = {"rtol": 1e-5, "atol": 1e-5 * scale}
    np.testing.assert_allclose(value(crf_log_likelihood(*case)), log_likelihood, **tolerance)
    got_best, got_score = viterbi(logits, mask, *weights)
    np.testing.assert_array_equal(value(got_best), best)
    assert keras.backend.standardize_dtype(got_best.dtype) == "int32"
    np.testing.assert_allclose(value(got_score), score, **tolerance)
    np.testing.assert_allclose(value(marginals(logits, mask, *weights)), probabilities, atol=2e-5)


def test_the_mask_may_be_bool_and_the_weights_a_row_s_own():
    logits, tags, mask, *weights = case = example()
    each = [np.repeat(w[None], len(mask), 0) for w in weights]
    expected = value(crf_log_likelihood(*case))
    np.testing.assert_array_equal(value(crf_log_likelihood(logits, tags, mask.astype(bool), *each)), expected)
    np.testing.assert_array_equal(viterbi(logits, mask, *each)[0], viterbi(logits, mask, *weights)[0])


def test_places_outside_of_the_mask_change_nothing():
    logits, tags, mask, *weights = case = example()
    other_logits = np.where(mask[..., None], logits, 77.0).astype("float32")
    other_tags = np.where(mask, tags, -100)
    np.testing.assert_array_equal(
        value(crf_log_likelihood(other_logits, other_tags, mask, *weights)), value(crf_log_likelihood(*case))
    )
    longer = [np.pad(x, [(0, 0), (2, 3)] + [(0, 0)] * (x.ndim - 2)) for x in (logits, tags, mask)]
    np.testing.assert_allclose(
        value(crf_log_likelihood(*longer, *weights)), value(crf_log_likelihood(*case)), atol=1e-6
    )
    np.testing.assert_array_equal(
        value(viterbi(longer[0], longer[2], *weights)[0])[:, 2:-3], value(viterbi(logits, mask, *weights)[0])
    )
    np.testing.assert_allclose(
        value(marginals(other_logits, mask, *weights)), value(marginals(logits, mask, *weights)), atol=1e-6
    )


def test_a_number_added_to_all_logits_of_a_unit_changes_no_probability():
    logits, tags, mask, *weights = case = example()
    shifted = logits + np.arange(5, dtype="float32")[None, :, None] * 3
    np.testing.assert_allclose(
        value(crf_log_likelihood(shifted, tags, mask, *weights)), value(crf_log_likelihood(*case)), atol=2e-5
    )
    best, score = viterbi(shifted, mask, *weights)
    np.testing.assert_array_equal(value(best), value(viterbi(logits, mask, *weights)[0]))
    gained = (3 * np.arange(5) * mask).sum(1)
    np.testing.assert_allclose(value(score) - gained, value(viterbi(logits, mask, *weights)[1]), atol=2e-5)


def gradients_of(function, *inputs):
    """The gradients of a scalar function of float32 arrays."""
    if ON_TENSORFLOW:
        import tensorflow as tf

        variables = [tf.Variable(x) for x in inputs]
        with tf.GradientTape() as tape:
            result = function(*variables)
        return [value(tf.convert_to_tensor(g)) for g in tape.gradient(result, variables)]
    import jax

    return [value(g) for g in jax.grad(function, argnums=tuple(range(len(inputs))))(*inputs)]


def test_gradients_are_the_finite_differences_of_the_enumeration():
    logits, tags, mask, *weights = example()
    row_weights = np.linspace(0.5, 2.0, len(mask)).astype("float32")

    def total(logits, *weights):
        return ops.sum(crf_log_likelihood(logits, tags, mask, *weights) * row_weights)

    inputs = [x.astype("float64") for x in (logits, *weights)]

    def exact():
        return rows_enumerated((inputs[0], tags, mask, *inputs[1:]))[0] @ row_weights

    for got, array in zip(gradients_of(total, logits, *weights), inputs, strict=True):
        expected = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + 1e-5
            above = exact()
            array[place] = kept - 1e-5
            expected[place] = (above - exact()) / 2e-5
            array[place] = kept
        np.testing.assert_allclose(got, expected, atol=1e-4)


def test_what_is_not_allowed_is_never_decoded_and_has_no_probability():
    logits = np.random.default_rng(0).normal(scale=50.0, size=(64, 12, C)).astype("float32")
    logits[:, :, 2] += 60.0  # I-X is wanted everywhere
    mask = np.random.default_rng(1).integers(0, 2, (64, 12))
    outputs = Crf(C, allowed=BIO)(logits)
    best, probabilities = value(crf_viterbi(outputs, mask, C)[0]), value(crf_marginals(outputs, mask, C))
    for tags, row_mask, shares in zip(best, mask, probabilities, strict=True):
        units = np.flatnonzero(row_mask)
        path = tags[units]
        assert all(BIO[0][a][b] for a, b in itertools.pairwise(path))
        if len(units):
            assert BIO[1][path[0]] and BIO[2][path[-1]]
            assert shares[units[0], 2] == 0.0
    free = value(crf_viterbi(Crf(C)(logits), mask, C)[0])
    assert (free[:, 0] == 2).any()  # without the rules it is


def test_legal_paths_share_all_the_probability():
    logits, _, mask, *_ = example()
    logits, mask = logits[:1], mask[:1]
    outputs = Crf(C, allowed=BIO)(logits)
    _, *weights = unpack(outputs, C)
    paths = np.array(list(itertools.product(range(C), repeat=5)))
    each = [np.repeat(x, len(paths), 0) for x in (logits, mask)]
    shares = np.exp(value(crf_log_likelihood(each[0], paths, each[1], *(w[0] for w in weights))))
    legal = [BIO[1][path[0]] and all(BIO[0][a][b] for a, b in itertools.pairwise(path)) for path in paths]
    np.testing.assert_array_equal(shares > 0, np.array(legal, bool))
    assert shares.sum() == pytest.approx(1.0, abs=1e-5)


def test_an_illegal_gold_path_has_a_finite_loss_and_finite_gradients():
    logits, tags, mask, *_ = example()
    outputs = value(Crf(C, allowed=BIO)(logits))
    tags = np.full_like(tags, 2)
    (gradient,) = gradients_of(lambda y: CrfLoss()(tags, y, sample_weight=mask), outputs)
    assert 1e2 < float(CrfLoss()(tags, outputs, sample_weight=mask)) < -PENALTY
    assert np.isfinite(gradient).all()


def test_rules_of_another_shape_or_without_a_start_are_refused():
    with pytest.raises(ValueError, match="of shapes"):
        Crf(4, allowed=BIO)
    with pytest.raises(ValueError, match="some tag be the first"):
        Crf(C, allowed=(BIO[0], [0, 0, 0], BIO[2]))
    with pytest.raises(ValueError, match="of 0 and 1"):
        Crf(C, allowed=(BIO[0], [0.5, 1, 1], BIO[2]))
    with pytest.raises(ValueError, match="`num_tags` entries"):
        Crf(4)(np.zeros((1, 2, 3), "float32"))


def test_the_output_is_the_logits_and_the_weights_of_every_row():
    logits, _, _, *weights = example()
    layer = Crf(C, learning_rate_factor=4.0)
    layer.build(logits.shape)
    layer.set_weights([w / 4.0 for w in weights])
    np.testing.assert_allclose(value(layer(logits)), packed(logits, *weights), rtol=1e-6)
    assert layer.compute_output_shape((None, None, C)) == (None, None, C)
    for part, expected in zip(unpack(layer(logits), C), (logits, *weights), strict=True):
        np.testing.assert_allclose(value(part), np.broadcast_to(expected, part.shape), rtol=1e-6)


def test_an_untrained_crf_is_the_softmax_of_every_unit():
    logits, tags, mask, *_ = example()
    outputs = Crf(C)(logits)
    softmax = value(ops.softmax(logits)) * mask[..., None]
    np.testing.assert_allclose(value(crf_marginals(outputs, mask, C)), softmax, atol=1e-6)
    np.testing.assert_array_equal(value(crf_viterbi(outputs, mask, C)[0]), logits.argmax(-1) * mask)
    crossentropy = SparseCrossentropy("mean_with_sample_weight")(tags, logits, sample_weight=mask)
    assert float(CrfLoss()(tags, outputs, sample_weight=mask)) == pytest.approx(float(crossentropy), rel=1e-5)


def test_the_loss_is_the_weighted_mean_over_units():
    logits, tags, mask, *weights = case = example()
    row_weights = np.array([1.0, 0.5, 2.0, 0.0, 1.0, 3.0], "float32")
    expected = -(rows_enumerated(case)[0] * row_weights).sum() / (mask * row_weights[:, None]).sum()
    loss = CrfLoss()(tags, packed(logits, *weights), sample_weight=mask * row_weights[:, None])
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    # The same number, whatever the batch is cut into: sums and totals add up.
    parts = [slice(0, 2), slice(2, 5), slice(5, 6)]
    args = [(tags[p], packed(logits[p], *weights), (mask * row_weights[:, None])[p]) for p in parts]
    total = sum(float(CrfLoss().total(y, w)) for y, _, w in args)
    assert sum(float(CrfLoss().weighted_sum(*a)) for a in args) / total == pytest.approx(expected, rel=1e-5)


def test_the_weight_of_a_row_is_the_mean_of_its_units():
    logits, tags, mask, *weights = case = example()
    each = mask * np.linspace(0.5, 3.0, mask.size, dtype="float32").reshape(mask.shape)
    of_rows = each.sum(1) / np.maximum(mask.sum(1), 1)
    loss = CrfLoss()(tags, packed(logits, *weights), sample_weight=each)
    assert float(loss) == pytest.approx(-rows_enumerated(case)[0] @ of_rows / each.sum(), rel=1e-5)


def test_without_weights_or_with_one_a_row_every_place_is_a_unit():
    logits, tags, _, *weights = example()
    each = -rows_enumerated((logits, tags, np.ones_like(MASK), *weights))[0]
    outputs = packed(logits, *weights)
    assert float(CrfLoss()(tags, outputs)) == pytest.approx(each.sum() / tags.size, rel=1e-5)
    row_weights = np.arange(6, dtype="float32")
    loss = CrfLoss()(tags, outputs, sample_weight=row_weights)
    assert float(loss) == pytest.approx(each @ row_weights / (5 * row_weights.sum()), rel=1e-5)


def test_a_batch_without_a_unit_has_the_loss_0_and_no_gradient():
    logits, tags, _, *weights = example()
    nothing = np.zeros_like(MASK)
    (gradient,) = gradients_of(lambda y: CrfLoss()(tags, y, sample_weight=nothing), packed(logits, *weights))
    assert float(CrfLoss()(tags, packed(logits, *weights), sample_weight=nothing)) == 0.0
    assert (gradient == 0).all()


def test_the_crf_is_float32_under_mixed_bfloat16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        logits, tags, mask, *weights = example()
        layer = Crf(C, learning_rate_factor=1.0)
        layer.build(logits.shape)
        layer.set_weights(weights)
        outputs = layer(ops.cast(logits, "bfloat16"))
        loss = CrfLoss()(tags, outputs, sample_weight=mask)
    finally:
        keras.config.set_dtype_policy(before)
    rounded = value(ops.cast(ops.cast(logits, "bfloat16"), "float32"))
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    np.testing.assert_array_equal(value(outputs), packed(rounded, *weights))
    expected = -rows_enumerated((rounded, tags, mask, *weights))[0].sum() / mask.sum()
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def toy(num_rows=256, seed=0):
    """Every other unit shows its tag; each tag is followed by the next one. The rest are gaps: -1."""
    rng = np.random.default_rng(seed)
    tags, mask = np.zeros((num_rows, 9), "int32"), rng.integers(0, 4, (num_rows, 9)) > 0
    shown = np.full((num_rows, 9), C)
    for row in range(num_rows):
        units = np.flatnonzero(mask[row])
        tags[row, units] = (rng.integers(C) + np.arange(len(units))) % C
        shown[row, units[1::2]] = tags[row, units[1::2]]
    return np.eye(C + 1, dtype="float32")[shown], tags, mask.astype("float32")


def toy_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, C + 1), name="shown")
    outputs = Crf(C, learning_rate_factor=3.0, name="crf")(keras.layers.Dense(C)(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.03), CrfLoss())
    return model


def test_fit_learns_transitions_and_the_saved_model_decodes_the_same(tmp_path):
    model, (x, tags, mask) = toy_model(), toy()
    history = model.fit(x, tags, sample_weight=mask, batch_size=64, epochs=12, verbose=0).history["loss"]
    assert history[-1] < 0.1 * history[0]
    x, tags, mask = toy(seed=1)
    outputs = model.predict(x, verbose=0)
    best = value(crf_viterbi(outputs, mask, C)[0])
    assert (best == tags)[mask > 0].mean() > 0.99
    alone = unpack(outputs, C)[0].argmax(-1)
    assert (alone == tags)[mask > 0].mean() < 0.8  # what the logits say without the chain
    assert (unpack(outputs, C)[1][0].argmax(1) == [1, 2, 0]).all()
    loss = model.evaluate(x, tags, sample_weight=mask, batch_size=len(x), verbose=0)
    assert loss == pytest.approx(float(CrfLoss()(tags, outputs, sample_weight=mask)), rel=1e-4, abs=1e-6)
    model.save(tmp_path / "toy.keras")
    loaded = keras.saving.load_model(tmp_path / "toy.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), outputs)
    assert loaded.evaluate(x, tags, sample_weight=mask, batch_size=len(x), verbose=0) == loss


def test_a_rebuilt_crf_has_the_same_configuration_and_rules():
    layer = Crf(C, allowed=BIO, learning_rate_factor=7.0)
    rebuilt = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert rebuilt.get_config() == layer.get_config()
    logits = example()[0]
    np.testing.assert_array_equal(value(rebuilt(logits)), value(layer(logits)))
    assert value(unpack(rebuilt(logits), C)[1])[0, 0, 2] == PENALTY


def test_the_weights_move_faster_by_the_factor_and_their_gradient_is_no_larger():
    x, tags, mask = toy(16)
    moved = {}
    for factor in (1.0, 50.0):
        model = toy_model()
        layer = model.get_layer("crf")
        layer.learning_rate_factor = factor
        model.compile(keras.optimizers.SGD(1e-3), CrfLoss())
        model.train_on_batch(x, tags, sample_weight=mask)
        moved[factor] = value(unpack(layer(np.zeros((1, 1, C), "float32")), C)[1])
    assert np.abs(moved[1.0]).max() > 1e-5
    np.testing.assert_allclose(moved[50.0], 50.0 * moved[1.0], rtol=1e-4)


@only_tensorflow
def test_a_graph_of_unknown_sizes_gives_the_eager_values_and_gradients():
    import tensorflow as tf

    logits, tags, mask, *weights = example()
    outputs = packed(logits, *weights)
    specs = [tf.TensorSpec([None, None, C], "float32"), tf.TensorSpec([None, None], "int32")]

    def everything(outputs, tags, mask):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            loss = CrfLoss()(tags, outputs, sample_weight=mask)
        best, score = crf_viterbi(outputs, mask, C)
        return loss, tape.gradient(loss, outputs), best, score, crf_marginals(outputs, mask, C)

    graph = tf.function(everything, input_signature=[*specs, specs[1]])
    for length in (1, 2, 5):
        take = np.r_[5 - length : 5, 5 : 5 + C + 2]
        arguments = outputs[:, take], tags[:, -length:], mask[:, -length:].astype("int32")
        for got, expected in zip(graph(*arguments), everything(*map(tf.constant, arguments)), strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-6)
    compiled = tf.function(everything, jit_compile=True)
    for got, expected in zip(compiled(*map(tf.constant, arguments)), graph(*arguments), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)


@only_tensorflow
def test_a_tflite_file_of_built_in_operations_decodes_the_same(tmp_path):
    import tensorflow as tf

    interpreter_of = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    layer = Crf(C, allowed=BIO, learning_rate_factor=1.0)
    logits, _, mask, *weights = example(scale=3.0)
    layer.build(logits.shape)
    layer.set_weights(weights)

    @tf.function(input_signature=[tf.TensorSpec([1, 5, C], "float32"), tf.TensorSpec([1, 5], "int32")])
    def decode(logits, mask):
        outputs = layer(logits)
        best, score = crf_viterbi(outputs, mask, C)
        return {"best": best, "score": score, "probabilities": crf_marginals(outputs, mask, C)}

    function = decode.get_concrete_function()
    module = tf.Module()
    # Not the layer: its weights would be left out of the conversion, silently.
    module.weights = list(function.graph.variables)
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=function)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    (tmp_path / "crf.tflite").write_bytes(converter.convert())
    runner = interpreter_of(str(tmp_path / "crf.tflite")).get_signature_runner()
    outputs = layer(logits)
    best, score = crf_viterbi(outputs, mask, C)
    probabilities = value(crf_marginals(outputs, mask, C))
    for row in range(len(mask)):
        got = runner(logits=logits[row : row + 1], mask=mask[row : row + 1].astype("int32"))
        np.testing.assert_array_equal(got["best"][0], value(best)[row])
        np.testing.assert_allclose(got["score"][0], value(score)[row], rtol=1e-5)
        np.testing.assert_allclose(got["probabilities"][0], probabilities[row], atol=1e-5)


REPLICAS = """
import sys
import keras, numpy as np, tensorflow as tf
sys.path.insert(0, sys.argv[2])
from test_crf import C, toy
from keras_bert.layers import Crf
from keras_bert.training.crf_loss import CrfLoss
from keras_bert.training.model import BertModel

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
x, tags, mask = toy(9)  # batches of 4, 4 and 1 row: the second replica has none of the last
weights = mask * np.linspace(0.5, 2.0, 9, dtype="float32")[:, None]
found = {}
for name, strategy in (("one", tf.distribute.get_strategy()), ("two", tf.distribute.MirroredStrategy())):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((None, C + 1))
        model = BertModel(inputs, Crf(C, name="crf")(keras.layers.Dense(C)(inputs)))
        model.compile(keras.optimizers.SGD(0.3), CrfLoss())
    assert strategy.num_replicas_in_sync == (1 if name == "one" else 2)
    data = tf.data.Dataset.from_tensor_slices((x, tags, weights)).batch(4)
    losses = model.fit(data, epochs=2, verbose=0).history["loss"] + [model.evaluate(data, verbose=0)]
    found[name] = np.concatenate([np.ravel(w) for w in [*model.get_weights(), losses]])
np.savez(sys.argv[1], **found)
"""


@only_tensorflow
@pytest.mark.slow
def test_two_replicas_train_as_one_even_where_one_has_no_row(tmp_path):
    command = [sys.executable, "-c", REPLICAS, str(tmp_path / "found.npz"), os.path.dirname(__file__)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    found = np.load(tmp_path / "found.npz")
    assert np.abs(found["one"]).max() > 0.1
    np.testing.assert_allclose(found["two"], found["one"], atol=2e-6)
