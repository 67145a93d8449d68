"""The log of a run: what its rows say, that they are on disk at once, and that a resumed run goes on."""

import json

import numpy as np
import pytest

from keras_bert.errors import DataError, OutputError
from keras_bert.training.metrics_log import MetricsLog, executed_steps, read_rows

STEPS, EPOCHS = 7, 4  # a Keras epoch; not a multiple of `every`
LOSSES = np.random.default_rng(0).uniform(1, 9, STEPS * EPOCHS)
NOT_TIME = ("step", "epoch", "examples", "tokens", "loss", "accuracy", "val_loss")


class Optimizer:
    learning_rate = 0.25


class Model:
    optimizer = Optimizer()


def new_log(file=None, **settings):
    log = MetricsLog(4, every=3, file=file, windowed=("loss",), **settings)
    log.set_model(Model())
    log.set_params({"steps": STEPS})
    return log


def train(log, begin=0, end=STEPS * EPOCHS, save_at=None):
    """Calls the log as Keras does from step `begin` to `end`; the state after step `save_at`, as JSON."""
    saved = None
    log.on_train_begin()
    for epoch in range(begin // STEPS, EPOCHS):
        log.on_epoch_begin(epoch)
        for batch in range(begin - epoch * STEPS if epoch == begin // STEPS else 0, STEPS):
            step = epoch * STEPS + batch
            if step == end:
                return saved
            log.on_train_batch_begin(batch)
            so_far = LOSSES[epoch * STEPS : step + 1]
            log.on_train_batch_end(batch, {"loss": so_far.mean(), "accuracy": 1 / so_far.sum()})
            if step + 1 == save_at:
                saved = json.dumps(log.get_state())
        log.on_epoch_end(epoch, {"loss": so_far.mean(), "val_loss": so_far.min()})
    log.on_train_end()
    return saved


def timeless(rows):
    return [{name: row[name] for name in NOT_TIME if name in row} for row in rows]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    file = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    log = new_log(file, tokens_per_example=10, flops_per_example=5e9)
    train(log)
    return log, file


def test_a_row_of_the_course_has_the_mean_since_the_last_row(undisturbed):
    begins = {}
    for row in (row for row in undisturbed[0].rows if "examples_per_second" in row):
        begin = begins.get(row["epoch"], (row["epoch"] - 1) * STEPS)
        np.testing.assert_allclose(row["loss"], LOSSES[begin : row["step"]].mean(), rtol=1e-12)
        begins[row["epoch"]] = row["step"]
    assert sum(begins.values()) == 6 + 12 + 21 + 27


def test_a_row_that_ends_an_epoch_has_the_mean_of_the_epoch_and_the_evaluation(undisturbed):
    ends = [row for row in undisturbed[0].rows if "examples_per_second" not in row]
    assert [row["step"] for row in ends] == [7, 14, 21, 28]
    for row in ends:
        losses = LOSSES[row["step"] - STEPS : row["step"]]
        assert (row["loss"], row["val_loss"]) == (losses.mean(), losses.min())


def test_a_log_that_is_not_named_stays_as_keras_gave_it(undisturbed):
    row = undisturbed[0].rows[1]
    assert (row["step"], row["accuracy"]) == (6, 1 / LOSSES[:6].sum())


def test_a_row_counts_examples_and_tokens_and_tells_the_rates(undisturbed):
    row = undisturbed[0].rows[1]
    assert (row["step"], row["examples"], row["tokens"], row["learning_rate"]) == (6, 24, 240, 0.25)
    assert row["tokens_per_second"] == pytest.approx(10 * row["examples_per_second"], rel=1e-3)
    assert row["gflop_per_second"] == pytest.approx(5 * row["examples_per_second"], rel=1e-3)
    seconds = [row["seconds"] for row in undisturbed[0].rows]
    assert seconds == sorted(seconds)


def test_what_was_trained_in_between_is_the_rate(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    log = new_log()
    log.on_train_begin()
    log.on_epoch_begin(0)
    for batch in range(3):
        now[0] += 2
        log.on_train_batch_begin(batch)
        log.on_train_batch_end(batch, {"loss": 1.0})
    assert (log.rows[0]["examples_per_second"], log.rows[0]["seconds"]) == (2.0, 6.0)
    now[0] += 50  # an evaluation, which is no training but takes its time
    log.on_epoch_end(0, {})
    log.on_epoch_begin(1)
    for batch in range(3):
        now[0] += 1
        log.on_train_batch_begin(batch)
        log.on_train_batch_end(batch, {"loss": 1.0})
    assert (log.rows[-1]["examples_per_second"], log.rows[-1]["seconds"]) == (4.0, 59.0)


def test_the_file_holds_the_rows(undisturbed):
    log, file = undisturbed
    assert [json.loads(line) for line in file.read_text().splitlines()] == log.rows == read_rows(file)


def test_a_reader_sees_a_row_as_soon_as_it_is_written(tmp_path):
    log = new_log(tmp_path / "metrics.jsonl")
    train(log, end=11)  # the run is still open
    assert read_rows(tmp_path / "metrics.jsonl") == log.rows and len(log.rows) == 4


@pytest.mark.parametrize("saved_at", range(1, STEPS * EPOCHS))
def test_a_run_killed_after_any_step_and_resumed_leaves_the_rows_of_an_undisturbed_one(
    saved_at, tmp_path, undisturbed
):
    file = tmp_path / "metrics.jsonl"
    state = train(new_log(file), end=min(saved_at + 9, STEPS * EPOCHS - 1), save_at=saved_at)
    with file.open("a") as torn:
        torn.write('{"step": 12, "epo')  # the kill came amid a line
    log = new_log(file)
    log.set_state(json.loads(state))
    assert all(row["step"] <= saved_at for row in read_rows(file))  # cut at once
    train(log, begin=saved_at)
    wanted = [{k: v for k, v in row.items() if k != "tokens"} for row in timeless(undisturbed[0].rows)]
    if saved_at % STEPS == 0:  # saved before the epoch's end was told: Keras goes on with the next
        wanted = [row for row in wanted if row["step"] != saved_at or "val_loss" not in row]
    assert timeless(read_rows(file)) == timeless(log.rows) == wanted


def test_a_state_is_set_before_or_after_training_has_begun(tmp_path):
    logs = []
    for order in ("set_state first", "set_state second"):
        state = json.loads(train(new_log(tmp_path / order), end=13, save_at=10))
        log = new_log(tmp_path / order)
        if order == "set_state second":
            log.on_train_begin()
            log.on_epoch_begin(1)
        log.set_state(state)
        train(log, begin=10)
        logs.append(timeless(log.rows))
    assert logs[0] == logs[1] and logs[0][-1]["step"] == 28


def test_the_seconds_go_on_where_they_were_saved(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    log = new_log()
    log.on_train_begin()
    now[0] += 40
    state = log.get_state()
    now[0] = 5.0  # another process
    log = new_log()
    log.set_state(state)
    log.on_train_begin()
    now[0] += 2
    log.on_epoch_end(0, {})
    assert log.rows[0]["seconds"] == 42.0


def test_a_new_run_replaces_the_file_of_an_older_one(tmp_path):
    for _ in range(2):
        log = new_log(tmp_path / "metrics.jsonl")
        train(log)
    assert read_rows(tmp_path / "metrics.jsonl") == log.rows


def test_a_second_fit_goes_on_counting_in_epochs_of_its_own(tmp_path):
    log = new_log(tmp_path / "metrics.jsonl")
    train(log)
    train(log)
    assert len(read_rows(tmp_path / "metrics.jsonl")) == len(log.rows)
    assert (log.rows[-1]["step"], log.rows[-1]["epoch"], log.epoch_steps) == (2 * 28, 4, STEPS)
    ends = [row for row in log.rows if "val_loss" in row]
    assert [row["step"] for row in ends] == list(range(7, 57, 7))


def test_only_the_chief_writes(tmp_path):
    log = new_log(tmp_path / "metrics.jsonl", writes=False)
    state = json.loads(train(log, save_at=5))
    log.set_state(state)
    train(log, begin=5)
    assert list(tmp_path.iterdir()) == [] and log.step == 28


def test_a_number_that_is_not_finite_is_null(tmp_path):
    log = new_log(tmp_path / "metrics.jsonl")
    log.on_epoch_end(0, {"loss": float("nan"), "val_loss": float("inf"), "accuracy": 0.5})
    text = (tmp_path / "metrics.jsonl").read_text()
    assert '"loss": null, "val_loss": null, "accuracy": 0.5' in text and log.rows[0]["loss"] is None


def test_lines_that_are_no_rows_are_passed_over(tmp_path):
    (tmp_path / "m").write_bytes(b'{"step": 1}\n\0\0\0\n[1]\n{"epoch": 2}\n\xff\n{"step": 2}\n{"st')
    assert read_rows(tmp_path / "m") == [{"step": 1}, {"step": 2}]
    with pytest.raises(DataError, match="cannot be read"):
        read_rows(tmp_path / "none")


def test_a_place_that_cannot_be_written_is_a_message(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OutputError, match="metrics.jsonl"):
        train(new_log(tmp_path / "run" / "metrics.jsonl"))


@pytest.mark.parametrize(("first", "last", "steps", "n"), [(0, 3, 10, 4), (8, 11, 10, 2), (4, 4, None, 1)])
def test_an_execution_ends_with_the_epoch(first, last, steps, n):
    assert executed_steps(first, last, {"steps": steps}) == n


def test_several_steps_in_one_execution_are_counted():
    tf = pytest.importorskip("tensorflow")
    import keras

    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse", steps_per_execution=2)
    log = MetricsLog(4, every=3)
    data = tf.data.Dataset.from_tensor_slices((np.ones((20, 2)), np.ones((20, 1)))).batch(4)
    model.fit(
        data, epochs=2, callbacks=[log], verbose=0, shuffle=False
    )  # epochs of 5 steps, in executions of 2, 2 and 1
    assert log.step == int(model.optimizer.iterations) == 10
    assert [(row["step"], row["examples"]) for row in log.rows] == [
        (4, 16), (5, 20), (7, 28), (9, 36), (10, 40)
    ]  # fmt: skip


def test_a_second_fit_of_one_epoch_begins_an_epoch():
    log = new_log()
    for _ in range(2):
        log.on_train_begin()
        log.on_epoch_begin(0)
        for batch in range(STEPS):
            log.on_train_batch_begin(batch)
            log.on_train_batch_end(batch, {"loss": 1.0})
        log.on_train_end()
    assert (log.step, log.epoch_steps) == (2 * STEPS, STEPS)


def test_a_row_lost_in_a_power_cut_is_not_replaced_by_a_later_one(tmp_path):
    file = tmp_path / "metrics.jsonl"
    state = json.loads(train(new_log(file), end=20, save_at=12))
    first, *others = file.read_text().splitlines()
    file.write_text("\n".join(["\0" * len(first), *others]) + "\n")
    log = new_log(file)
    log.set_state(state)
    assert [row["step"] for row in log.rows] == [6, 7, 9, 12]
