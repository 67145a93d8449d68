"""Fine-tuning with `model.fit`: the schedule from the number of steps, and what is watched meanwhile."""

import math
import time

import keras

from keras_bert.errors import TrainingError
from keras_bert.training.optimizer import AdamW
from keras_bert.training.schedule import WarmupLinear


def fit(
    model,
    train,
    validation=None,
    *,
    epochs=3,
    learning_rate=5e-5,
    warmup_proportion=0.1,
    warmup_steps=None,
    weight_decay=0.01,
    callbacks=(),
):
    """Compiles and fits a model as BERT is fine-tuned: AdamW, warm-up, linear decay to 0, clipping at norm 1.

    Args:
        model: `BertModel`, whose defaults are the loss and the metrics.
        train: `tf.data.Dataset` of known cardinality.
        validation: `tf.data.Dataset` or None. Evaluated after every epoch.
        epochs: int.
        learning_rate: float. The highest rate.
        warmup_proportion: float. Share of all steps in which the rate rises from 0.
        warmup_steps: int or None. The same as a count; goes before the proportion.
        weight_decay: float.
        callbacks: sequence of `keras.callbacks.Callback`.
    Returns:
        `keras.callbacks.History`.
    Raises:
        TrainingError: the loss is no longer finite.
    """
    total_steps = epochs * int(train.cardinality())
    if warmup_steps is None:
        warmup_steps = round(total_steps * warmup_proportion)
    schedule = WarmupLinear(learning_rate, total_steps, min(warmup_steps, total_steps))
    model.compile(optimizer=AdamW(schedule, weight_decay=weight_decay))
    watch = [StopWhenNotFinite(), *callbacks]
    return model.fit(
        train, validation_data=validation, epochs=epochs, callbacks=watch, verbose=0, shuffle=False
    )


class StopWhenNotFinite(keras.callbacks.Callback):
    """Ends training at the first step whose loss is NaN or infinite, before it costs an epoch."""

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss is {loss} at batch {batch + 1}", expected="a finite loss",
                remedy="lower --learning_rate, or lengthen the warm-up; a model trained so far is not saved",
            )  # fmt: skip


class MetricsLog(keras.callbacks.Callback):
    """Keeps the course of a run as rows, for `metrics.jsonl` and the plot.

    Args:
        batch_size: int. Examples a step.
        every: int. Steps between two rows.

    Attributes:
        rows: list of dict: step, epoch, examples_per_second and Keras' logs; rows with `val_` entries end
            an epoch.
    """

    def __init__(self, batch_size=32, every=10):
        super().__init__()
        self.batch_size, self.every = batch_size, every
        self.rows, self.step, self.epoch = [], 0, 0

    def on_train_begin(self, logs=None):
        self.since, self.steps_since = time.perf_counter(), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        self.steps_since += 1
        if self.step % self.every == 0:
            now = time.perf_counter()
            rate = self.steps_since * self.batch_size / (now - self.since)
            self.since, self.steps_since = now, 0
            self._append({**(logs or {}), "examples_per_second": round(rate, 2)})

    def on_epoch_end(self, epoch, logs=None):
        self._append(logs or {})
        self.since, self.steps_since = time.perf_counter(), 0

    def _append(self, values):
        numbers = {name: float(value) for name, value in values.items()}
        self.rows.append({"step": self.step, "epoch": self.epoch, **numbers})
