"""`Lamb` against its paper in plain NumPy, and against tf-models-official's."""

import contextlib
import pathlib

import keras
import numpy as np
import pytest

from keras_bert.training.lamb import Lamb

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden" / "optimizers_model_garden.npz")
RATE, DECAY, EPSILON, STEPS = 0.05, 0.1, 1e-3, 6
# Path: shape, and whether it is decayed and adapted.
FUSED = "block_0/attention/query_key_value/kernel"
WEIGHTS = {
    "embeddings/token_embedding/embeddings": ((5, 2), True),
    FUSED: ((2, 6), True),
    "block_0/attention/query_key_value/bias": ((6,), False),
    "block_0/output/kernel": ((3, 2), True),
    "block_0/output_layer_norm/gamma": ((2,), False),
    "masked_lm/output_bias": ((5,), False),
    "zeros/kernel": ((2, 2), True),
    "still/kernel": ((2, 2), True),
    "temperature": ((), True),
}


def variable(path, value):
    """A Keras variable of this path."""
    *scopes, name = path.split("/")
    with contextlib.ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(keras.name_scope(scope))
        made = keras.Variable(np.asarray(value, "float32"), name=name)
    assert made.path == path
    return made


def start():
    rng = np.random.default_rng(0)
    weights = {path: rng.normal(size=shape) for path, (shape, _) in WEIGHTS.items()}
    weights[FUSED] = weights[FUSED] * np.repeat([1.0, 10.0, 0.1], 2)
    weights["zeros/kernel"] = np.zeros((2, 2))
    return weights


def gradients():
    """ "still" has none, "zeros" none in the first two steps."""
    rng = np.random.default_rng(1)
    steps = [{path: rng.normal(size=shape) for path, (shape, _) in WEIGHTS.items()} for _ in range(STEPS)]
    for number, step in enumerate(steps):
        step["still/kernel"] = np.zeros((2, 2))
        step["zeros/kernel"] = step["zeros/kernel"] * (number >= 2)
    return steps


def textbook(*, decay=DECAY, adapted=None, decayed=None, scales=None):
    """Algorithm 2 of You et al. in float64, a matrix at a time: the three of the fused kernel are three."""
    weights, (m, v) = start(), (dict.fromkeys(WEIGHTS, 0.0) for _ in range(2))
    for t, step in enumerate(gradients(), start=1):
        for path, g in step.items():
            m[path] = 0.9 * m[path] + 0.1 * g
            v[path] = 0.999 * v[path] + 0.001 * g**2
            r = (m[path] / (1 - 0.9**t)) / (np.sqrt(v[path] / (1 - 0.999**t)) + EPSILON)
            is_chosen = WEIGHTS[path][1]
            if path in decayed if decayed is not None else is_chosen:
                r = r + decay * weights[path]
            rate, parts = RATE * (scales or {}).get(path, 1.0), []
            cut = 3 if path == FUSED else 1
            for w_i, r_i in zip(
                np.split(np.atleast_1d(weights[path]), cut, -1),
                np.split(np.atleast_1d(r), cut, -1),
                strict=True,
            ):
                w_norm, r_norm = np.sqrt((w_i**2).sum()), np.sqrt((r_i**2).sum())
                ratio = w_norm / r_norm if w_norm > 0 and r_norm > 0 else 1.0
                if not (path in adapted if adapted is not None else is_chosen):
                    ratio = 1.0
                parts.append(w_i - rate * ratio * r_i)
            weights[path] = np.concatenate(parts, -1).reshape(weights[path].shape)
    return weights


def trained(**settings):
    made = {path: variable(path, value) for path, value in start().items()}
    settings = {"weight_decay": DECAY, "global_clipnorm": None, **settings}
    optimizer = Lamb(RATE, epsilon=EPSILON, **settings)
    for step in gradients():
        optimizer.apply([keras.ops.convert_to_tensor(step[p], "float32") for p in made], list(made.values()))
    return {path: keras.ops.convert_to_numpy(v) for path, v in made.items()}


def assert_same(ours, theirs, rtol=3e-6):
    for path, weight in theirs.items():
        np.testing.assert_allclose(ours[path], weight, rtol=0, atol=rtol * np.abs(weight).max(), err_msg=path)


def test_the_update_is_that_of_the_paper():
    assert_same(trained(), textbook())


def test_query_key_and_value_have_a_ratio_each():
    # One ratio for all three would let the small one step as far as the large one.
    fused = np.split(trained()[FUSED], 3, axis=-1)
    alone = {
        f"block_0/attention/{name}/kernel": part
        for name, part in zip(("query", "key", "value"), np.split(start()[FUSED], 3, axis=-1), strict=True)
    }
    made = [variable(path, value) for path, value in alone.items()]
    optimizer = Lamb(RATE, weight_decay=DECAY, epsilon=EPSILON, global_clipnorm=None)
    for step in gradients():
        parts = np.split(step[FUSED], 3, axis=-1)
        optimizer.apply([keras.ops.convert_to_tensor(part, "float32") for part in parts], made)
    for ours, theirs in zip(fused, made, strict=True):
        np.testing.assert_allclose(ours, keras.ops.convert_to_numpy(theirs), rtol=1e-6)


def test_the_step_of_a_matrix_is_as_long_as_the_matrix_times_the_rate():
    kernel = variable("block_0/output/kernel", np.random.default_rng(0).normal(size=(8, 5)))
    before = keras.ops.convert_to_numpy(kernel).copy()
    gradient = np.random.default_rng(1).normal(scale=1e-3, size=(8, 5)).astype("float32")
    Lamb(RATE).apply([keras.ops.convert_to_tensor(gradient)], [kernel])
    moved = np.linalg.norm(keras.ops.convert_to_numpy(kernel) - before)
    assert moved == pytest.approx(RATE * np.linalg.norm(before), rel=1e-5)


def test_what_is_decayed_and_what_is_adapted_are_chosen_apart():
    kernels = [path for path in WEIGHTS if path.endswith("kernel")]
    ours = trained(
        not_decayed=["^/embeddings/", "temperature", "bias$", "layer_norm/"], not_adapted=["kernel$"]
    )
    others = [path for path in WEIGHTS if not path.endswith("kernel")]
    assert_same(ours, textbook(decayed=kernels, adapted=others))
    assert_same(trained(not_decayed=[], not_adapted=[]), textbook(decayed=WEIGHTS, adapted=WEIGHTS))


@pytest.mark.parametrize("decay", [None, 0.0])
def test_decay_can_be_switched_off(decay):
    assert_same(trained(weight_decay=decay), textbook(decay=0.0))


def test_layer_decay_scales_the_rate_of_each_layer():
    scales = {path: 0.25 if "embeddings/" in path else 0.5 if "block_0/" in path else 1.0 for path in WEIGHTS}
    assert_same(trained(layer_decay=0.5), textbook(scales=scales))


@pytest.mark.parametrize("after", ["first", "after"])
def test_the_weights_are_those_of_tf_models_official(after):
    paths = [str(path) for path in GOLDEN["paths"]]
    made = {path: variable(path, GOLDEN[f"before/{path}"]) for path in paths}
    rates = GOLDEN["learning_rates"][: 1 if after == "first" else None]
    optimizer = Lamb(1.0, global_clipnorm=None)
    for step, rate in enumerate(rates):
        optimizer.learning_rate = rate
        optimizer.apply(
            [keras.ops.convert_to_tensor(GOLDEN[f"gradient/{path}"][step], "float32") for path in paths],
            list(made.values()),
        )
    ours = {path: keras.ops.convert_to_numpy(made[path]) for path in paths}
    assert_same(
        ours, {path: GOLDEN[f"{after}/{path}"] for path in paths}, rtol=1e-6 if after == "first" else 3e-6
    )


def test_the_defaults_are_those_bert_is_pretrained_with():
    config = Lamb().get_config()
    expected = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-6, "weight_decay": 0.01, "global_clipnorm": 1.0}
    assert {name: config[name] for name in expected} == expected


def test_the_settings_survive_serialisation():
    optimizer = Lamb(2e-3, weight_decay=0.2, not_decayed=["x$"], not_adapted=["y$"], layer_decay=0.9)
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert isinstance(restored, Lamb)
    assert (restored.not_decayed, restored.not_adapted) == (("x$",), ("y$",))
    assert restored.get_config() == optimizer.get_config()
