"""The schedules at the steps where they turn, in long runs, and against other implementations."""

import json
import pathlib

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.errors import UsageError
from keras_bert.training import schedule as module
from keras_bert.training.schedule import (
    SCHEDULES,
    WarmupCosine,
    WarmupPolynomial,
    WarmupStableDecay,
    schedule,
)

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
HUGGINGFACE = np.load(GOLDEN / "schedules_huggingface.npz")
MODEL_GARDEN = np.load(GOLDEN / "optimizers_model_garden.npz")
EVERY = pytest.mark.parametrize("name", SCHEDULES)
# What lies between the two ends of 100 steps, 10 of them warm-up, at step 55: half the way is left.
AT_HALF = {"linear": 0.5, "polynomial": 0.5, "cosine": 0.5, "stable_decay": 1.0}


def rates(given, steps):
    return np.array([float(given(int(step))) for step in steps])


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.0), (5, 1e-3), (9, 1.8e-3), (10, 2e-3), (55, 1e-3), (99, 2e-3 / 90), (100, 0.0), (1000, 0.0)],
)
def test_the_linear_rate_rises_to_the_peak_and_falls_to_zero(step, rate):
    assert float(kb.WarmupLinear(2e-3, total_steps=100, warmup_steps=10)(step)) == pytest.approx(
        rate, rel=1e-6, abs=1e-12
    )


@EVERY
@pytest.mark.parametrize("end", [0.0, 3e-5])
def test_every_schedule_is_exact_where_it_turns(name, end):
    made = schedule(name, 2e-3, 100, 10, end=end)
    peak, end = np.float32(2e-3), np.float32(end)
    assert rates(made, [0, 10, 100, 101, 10**9]).tolist() == [0.0, peak, end, end, end]
    assert float(made(5)) == pytest.approx(1e-3)
    share = AT_HALF[name]
    assert float(made(55)) == pytest.approx(share * 2e-3 + (1 - share) * end)
    falling = rates(made, range(10, 101))
    assert (np.diff(falling) <= 0).all() and falling[-2] > end


@EVERY
def test_without_warmup_the_first_step_has_the_peak(name):
    assert float(schedule(name, 2e-3, 100)(0)) == np.float32(2e-3)


@EVERY
def test_a_run_that_is_all_warmup_only_rises(name):
    made = schedule(name, 1.0, 4, 4, end=0.125)
    assert rates(made, range(6)).tolist() == [0.0, 0.25, 0.5, 0.75, 0.125, 0.125]


@EVERY
def test_the_last_steps_of_ten_million_are_right_in_float32(name):
    # In float64, by forms that lose nothing there.
    total, warmup, decay = 10_000_000, 10_000, 1_000_000
    made = schedule(name, 1.0, total, warmup, **({"decay_steps": decay} if name == "stable_decay" else {}))
    left = np.array([1.0, 2.0, 7.0])
    share = left / (decay if name == "stable_decay" else total - warmup)
    wanted = {"cosine": np.sin(np.pi / 2 * share) ** 2, "stable_decay": share / (1 + np.sqrt(1 - share))}.get(
        name, share
    )
    np.testing.assert_allclose(rates(made, total - left), wanted, rtol=1e-6)
    assert float(made(warmup - 1)) == pytest.approx((warmup - 1) / warmup, rel=1e-7)


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_a_power_bends_the_polynomial(power):
    made = WarmupPolynomial(1.0, 100, 20, power=power, end=0.2)
    assert float(made(80)) == pytest.approx(0.2 + 0.8 * 0.25**power)


def test_stable_decay_stays_at_the_peak_until_its_last_steps():
    made = WarmupStableDecay(1.0, 200, 50, decay_steps=40)
    assert set(rates(made, range(50, 161))) == {1.0}
    assert rates(made, [170, 180, 190]) == pytest.approx([1 - 0.5, 1 - 0.5**0.5, 1 - 0.75**0.5])


@pytest.mark.parametrize(
    ("total", "warmup", "steps"), [(1000, 0, 100), (14, 0, 1), (3, 0, 1), (100, 95, 5), (4, 4, 1)]
)
def test_the_decay_is_a_tenth_of_the_run_if_that_fits(total, warmup, steps):
    assert WarmupStableDecay(1.0, total, warmup).decay_steps == steps


OF_HUGGINGFACE = {  # the name in the file: the schedule's, its settings
    "linear": ("linear", {}),
    "cosine": ("cosine", {}),
    "cosine_to_end": ("cosine", {"end": 1e-5}),
    "polynomial": ("polynomial", {"end": 1e-5}),
    "square": ("polynomial", {"end": 1e-5, "power": 2.0}),
    "square_root": ("polynomial", {"end": 1e-5, "power": 0.5}),
    "stable_decay": ("stable_decay", {}),
    "stable_decay_to_end": ("stable_decay", {"end": 1e-5}),
}


@pytest.mark.parametrize("run", ["short", "long"])
@pytest.mark.parametrize("theirs", OF_HUGGINGFACE)
def test_the_rates_are_those_of_transformers(theirs, run):
    name, settings = OF_HUGGINGFACE[theirs]
    total, warmup, decay = HUGGINGFACE[f"{run}/run"]
    if name == "stable_decay":
        settings = {**settings, "decay_steps": decay}
    steps, wanted = HUGGINGFACE[f"{run}/steps"], HUGGINGFACE[f"{run}/{theirs}"]
    shared = np.ones(len(steps), bool)
    if theirs == "stable_decay_to_end":  # which warms up from its end
        shared = steps >= warmup
    if name == "cosine":  # which rises again behind the end of the run
        shared = steps <= total
    # Their cosine subtracts from 1 in float64: 1e-16 of the peak is what it can be wrong by.
    np.testing.assert_allclose(
        rates(schedule(name, 1e-3, total, warmup, **settings), steps[shared]),
        wanted[shared],
        rtol=5e-7,
        atol=1e-18,
    )


@pytest.mark.parametrize(("theirs", "made"), [
    ("polynomial", WarmupPolynomial(2e-3, 2000, 200, end=1e-4)),
    ("square_root", WarmupPolynomial(2e-3, 2000, 200, power=0.5, end=1e-4)),
    ("cosine", WarmupCosine(2e-3, 2000, 200, end=1e-4)),
])  # fmt: skip
def test_the_rates_are_those_of_the_model_garden(theirs, made):
    wanted = MODEL_GARDEN[f"rate/{theirs}"]
    # They subtract the share that is gone from 1 in float32.
    np.testing.assert_allclose(rates(made, MODEL_GARDEN["rate_steps"]), wanted, rtol=1e-5)


@pytest.mark.parametrize(("total", "warmup"), [(0, 0), (-1, 0), (10, 11), (10, -1)])
@EVERY
def test_counts_that_fit_no_run_are_refused(name, total, warmup):
    with pytest.raises(ValueError, match=f"warmup_steps={warmup}, total_steps={total}"):
        schedule(name, 1e-3, total, warmup)


@pytest.mark.parametrize(("settings", "message"), [
    ({"total_steps": 10.5}, "total_steps=10.5"),
    ({"warmup_steps": float("nan")}, "warmup_steps=nan"),
    ({"warmup_steps": None}, "warmup_steps=None"),
    ({"end": 2.0}, "end=2.0, peak=1.0"),
    ({"end": -1.0}, "end=-1.0"),
    ({"peak": float("nan")}, "peak=nan"),
    ({"peak": float("inf")}, "peak=inf"),
    ({"name": "polynomial", "power": 0.0}, "power=0.0"),
    ({"name": "stable_decay", "decay_steps": 0}, "decay_steps=0"),
    ({"name": "stable_decay", "decay_steps": 91}, "decay_steps=91, total_steps=100, warmup_steps=10"),
    ({"name": "stable_decay", "decay_steps": 1.5}, "decay_steps=1.5"),
])  # fmt: skip
def test_what_is_no_schedule_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        schedule(**{"name": "linear", "peak": 1.0, "total_steps": 100, "warmup_steps": 10, **settings})


def test_an_unknown_name_or_setting_names_those_there_are():
    with pytest.raises(UsageError, match="no schedule 'cosin'.*linear, polynomial, cosine, stable_decay"):
        schedule("cosin", 1.0, 100)
    with pytest.raises(UsageError, match="'cosine' has no setting 'power'.*Expected: one of end"):
        schedule("cosine", 1.0, 100, power=2.0)
    with pytest.raises(UsageError, match="Expected: one of decay_steps, end"):
        schedule("stable_decay", 1.0, 100, power=2.0)


@pytest.mark.parametrize("made", [
    kb.WarmupLinear(2e-3, 100, 10, end=1e-4),
    WarmupPolynomial(2e-3, 100, 10, power=0.5, end=1e-4),
    WarmupCosine(2e-3, 100, 10, end=1e-4),
    WarmupStableDecay(2e-3, 100, 10, decay_steps=30, end=1e-4),
], ids=lambda made: type(made).__name__)  # fmt: skip
def test_a_schedule_survives_serialisation(made):
    text = json.dumps(keras.saving.serialize_keras_object(made))
    restored = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(restored) is type(made)
    assert rates(restored, range(0, 105)).tolist() == rates(made, range(0, 105)).tolist()


def test_a_schedule_saved_before_there_was_an_end_falls_to_zero():
    config = {"peak": 2e-3, "total_steps": 100, "warmup_steps": 10}
    assert kb.WarmupLinear.from_config(config).end == 0.0


@EVERY
def test_a_step_of_any_integer_type_gives_the_same_rate(name):
    made = schedule(name, 1.0, 100, 10)
    steps = [77, np.int64(77), keras.Variable(77, dtype="int64", trainable=False)]
    assert len({float(made(step)) for step in steps}) == 1
    assert keras.backend.standardize_dtype(made(77).dtype) == "float32"


def test_the_optimizer_takes_the_rate_of_its_own_step():
    # Plain descent on a gradient of 1 moves a weight by the rate: the first step has the rate of step 0.
    optimizer = keras.optimizers.SGD(kb.WarmupLinear(1.0, total_steps=4, warmup_steps=2))
    weight = keras.Variable(10.0)
    positions = []
    for _ in range(5):
        optimizer.apply([keras.ops.convert_to_tensor(1.0)], [weight])
        positions.append(float(keras.ops.convert_to_numpy(weight)))
    assert positions == pytest.approx([10.0, 9.5, 8.5, 8.0, 8.0])


def test_every_schedule_of_the_module_has_a_name():
    classes = {thing for thing in vars(module).values() if isinstance(thing, type)}
    assert set(SCHEDULES.values()) == {c for c in classes if c.__base__ is module.Warmup}
