"""A small training run that can be stopped anywhere: its model, its data, and what is compared afterwards."""

import contextlib

import keras
import numpy as np

import keras_bert as kb
from keras_bert.training.resume import Resume

STEPS_PER_EPOCH, EPOCHS = 4, 2
STEPS = STEPS_PER_EPOCH * EPOCHS


class Source:
    """Batches without end, three to a pass over the data, each a function of its place."""

    PASS = 3

    def __init__(self):
        self.start = 0

    def seek(self, step, epoch, number):
        self.start = self.PASS * epoch + number
        assert step == self.start

    def position(self, step):
        return divmod(step, self.PASS)

    def dataset(self):
        import tensorflow as tf

        def batches():
            for i in range(self.start, 10**6):
                rng = np.random.default_rng(i)
                yield rng.normal(size=(8, 5)).astype("float32"), rng.integers(0, 2, (8, 1)).astype("float32")

        specs = (tf.TensorSpec((8, 5)), tf.TensorSpec((8, 1)))
        return tf.data.Dataset.from_generator(batches, output_signature=specs)


def small_model(width=6, optimizer=None, dtype="float32", steps_per_execution=1, seed=0):
    """Dropout, AdamW with averages and clipping, metrics that go on through an epoch."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((5,))
    x = keras.layers.Dense(width, activation="tanh", name="dense", dtype=dtype)(inputs)
    x = keras.layers.Dropout(0.5, seed=3)(x)
    model = keras.Model(inputs, keras.layers.Dense(1, name="answer", dtype=dtype)(x))
    if optimizer is None:
        schedule = kb.WarmupLinear(1e-2, total_steps=20, warmup_steps=3)
        optimizer = kb.AdamW(schedule, use_ema=True, ema_momentum=0.9, global_clipnorm=0.5)
    model.compile(
        optimizer, keras.losses.BinaryCrossentropy(from_logits=True),
        weighted_metrics=[keras.metrics.MeanSquaredError(name="error"), keras.metrics.AUC(name="area")],
        steps_per_execution=steps_per_execution,
    )  # fmt: skip
    return model


class Rows(keras.callbacks.Callback):
    """Every log that a callback is shown."""

    def __init__(self, *names):
        super().__init__()
        self.names, self.rows = names or ("loss", "error", "area"), []

    def get_state(self):
        return {"rows": self.rows}

    def set_state(self, state):
        self.rows = [list(row) for row in state["rows"]]

    def on_train_batch_end(self, batch, logs=None):
        self.rows.append(["step", *(float(logs[name]) for name in self.names)])

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append(["epoch", *map(float, logs.values())])


class Stop(keras.callbacks.Callback):
    """Ends the run as a crash does, at a step of the run, before that step is saved."""

    class Crash(Exception):
        pass

    def __init__(self, after):
        super().__init__()
        self.after = after

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations.numpy()) == self.after:
            raise self.Crash


def train(folder, *more, model=None, rows=None, fit=(), **settings):
    """One `fit` of the run with `Resume`; returns (model, rows, resume, history)."""
    model, source = model or small_model(), Source()
    rows = rows or Rows()
    settings = {"every_steps": 1, "callbacks": [rows], **settings}
    resume = Resume(folder, source, **settings)
    arguments = {
        "epochs": EPOCHS,
        "steps_per_epoch": STEPS_PER_EPOCH,
        "verbose": 0,
        "shuffle": False,
        **dict(fit),
    }
    history = model.fit(source.dataset(), callbacks=[rows, *more, resume], **arguments)
    return model, rows, resume, history


def crash(folder, after, **settings):
    """The same, ended by a crash."""
    with contextlib.suppress(Stop.Crash):
        train(folder, Stop(after), **settings)
        raise AssertionError(f"the run ended before step {after}")


def variables(model):
    """Bytes of weights, seeds and the optimizer's variables, in order."""
    return [np.asarray(v.numpy()).tobytes() for v in (*model.variables, *model.optimizer.variables)]
