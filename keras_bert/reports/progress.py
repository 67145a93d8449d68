"""A progress bar with rates and time left, over all steps of a run."""

import sys
import time

import keras

from keras_bert.training.metrics_log import executed_steps


class Progress(keras.callbacks.Callback):
    """Shows step, loss, masked-LM accuracy where there is one, rates and time left.

    On a terminal it is a bar; elsewhere, such as in a log file, one line for every tenth of the run. A run
    that is resumed (`set_state`) begins in the middle; rates and time left are those of this process.

    Args:
        steps: int. Steps of the whole run.
        epochs: int or None. None where Keras' epochs mean nothing to a reader: they are not shown.
        batch_size: float. Examples a step.
        tokens_per_example: float or None. Known, tokens a second are shown.
        stream: text file. Standard error by default, so that results can be piped.
    """

    def __init__(self, steps, epochs, batch_size, tokens_per_example=None, stream=None):
        super().__init__()
        self.steps, self.epochs, self.batch_size = steps, epochs, batch_size
        self.tokens_per_example = tokens_per_example
        self.stream = stream if stream is not None else sys.stderr
        self.step, self.epoch, self.bar = 0, 1, None
        self.first_step, self._first = 0, 0

    def get_state(self) -> dict:
        """Where the run is."""
        return {"step": self.step}

    def set_state(self, state: dict):
        """Goes on from there."""
        self.step = self.first_step = state["step"]
        self.started = time.perf_counter()
        if self.bar is not None:
            self.bar.update(self.bar_task, completed=self.step)

    def on_train_begin(self, logs=None):
        self.started, self.first_step = time.perf_counter(), self.step
        if self.stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self.bar = Bar(*columns, TextColumn("{task.fields[detail]}"), console=Console(file=self.stream))
            self.bar_task = self.bar.add_task(self._where(), total=self.steps, completed=self.step, detail="")
            self.bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_begin(self, batch, logs=None):
        self._first = batch

    def on_train_batch_end(self, batch, logs=None):
        before = self.step
        self.step += executed_steps(self._first, batch, self.params)
        detail = self._detail(logs or {})
        if self.bar is not None:
            self.bar.update(self.bar_task, completed=self.step, description=self._where(), detail=detail)
        elif (self.step * 10 // self.steps) > (before * 10 // self.steps):
            where = "  ".join(part for part in (self._where(), f"step {self.step}/{self.steps}") if part)
            print(f"{where}  {detail}", file=self.stream, flush=True)

    def _where(self) -> str:
        return "" if self.epochs is None else f"epoch {self.epoch}/{self.epochs}"

    def _detail(self, logs) -> str:
        elapsed = max(time.perf_counter() - self.started, 1e-9)
        done = self.step - self.first_step
        rate = done * self.batch_size / elapsed
        parts = [f"loss {logs.get('loss', float('nan')):.4f}"]
        if "mlm_accuracy" in logs:
            parts.append(f"masked-LM accuracy {logs['mlm_accuracy']:.4f}")
        parts.append(f"{_rate(rate)} examples/s")
        if self.tokens_per_example is not None:
            parts.append(f"{_rate(rate * self.tokens_per_example)} tokens/s")
        left = elapsed / max(done, 1) * max(self.steps - self.step, 0)
        return "  ".join([*parts, f"{duration(left)} left"])

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Takes the bar off the screen; also after an error."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def say(line: str):
    """Tells the user a line, on standard error, so that results can be piped."""
    print(line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """42 -> "42 s", 840 -> "14 min", 11000 -> "3 h 3 min", 300000 -> "3 d 11 h"."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
