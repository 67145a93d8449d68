"""TensorBoard sees every step of a run once, however often the run was stopped."""

import json

import pytest

from keras_bert.errors import OutputError
from keras_bert.reports import tensorboard
from keras_bert.reports.tensorboard import TensorBoardLog
from keras_bert.training.metrics_log import MetricsLog

tf = pytest.importorskip("tensorflow")

STEPS, EPOCHS = 4, 3


def train(folder, begin=0, end=STEPS * EPOCHS, save_at=None, state=None):
    """Calls log and events as Keras does; returns what they were after step `save_at`."""
    log = MetricsLog(8, every=1)
    events = TensorBoardLog(folder, log)
    if state is not None:
        log.rows = [{"step": 0}] * state["tensorboard"]["rows"]  # the log's own resume has tests of its own
        log.step = begin
        events.set_state(state["tensorboard"])
    events.on_train_begin()
    saved = None
    for step in range(begin + 1, end + 1):
        log.on_train_batch_begin((step - 1) % STEPS)
        for callback in (log, events):
            callback.on_train_batch_end((step - 1) % STEPS, {"loss": step + begin / 100})
        if step == save_at:
            saved = json.loads(json.dumps({"tensorboard": events.get_state()}))
        if step % STEPS == 0:
            for callback in (log, events):
                callback.on_epoch_end(step // STEPS - 1, {"loss": 1.0, "val_loss": step + begin / 100})
    events.on_train_end()
    return saved


def shown(folder, tag="loss"):
    """(step, value) of a scalar as TensorBoard shows it: START makes it forget that step and all after."""
    points = []
    for path in sorted(folder.iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            if event.session_log.status == tf.compat.v1.SessionLog.START:
                points = [point for point in points if point[0] < event.step]
            points += [(event.step, value.simple_value) for value in event.summary.value if value.tag == tag]
    return points


def test_training_and_evaluation_lie_beside_each_other_under_one_name(tmp_path):
    train(tmp_path)
    assert shown(tmp_path / "train") == [(step, step) for step in range(1, 13)]
    assert shown(tmp_path / "validation") == [(4, 4), (8, 8), (12, 12)]
    assert len(shown(tmp_path / "train", "examples_per_second")) == 12
    assert shown(tmp_path / "train", "examples") == []


@pytest.mark.parametrize("saved_at", [1, 3, 4, 5, 8])
def test_repeated_steps_show_once_with_their_new_value(saved_at, tmp_path):
    state = train(tmp_path, end=10, save_at=saved_at)
    train(tmp_path, begin=saved_at, state=state)
    points = shown(tmp_path / "train")
    assert [step for step, _ in points] == list(range(1, 13))
    assert all((value == step) == (step <= saved_at) for step, value in points)
    evaluated = [step for step, _ in shown(tmp_path / "validation")]
    # Saved before the epoch's end was told, the evaluation belongs to what is lost.
    assert evaluated == [step for step in (4, 8, 12) if step != saved_at]


def test_a_new_run_in_an_old_folder_takes_its_place(tmp_path):
    train(tmp_path)
    train(tmp_path, end=6)
    assert [step for step, _ in shown(tmp_path / "train")] == [1, 2, 3, 4, 5, 6]


def test_the_accumulator_of_tensorboard_agrees(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    state = train(tmp_path, end=10, save_at=5)
    train(tmp_path, begin=5, state=state)
    for kind in ("train", "validation"):
        reader = accumulator.EventAccumulator(str(tmp_path / kind), purge_orphaned_data=True)
        reader.Reload()
        assert [(e.step, e.value) for e in reader.Scalars("loss")] == shown(tmp_path / kind)


def test_without_tensorflow_a_line_says_so_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tensorboard, "_tensorflow", lambda: None)
    train(tmp_path)
    assert "TensorFlow" in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_only_the_chief_writes(tmp_path):
    log = MetricsLog(8, every=1)
    events = TensorBoardLog(tmp_path, log, writes=False)
    log.on_epoch_end(0, {"val_loss": 1.0})
    events.on_epoch_end(0)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_finite_is_left_out(tmp_path):
    log = MetricsLog(8, every=1)
    events = TensorBoardLog(tmp_path, log)
    log.on_epoch_end(0, {"val_loss": float("nan"), "val_accuracy": 0.5})
    events.on_epoch_end(0)
    assert shown(tmp_path / "validation") == [] and shown(tmp_path / "validation", "accuracy") == [(0, 0.5)]


def test_a_folder_that_cannot_be_written_is_a_message(tmp_path):
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(OutputError, match="logs"):
        train(tmp_path / "logs")
