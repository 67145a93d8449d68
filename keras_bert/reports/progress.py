"""A progress bar with rate and time left, over all epochs of a run."""

import sys
import time

import keras


class Progress(keras.callbacks.Callback):
    """Shows epoch, loss, examples a second and time left.

    On a terminal it is a bar; elsewhere, such as in a log file, one line for every tenth of the run.

    Args:
        steps: int. Steps of the whole run.
        epochs: int.
        batch_size: int. Examples a step.
        stream: text file. Standard error by default, so that results can be piped.
    """

    def __init__(self, steps, epochs, batch_size, stream=None):
        super().__init__()
        self.steps, self.epochs, self.batch_size = steps, epochs, batch_size
        self.stream = stream if stream is not None else sys.stderr
        self.step, self.epoch, self.bar = 0, 1, None

    def on_train_begin(self, logs=None):
        self.started = time.perf_counter()
        if self.stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self.bar = Bar(*columns, TextColumn("{task.fields[detail]}"), console=Console(file=self.stream))
            self.bar_task = self.bar.add_task("epoch 1", total=self.steps, detail="")
            self.bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        elapsed = time.perf_counter() - self.started
        rate = self.step * self.batch_size / elapsed
        detail = f"loss {(logs or {}).get('loss', float('nan')):.4f}  {rate:.0f} examples/s"
        if self.bar is not None:
            head = f"epoch {self.epoch}/{self.epochs}"
            self.bar.update(self.bar_task, completed=self.step, description=head, detail=detail)
        elif self.step % max(self.steps // 10, 1) == 0:
            left = elapsed / self.step * (self.steps - self.step)
            where = f"epoch {self.epoch}/{self.epochs}  step {self.step}/{self.steps}"
            print(f"{where}  {detail}  {left:.0f} s left", file=self.stream, flush=True)

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Takes the bar off the screen; also after an error."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
