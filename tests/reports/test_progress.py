"""Progress over a run: few lines in a log, right counts from the middle on."""

import io

import pytest

from keras_bert.reports.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


def train(progress, begin, end, per_execution=1, logs=None, clock=None):
    """Calls it as Keras does, in one epoch."""
    progress.set_params({"steps": end})
    progress.on_train_begin()
    progress.on_epoch_begin(0)
    for first in range(begin, end, per_execution):
        if clock is not None:
            clock[0] += per_execution
        progress.on_train_batch_begin(first)
        progress.on_train_batch_end(first + per_execution - 1, logs or {"loss": 2.0})
    progress.on_train_end()


@pytest.fixture
def clock(monkeypatch):
    now = [50.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


def test_a_log_gets_a_line_for_every_tenth(clock):
    stream = io.StringIO()
    train(Progress(200, 3, 16, stream=stream), 0, 200, clock=clock)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "epoch 1/3  step 20/200  loss 2.0000  16 examples/s  3 min left"
    assert lines[-1].endswith("step 200/200  loss 2.0000  16 examples/s  0 s left")


def test_pretraining_shows_accuracy_and_tokens_and_no_epochs(clock):
    stream = io.StringIO()
    logs = {"loss": 2.0, "mlm_accuracy": 0.41}
    train(Progress(10, None, 64, 128, stream=stream), 0, 10, logs=logs, clock=clock)
    first = stream.getvalue().splitlines()[0]
    assert (
        first == "step 1/10  loss 2.0000  masked-LM accuracy 0.4100  64 examples/s  8,192 tokens/s  9 s left"
    )


@pytest.mark.parametrize("when", ["before training begins", "after"])
def test_a_resumed_run_begins_in_the_middle_with_rates_of_its_own(clock, when):
    stream = io.StringIO()
    state = {"step": 150}
    progress = Progress(200, None, 16, stream=stream)
    if when == "after":
        progress.on_train_begin()
        clock[0] += 1000  # restoring took its time
    progress.set_state(state)
    train(progress, 150, 200, clock=clock)
    lines = stream.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"step {n}/200" for n in (160, 180, 200)]
    assert lines[0].endswith("16 examples/s  40 s left")
    assert progress.get_state() == {"step": 200}


def test_several_steps_in_one_execution_are_counted(clock):
    stream = io.StringIO()
    progress = Progress(10, None, 1, stream=stream)
    train(progress, 0, 10, per_execution=4, clock=clock)
    assert progress.step == 10
    assert [line.split("  ")[0] for line in stream.getvalue().splitlines()] == [
        "step 4/10", "step 8/10", "step 10/10"
    ]  # fmt: skip


def test_a_terminal_gets_a_bar_that_is_taken_away():
    stream = Terminal()
    progress = Progress(10, 2, 4, stream=stream)
    progress.set_state({"step": 4})
    train(progress, 4, 10)
    assert "10/10" in stream.getvalue() and "epoch 1/2" in stream.getvalue() and progress.bar is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(42, "42 s"), (840, "14 min"), (11000, "3 h 3 min"), (300000, "3 d 11 h")]
)
def test_a_duration_is_told_in_the_unit_one_thinks_in(seconds, text):
    assert duration(seconds) == text
