"""The rate of `WarmupLinear` at the steps where it turns."""

import keras
import pytest

import keras_bert as kb


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.0), (5, 1e-3), (9, 1.8e-3), (10, 2e-3), (55, 1e-3), (99, 2e-3 / 90), (100, 0.0), (1000, 0.0)],
)
def test_the_rate_rises_to_the_peak_and_falls_to_zero(step, rate):
    schedule = kb.WarmupLinear(2e-3, total_steps=100, warmup_steps=10)
    assert float(schedule(step)) == pytest.approx(rate, rel=1e-6, abs=1e-12)


def test_without_warmup_the_first_step_has_the_peak():
    schedule = kb.WarmupLinear(2e-3, total_steps=100)
    assert [float(schedule(step)) for step in (0, 50)] == pytest.approx([2e-3, 1e-3])


def test_a_run_that_is_all_warmup_only_rises():
    schedule = kb.WarmupLinear(1.0, total_steps=4, warmup_steps=4)
    assert [float(schedule(step)) for step in range(5)] == pytest.approx([0.0, 0.25, 0.5, 0.75, 0.0])


@pytest.mark.parametrize(("total", "warmup"), [(0, 0), (-1, 0), (10, 11), (10, -1)])
def test_counts_that_fit_no_run_are_refused(total, warmup):
    with pytest.raises(ValueError, match=f"warmup_steps={warmup}, total_steps={total}"):
        kb.WarmupLinear(1e-3, total_steps=total, warmup_steps=warmup)


def test_a_schedule_survives_serialisation():
    schedule = kb.WarmupLinear(2e-3, total_steps=100, warmup_steps=10)
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert isinstance(restored, kb.WarmupLinear)
    assert restored.get_config() == schedule.get_config()


def test_the_optimizer_takes_the_rate_of_its_own_step():
    # Plain descent on a gradient of 1 moves a weight by the rate: the first step has the rate of step 0.
    optimizer = keras.optimizers.SGD(kb.WarmupLinear(1.0, total_steps=4, warmup_steps=2))
    weight = keras.Variable(10.0)
    positions = []
    for _ in range(5):
        optimizer.apply([keras.ops.convert_to_tensor(1.0)], [weight])
        positions.append(float(keras.ops.convert_to_numpy(weight)))
    assert positions == pytest.approx([10.0, 9.5, 8.5, 8.0, 8.0])
