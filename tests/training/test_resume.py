"""A run that was stopped anywhere goes on as if it never had been: weights, optimizer, every log."""

import contextlib
import json
import os
import signal
import threading
import warnings

import keras
import numpy as np
import pytest
from small_run import EPOCHS, STEPS, STEPS_PER_EPOCH, Source, crash, small_model, train, variables

import keras_bert as kb
from keras_bert.errors import CheckpointError, Interrupted, OutputError, UsageError
from keras_bert.training import run_state
from keras_bert.training.resume import Resume

pytest.importorskip("tensorflow")

DATA = {"validation_data": (np.ones((4, 5), "float32"), np.ones((4, 1), "float32"))}


def slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The undisturbed run."""
    return train(tmp_path_factory.mktemp("whole"))


def assert_equal(run, whole):
    model, rows, _, history = run
    assert rows.rows == whole[1].rows
    assert history.history == whole[3].history and history.epoch == whole[3].epoch
    assert variables(model) == variables(whole[0])


def test_a_run_that_stops_at_every_step_is_the_undisturbed_one(tmp_path, whole):
    for after in range(2, STEPS + 1):
        crash(tmp_path, after)
    assert_equal(train(tmp_path), whole)


@pytest.mark.parametrize("after", [1, 7, slow(4), slow(5)])
def test_a_run_that_stops_once_is_the_undisturbed_one(tmp_path, whole, after):
    crash(tmp_path, after)
    run = train(tmp_path)
    assert run[2].resumed_from == (after - 1 or None)
    assert_equal(run, whole)


def test_steps_after_the_last_saved_one_are_run_again(tmp_path, whole):
    crash(tmp_path, 6, every_steps=3)
    run = train(tmp_path)
    assert run[2].resumed_from == 3
    assert_equal(run, whole)


@pytest.mark.slow
def test_the_state_is_saved_when_so_many_seconds_have_gone_by(tmp_path):
    crash(tmp_path / "now", 3, every_steps=None, every_seconds=0)
    assert run_state.newest_state(tmp_path / "now").facts["step"] == 2
    crash(tmp_path / "later", 3, every_steps=None, every_seconds=3600)
    assert run_state.newest_state(tmp_path / "later") is None


def test_an_epoch_that_is_resumed_is_evaluated_once_and_keeps_its_length(tmp_path):
    undisturbed = train(tmp_path / "whole", fit=DATA)
    crash(tmp_path / "run", 2, fit=DATA)
    crash(tmp_path / "run", 7, fit=DATA)
    run = train(tmp_path / "run", fit=DATA)
    assert len(run[3].history["val_loss"]) == EPOCHS
    assert_equal(run, undisturbed)


@pytest.mark.slow
def test_several_steps_an_execution(tmp_path):
    undisturbed = train(tmp_path / "whole", model=small_model(steps_per_execution=2))
    crash(tmp_path / "run", 4, model=small_model(steps_per_execution=2))
    crash(tmp_path / "run", 8, model=small_model(steps_per_execution=2))
    run = train(tmp_path / "run", model=small_model(steps_per_execution=2))
    assert run[2].resumed_from == 6
    assert_equal(run, undisturbed)
    with pytest.raises(UsageError, match="a multiple of steps_per_execution=2"):
        train(tmp_path / "other", model=small_model(steps_per_execution=2), total_steps=3)


def test_a_run_ends_at_its_total_steps_and_can_be_made_longer(tmp_path, whole):
    short = train(tmp_path, total_steps=STEPS_PER_EPOCH + 2, fit=DATA)
    assert int(short[0].optimizer.iterations) == STEPS_PER_EPOCH + 2
    again = train(tmp_path, total_steps=STEPS_PER_EPOCH + 2)
    assert again[2].is_finished and variables(again[0]) == variables(short[0])
    longer = train(tmp_path)
    steps = [row for row in longer[1].rows if row[0] == "step"]
    assert steps == [row for row in whole[1].rows if row[0] == "step"]
    assert variables(longer[0]) == variables(whole[0])


def test_a_finished_run_does_nothing_and_says_so(tmp_path, capsys):
    first = train(tmp_path)
    second = train(tmp_path, model=small_model(seed=5))
    assert second[2].is_finished and second[2].step == STEPS
    assert f"finished already, at step {STEPS}" in capsys.readouterr().err
    assert_equal(second, first)  # the averages of the weights, which `fit` puts in place at its end
    third = second[0].fit(Source().dataset(), epochs=1, steps_per_epoch=1, verbose=0, shuffle=False)
    assert third.epoch == [0]  # another `fit` is not kept from training


def test_a_run_that_a_callback_stopped_is_finished(tmp_path):
    class Enough(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    crash(tmp_path, 3)
    run = train(tmp_path, Enough())
    assert run[2].step == STEPS_PER_EPOCH
    again = train(tmp_path, Enough())
    assert again[2].is_finished and variables(again[0]) == variables(run[0])


# What is in the way.


def newest(folder):
    return max(path for path in folder.iterdir() if path.name.startswith("step-"))


def cut(path):
    (path / "state.safetensors").write_bytes((path / "state.safetensors").read_bytes()[:-9])


def flip(path):
    data = bytearray((path / "state.safetensors").read_bytes())
    data[-5] ^= 1
    (path / "state.safetensors").write_bytes(data)


def renumber(path):
    text = (path / "state.json").read_text()
    (path / "state.json").write_text(text.replace('"step_in_epoch": 2', '"step_in_epoch": 1'))


def lose(path):
    (path / "state.safetensors").unlink()


def empty(path):
    (path / "state.json").write_text("")


@pytest.mark.parametrize("damage", [flip, renumber, slow(cut), slow(lose), slow(empty)])
def test_of_a_damaged_state_and_the_one_before_the_sound_one_is_taken(tmp_path, whole, damage):
    crash(tmp_path, 7)
    damaged = newest(tmp_path)
    assert damaged.name == "step-00000006"
    damage(damaged)
    with pytest.warns(UserWarning, match="step-00000006: This saved state is damaged.*from step-00000005"):
        run = train(tmp_path)
    assert run[2].resumed_from == 5
    assert_equal(run, whole)


def test_where_no_state_is_sound_the_run_does_not_begin_anew(tmp_path):
    crash(tmp_path, 4)
    for path in tmp_path.iterdir():
        flip(path)
    with pytest.raises(CheckpointError, match="None of the 2 saved states can be read.*sha256"):
        train(tmp_path)


def test_only_the_newest_states_stay(tmp_path):
    train(tmp_path, keep=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-0000000{n}" for n in (6, 7, 8)]


def test_a_state_that_cannot_be_written_leaves_the_older_ones(tmp_path):
    crash(tmp_path, 3)
    (tmp_path / "step-00000003").write_text("in the way")
    with pytest.raises(OutputError, match="step-00000003"):
        train(tmp_path)
    assert run_state.newest_state(tmp_path).facts["step"] == 2


@pytest.mark.parametrize(
    "changed, told",
    [
        ({"width": 7}, r"model/dense/kernel was float32 \(5, 6\), now it is float32 \(5, 7\)"),
        ({"dtype": "bfloat16"}, r"was float32 .* now it is bfloat16"),
        ({"optimizer": "sgd"}, "the optimizer was AdamW, now it is SGD"),
        (
            {"optimizer": "plain"},
            r"optimizer/dense_kernel_average .* is only in the saved state.*and \d+ more",
        ),
    ],
)
def test_another_model_optimizer_or_dtype_is_told_by_its_first_differences(tmp_path, changed, told):
    crash(tmp_path, 2)
    if changed.get("optimizer") == "plain":
        changed = {"optimizer": kb.AdamW(kb.WarmupLinear(1e-2, 20))}
    with pytest.raises(CheckpointError, match=told):
        train(tmp_path, model=small_model(**changed))


@pytest.mark.slow
def test_bfloat16_survives_bit_for_bit(tmp_path):
    undisturbed = train(tmp_path / "whole", model=small_model(dtype="bfloat16"))
    crash(tmp_path / "run", 4, model=small_model(dtype="bfloat16"))
    run = train(tmp_path / "run", model=small_model(dtype="bfloat16"))
    assert "bfloat16" in {dtype for _, dtype, _ in run_state.newest_state(tmp_path / "run").facts["arrays"]}
    assert_equal(run, undisturbed)


def test_a_fit_that_cannot_be_continued_is_refused(tmp_path):
    crash(tmp_path, 3)
    with pytest.raises(UsageError, match="began with 4 steps an epoch, and this `fit` has 3"):
        train(tmp_path, fit={"steps_per_epoch": 3})
    with pytest.raises(UsageError, match="initial_epoch"):
        train(tmp_path, fit={"initial_epoch": 1})
    with pytest.raises(UsageError, match="how many steps an epoch has"):
        train(tmp_path / "new", fit={"steps_per_epoch": None})
    crash(tmp_path / "set", 3, settings={"batch": 8, "masks": [1, 2], "gone": None})
    with pytest.raises(UsageError, match=r"batch: The run began with 8, and is to go on with 16"):
        train(tmp_path / "set", settings={"batch": 16, "masks": [1, 2]})
    with pytest.raises(UsageError, match=r"new: The run began with None, and is to go on with True"):
        train(tmp_path / "set", settings={"batch": 8, "masks": [1, 2], "new": True})
    assert train(tmp_path / "set", settings={"batch": 8, "masks": (1, 2)})[2].resumed_from == 3 - 1
    for wrong in ({"every_steps": 0}, {"keep": 0}, {"total_steps": 1.5}):
        with pytest.raises(UsageError, match="1 or more"):
            Resume(tmp_path, **wrong)


# Signals.


class Send(keras.callbacks.Callback):
    def __init__(self, number, after):
        super().__init__()
        self.number, self.after = number, after

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == self.after - 1:
            os.kill(os.getpid(), self.number)


@pytest.fixture
def handlers():
    before = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    for number, handler in before.items():
        signal.signal(number, handler)
    yield before
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize("number", [signal.SIGTERM, slow(signal.SIGINT)])
@pytest.mark.parametrize("after", [2, slow(STEPS_PER_EPOCH), slow(STEPS)])
def test_a_signal_saves_the_running_step_and_ends_the_run(tmp_path, whole, handlers, number, after):
    with pytest.raises(Interrupted, match=f"Stopped by {number.name} after step {after}.*start the same"):
        train(tmp_path, Send(number, after), every_steps=None)
    assert {n: signal.getsignal(n) for n in handlers} == handlers
    run = train(tmp_path, every_steps=None)
    assert run[2].resumed_from == after
    assert_equal(run, whole)


def test_a_signal_after_an_error_in_fit_goes_where_it_went_before(tmp_path, handlers):
    crash(tmp_path, 2)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(5)


@pytest.mark.slow
def test_handlers_of_runs_that_ended_in_an_error_do_not_pile_up(tmp_path, handlers):
    crash(tmp_path, 2)
    crash(tmp_path, 3)
    train(tmp_path)
    assert {number: signal.getsignal(number) for number in handlers} == handlers


def test_a_second_ctrl_c_means_it(tmp_path, handlers, monkeypatch):
    monkeypatch.setattr("keras_bert.training.interruption._PATIENCE", -1.0)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, Send(signal.SIGINT, 2), Send(signal.SIGINT, 2))


# The files.


def test_a_process_killed_while_it_removes_an_old_state_leaves_no_half_of_one(tmp_path, monkeypatch):
    def killed(path, **kwargs):
        raise SystemExit

    crash(tmp_path, 3)
    monkeypatch.setattr(run_state.shutil, "rmtree", killed)
    with contextlib.suppress(SystemExit):
        train(tmp_path)
    monkeypatch.undo()
    with warnings.catch_warnings(action="error"):
        state = run_state.newest_state(tmp_path)
    assert state.facts["step"] == 3
    train(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000007", "step-00000008"]


def test_a_state_lists_its_arrays_by_path(tmp_path):
    crash(tmp_path, 3)
    facts = json.loads((newest(tmp_path) / "state.json").read_text())["state"]
    names = [name for name, _, _ in facts["arrays"]]
    assert {"model/dense/kernel", "optimizer/dense_kernel_average", "metrics/loss/total"} <= set(names)
    assert any("seed_generator_state" in name for name in names)
    assert facts["position"] == [0, 2] and facts["step_in_epoch"] == 2
