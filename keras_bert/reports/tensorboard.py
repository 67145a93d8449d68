"""`TensorBoardLog`: the rows of a run as TensorBoard events."""

import os
import pathlib
import platform
import sys
import time

import keras

from keras_bert.corpus.tfrecord import framed
from keras_bert.files.atomic import output_errors

_COUNTS = ("step", "epoch", "examples", "tokens", "seconds")


class TensorBoardLog(keras.callbacks.Callback):
    """Writes what `MetricsLog` notes as scalars, at the step of the run.

    Training goes to FOLDER/train, evaluation to FOLDER/validation under the same names, so that TensorBoard
    draws both into one chart. A resumed run first tells the reader to forget the steps that come again
    (`SessionLog.START`), and none shows twice. Comes after `log` in the list of callbacks.

    Without TensorFlow nothing is written, and a line on standard error says so.

    Args:
        folder: path.
        log: MetricsLog. Its rows are written.
        writes: bool. False in all workers but the chief.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder, log, writes=True):
        super().__init__()
        self.folder, self.log, self.writes = pathlib.Path(folder), log, writes
        self.last = {"train": -1, "validation": -1}  # steps
        self.num_rows, self._paths = 0, {}

    def get_state(self) -> dict:
        """The last steps that were written, and of how many rows."""
        return {"last": dict(self.last), "rows": self.num_rows}

    def set_state(self, state: dict):
        """Goes back to a saved state: later events will be forgotten."""
        self._paths = {}  # what follows goes to new files
        self.last, self.num_rows = dict(state["last"]), state["rows"]

    def on_train_begin(self, logs=None):
        if self.writes and _tensorflow() is None:
            self.writes = False
            print("no TensorBoard events: they need TensorFlow", file=sys.stderr, flush=True)

    def on_train_batch_end(self, batch, logs=None):
        self._write_new_rows()

    def on_epoch_end(self, epoch, logs=None):
        self._write_new_rows()

    def _write_new_rows(self):
        if self.num_rows > len(self.log.rows):  # the log lost rows in a power cut
            self.num_rows = len(self.log.rows)
        rows, self.num_rows = self.log.rows[self.num_rows :], len(self.log.rows)
        if self.writes:
            with output_errors(self.folder):
                for row in rows:
                    self._write(row)

    def _write(self, row):
        """A row of training, or the evaluation at the end of an epoch."""
        values = {name: value for name, value in row.items() if name not in _COUNTS and value is not None}
        if "examples_per_second" in row:
            kind, scalars = "train", values
        else:
            kind = "validation"
            scalars = {name.removeprefix("val_"): v for name, v in values.items() if name.startswith("val_")}
        if scalars:
            event = _tensorflow().compat.v1.Event(wall_time=time.time(), step=row["step"])
            for name, value in scalars.items():
                event.summary.value.add(tag=name, simple_value=value)
            if kind not in self._paths:
                self._begin(kind)
            with self._paths[kind].open("ab") as file:
                file.write(framed([event.SerializeToString()]))
            self.last[kind] = row["step"]

    def _begin(self, kind):
        """Begins a file: what an earlier one of its folder says of later steps is to be forgotten."""
        v1, now = _tensorflow().compat.v1, time.time()
        folder = self.folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        version = v1.Event(wall_time=now, file_version="brain.Event:2")
        start = v1.Event(wall_time=now, step=self.last[kind] + 1)
        start.session_log.status = v1.SessionLog.START
        # TensorBoard reads the files of a folder in the order of their names.
        path = folder / f"events.out.tfevents.{now:017.6f}.{platform.node() or 'host'}.{os.getpid()}"
        path.write_bytes(framed([version.SerializeToString(), start.SerializeToString()]))
        self._paths[kind] = path


def _tensorflow():
    try:
        import tensorflow as tf
    except ImportError:
        return None
    return tf
