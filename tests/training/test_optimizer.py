"""`AdamW` against its paper in plain NumPy: what is decayed, what is clipped, and what is saved of it."""

import contextlib
from unittest import mock

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.training import optimizer as module

DECAYED = ("embeddings/token_embedding/embeddings", "block_0/output/kernel", "bias/kernel")
NOT_DECAYED = ("block_0/output/bias", "bias", "embeddings/layer_norm/gamma", "block_0/output_layer_norm/beta")
RATE, DECAY, EPSILON, STEPS = 0.05, 0.1, 1e-3, 6


@pytest.fixture(params=["fused", "portable"])
def form(request, monkeypatch):
    """The update as TensorFlow's one op, which is seen to be asked, and as every other backend does it."""
    if request.param == "portable":
        monkeypatch.setattr(module.keras.backend, "backend", lambda: "another")
        yield request.param
    elif keras.backend.backend() != "tensorflow":
        pytest.skip("the fused op is TensorFlow's")
    else:
        fused = kb.AdamW._apply_adam_tensorflow
        with mock.patch.object(kb.AdamW, fused.__name__, autospec=True, side_effect=fused) as asked:
            yield request.param
        assert asked.called or "amsgrad" in request.node.name, "another form was tested than this one"


def variables():
    """One variable of three entries at every path."""
    made, rng = {}, np.random.default_rng(0)
    for path in (*DECAYED, *NOT_DECAYED):
        *scopes, name = path.split("/")
        with contextlib.ExitStack() as stack:
            for scope in scopes:
                stack.enter_context(keras.name_scope(scope))
            made[path] = keras.Variable(rng.normal(size=3).astype("float32"), name=name)
        assert made[path].path == path
    return made


def gradients():
    """Norms on both sides of 1, so that clipping is seen to happen and not to happen."""
    rng = np.random.default_rng(1)
    paths = (*DECAYED, *NOT_DECAYED)
    return [{path: rng.normal(scale=s, size=3) for path in paths} for s in (1, 0.02, 3, 0.1, 0.01, 1)]


def textbook(weights, *, clip=1.0, decayed=DECAYED, amsgrad=False, scales=None):
    """Algorithm 2 of Loshchilov and Hutter in float64, after clipping by the norm of all gradients."""
    weights = {path: weight.astype("float64") for path, weight in weights.items()}
    m, v, v_max = ({path: np.zeros(3) for path in weights} for _ in range(3))
    for t, step in enumerate(gradients(), start=1):
        norm = np.sqrt(sum((gradient**2).sum() for gradient in step.values()))
        for path, gradient in step.items():
            gradient = gradient * min(1.0, clip / norm) if clip else gradient
            m[path] = 0.9 * m[path] + 0.1 * gradient
            v[path] = 0.999 * v[path] + 0.001 * gradient**2
            v_max[path] = np.maximum(v_max[path], v[path]) if amsgrad else v[path]
            rate = RATE * (scales or {}).get(path, 1.0)
            decay = rate * DECAY * weights[path] if path in decayed else 0.0
            adam = m[path] / (1 - 0.9**t) / (np.sqrt(v_max[path] / (1 - 0.999**t)) + EPSILON)
            weights[path] = weights[path] - decay - rate * adam
    return weights


def trained(**kwargs):
    """The weights before and after, by path."""
    made = variables()
    before = {path: keras.ops.convert_to_numpy(variable) for path, variable in made.items()}
    optimizer = kb.AdamW(RATE, weight_decay=DECAY, epsilon=EPSILON, **kwargs)
    for step in gradients():
        optimizer.apply([keras.ops.cast(step[path], "float32") for path in made], list(made.values()))
    return before, {path: keras.ops.convert_to_numpy(variable) for path, variable in made.items()}


def assert_close(ours, theirs):
    # A hundred-thousandth of the way.
    for path, weight in theirs.items():
        np.testing.assert_allclose(ours[path], weight, rtol=0, atol=1e-5 * RATE * STEPS, err_msg=path)


def test_the_update_is_that_of_the_paper(form):
    before, after = trained()
    assert_close(after, textbook(before))


def test_clipping_can_be_switched_off_and_set(form):
    before, after = trained(global_clipnorm=None)
    assert_close(after, textbook(before, clip=None))
    before, after = trained(global_clipnorm=0.1)
    assert_close(after, textbook(before, clip=0.1))


def test_amsgrad_keeps_the_largest_second_moment(form):
    before, after = trained(amsgrad=True)
    assert_close(after, textbook(before, amsgrad=True))


def test_what_is_decayed_can_be_chosen_by_path(form):
    before, after = trained(not_decayed=["^/block_0/"])
    chosen = [path for path in before if not path.startswith("block_0/")]
    assert_close(after, textbook(before, decayed=chosen))


def test_layer_decay_scales_both_parts_of_the_step(form):
    before, after = trained(layer_decay=0.5)
    scales = {path: 0.25 if "embeddings/" in path else 0.5 if "block_0/" in path else 1.0 for path in before}
    assert_close(after, textbook(before, scales=scales))


def test_a_weight_is_decayed_by_the_rate_of_the_schedule():
    weight = keras.Variable(np.ones(1, "float32"), name="kernel")
    optimizer = kb.AdamW(kb.WarmupLinear(0.1, total_steps=4, warmup_steps=2), weight_decay=0.5)
    positions = []
    for _ in range(4):
        optimizer.apply([keras.ops.zeros((1,))], [weight])
        positions.append(float(keras.ops.convert_to_numpy(weight)[0]))
    factors = np.cumprod([1.0, 1 - 0.05 * 0.5, 1 - 0.1 * 0.5, 1 - 0.05 * 0.5])
    np.testing.assert_allclose(positions, factors, rtol=1e-6)


@pytest.mark.parametrize("clip", [None, 0.5])
def test_a_token_that_comes_twice_counts_with_the_sum_of_its_gradients(form, clip):
    # A table looked up by index must train as the same table multiplied by one-hot rows.
    ids = np.array([[1, 1, 2], [3, 1, 1]])
    table, rows = np.random.default_rng(0).normal(size=(5, 4)), np.random.default_rng(1).normal(size=(12, 1))
    ends = []
    for inputs, layer, x in [
        (keras.Input((3,), dtype="int32"), keras.layers.Embedding(5, 4), ids),
        (keras.Input((3, 5)), keras.layers.Dense(4, use_bias=False), np.eye(5)[ids]),
    ]:
        last = keras.layers.Dense(1, use_bias=False)
        model = keras.Sequential([inputs, layer, keras.layers.Flatten(), last])
        model.set_weights([table, rows])
        model.compile(optimizer=kb.AdamW(0.1, global_clipnorm=clip), loss="mse", run_eagerly=True)
        for _ in range(4):
            model.train_on_batch(x, np.array([[1.0], [-1.0]]))
        ends.append(model.get_weights())
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_the_settings_survive_serialisation():
    optimizer = kb.AdamW(
        kb.WarmupLinear(1e-3, 100, 10),
        weight_decay=0.2,
        epsilon=1e-5,
        not_decayed=["x$"],
        global_clipnorm=3.0,
        layer_decay=0.9,
    )
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert restored.not_decayed == ("x$",)
    assert restored.get_config() == optimizer.get_config()


def test_the_defaults_are_those_bert_is_fine_tuned_with():
    config = kb.AdamW().get_config()
    expected = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-6, "weight_decay": 0.01, "global_clipnorm": 1.0}
    assert {name: config[name] for name in expected} == expected
