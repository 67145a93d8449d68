"""`MetricsLog`: the course of a run as rows, in memory and line by line in `metrics.jsonl`."""

import json
import math
import os
import pathlib
import time

import keras

from keras_bert.errors import DataError
from keras_bert.files.atomic import atomic_file, output_errors


class MetricsLog(keras.callbacks.Callback):
    """Keeps the course of a run as rows, for `metrics.jsonl` and the plot.

    Every row has step, epoch (Keras'), examples and seconds, all counted from the start of the run. There are
    two kinds of rows. Every `every` steps one with Keras' logs, learning_rate (that of the next step) and the
    rates since the last row; its logs are means since the epoch began, those named in `windowed` since the
    last row. At the end of an epoch one without rates: the means of the whole epoch, and the evaluation as
    `val_...`. What is not finite is None.

    A run that is resumed (`set_state`) goes on as if nothing had happened: rows that the lost steps wrote are
    cut from the file, and their seconds do not count. Saved states must be taken after this callback has
    seen the step: the callback that saves them comes last.

    Args:
        batch_size: float. Examples a step; their mean, where rows of packed examples hold different numbers.
        every: int. Steps between two rows.
        file: path or None. Where rows are appended; an older file is replaced unless the run is resumed.
        writes: bool. False in all workers but the chief: they share the file.
        windowed: sequence of str. Names of logs that are running means.
        tokens_per_example: float or None. Known, rows have tokens and tokens_per_second.
        flops_per_example: float or None. Known, rows have gflop_per_second; see `reports/throughput.py`.

    Attributes:
        rows: list of dict.
        step, epoch: int.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, batch_size=32, every=10, *, file=None, writes=True, windowed=(),
                 tokens_per_example=None, flops_per_example=None):  # fmt: skip
        super().__init__()
        self.batch_size, self.every, self.windowed = batch_size, every, tuple(windowed)
        self.path = pathlib.Path(file) if file is not None and writes else None
        self.tokens_per_example, self.flops_per_example = tokens_per_example, flops_per_example
        self.rows, self.step, self.epoch, self.seconds = [], 0, 0, 0.0
        self.epoch_steps, self.window = 0, {"steps": 0, "means": {}}
        self._begun, self._resumed, self._first = False, False, 0
        self.since = self.began = time.perf_counter()
        self.steps_since = 0

    def get_state(self) -> dict:
        """What a resumed run needs to go on, as JSON has it; the rows it counts are on disk by then."""
        if self._begun:
            with output_errors(self.path), self.path.open("a") as file:
                os.fsync(file.fileno())
        return {"step": self.step, "epoch": self.epoch, "epoch_steps": self.epoch_steps,
                "seconds": self._elapsed(), "rows": len(self.rows), "window": self.window}  # fmt: skip

    def set_state(self, state: dict):
        """Goes back to a saved state, and cuts the file to the rows it had then."""
        self.step, self.epoch, self.epoch_steps = state["step"], state["epoch"], state["epoch_steps"]
        self.window = {"steps": state["window"]["steps"], "means": dict(state["window"]["means"])}
        self.seconds, self.began = state["seconds"], time.perf_counter()
        self.since, self.steps_since, self._resumed = self.began, 0, True
        self.rows = []
        if self.path is not None and self.path.exists():
            self.rows = [row for row in read_rows(self.path) if row["step"] <= self.step][: state["rows"]]
        self._begin_file()

    def on_train_begin(self, logs=None):
        self.since = self.began = time.perf_counter()
        self.steps_since = 0
        if not self._resumed:
            self.epoch = 0  # so that the first epoch is a new one, whatever an earlier `fit` did

    def on_epoch_begin(self, epoch, logs=None):
        if self.epoch != epoch + 1:  # else it is the epoch in whose middle the run was stopped
            self.epoch, self.epoch_steps, self.window = epoch + 1, 0, {"steps": 0, "means": {}}

    def on_train_batch_begin(self, batch, logs=None):
        self._first = batch

    def on_train_batch_end(self, batch, logs=None):
        steps = executed_steps(self._first, batch, self.params)
        self.step, self.epoch_steps, self.steps_since = (
            self.step + steps, self.epoch_steps + steps, self.steps_since + steps
        )  # fmt: skip
        if self.step // self.every > (self.step - steps) // self.every:
            self._append({**self._windows(logs or {}), **self._learning_rate(), **self._rates()})

    def on_epoch_end(self, epoch, logs=None):
        self._append(logs or {})
        self.since, self.steps_since = time.perf_counter(), 0

    def on_train_end(self, logs=None):
        self.seconds, self.began, self._resumed = self._elapsed(), time.perf_counter(), False

    def _elapsed(self) -> float:
        return self.seconds + time.perf_counter() - self.began

    def _windows(self, logs) -> dict:
        """The logs, with running means over n steps turned into means over the n - m since the last row.

        mean_n = mean_m + (mean - mean_m) (n - m) / n: exact where all steps weigh the same; a window that
        weighs one per cent more than the others lies one per cent further from `mean_m` than it should.
        """
        n, m, means = self.epoch_steps, self.window["steps"], self.window["means"]
        running = {name: float(logs[name]) for name in self.windowed if name in logs}
        since = {
            name: means[name] + (mean - means[name]) * n / (n - m) if name in means else mean
            for name, mean in running.items()
        }
        self.window = {"steps": n, "means": running}
        return {**logs, **since}

    def _learning_rate(self) -> dict:
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        return {} if rate is None else {"learning_rate": float(rate)}

    def _rates(self) -> dict:
        now = time.perf_counter()
        rate = self.steps_since * self.batch_size / max(now - self.since, 1e-9)
        self.since, self.steps_since = now, 0
        rates = {"examples_per_second": round(rate, 2)}
        if self.tokens_per_example is not None:
            rates["tokens_per_second"] = round(rate * self.tokens_per_example, 1)
        if self.flops_per_example is not None:
            rates["gflop_per_second"] = round(rate * self.flops_per_example / 1e9, 2)
        return rates

    def _append(self, values):
        row = {"step": self.step, "epoch": self.epoch, "examples": round(self.step * self.batch_size)}
        if self.tokens_per_example is not None:
            row["tokens"] = round(self.step * self.batch_size * self.tokens_per_example)
        row["seconds"] = round(self._elapsed(), 3)
        numbers = {name: float(value) for name, value in values.items()}
        row |= {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        if self.path is not None:
            if not self._begun:
                self._begin_file()
            # Opened for each row: someone may be looking at it, and a run that fails leaves nothing open.
            with output_errors(self.path), self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        self.rows.append(row)

    def _begin_file(self):
        """Makes the file hold the rows so far and nothing else."""
        if self.path is not None:
            with atomic_file(self.path) as stage:
                stage.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")
            self._begun = True


def executed_steps(first: int, last: int, params: dict | None) -> int:
    """Steps of one execution, of which `on_train_batch_end` tells the last only.

    Keras names the last step of a full execution even where the epoch ends before it.

    Args:
        first: int. The batch that `on_train_batch_begin` named.
        last: int. The batch that `on_train_batch_end` named.
        params: dict. The callback's; `steps` is None where the length of an epoch is not known.
    """
    steps = (params or {}).get("steps")
    return (last if steps is None else min(last, steps - 1)) - first + 1


def read_rows(path) -> list[dict]:
    """The rows of a `metrics.jsonl`; lines that are none, as a power cut leaves them, are passed over.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(
            f"The file cannot be read: {error.strerror or error}", where=str(path),
            expected="the metrics.jsonl of a run",
        ) from error  # fmt: skip
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows
