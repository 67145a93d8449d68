"""What stock Keras does under a strategy, without our corrections. Prints one JSON object.

    python tests/training/stock_faults.py            # on two virtual CPUs
    python tests/training/stock_faults.py worker     # as one of two processes, with TF_CONFIG

Each entry is the largest difference between one replica and two, or what was raised. It shows that the
corrections of training/distribution.py are still needed: an entry that turns out well means that one of
them can go.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(10, 3)).astype("float32"), RNG.normal(size=(10, 1)).astype("float32")
UNEQUAL = np.array([1, 0, 0, 0, 1, 1, 1, 1, 0, 1], "float32")  # the halves of a batch weigh 1 and 3


class Noisy(keras.layers.Layer):
    """Gives what its dropout left of ones, so that the masks can be seen."""

    def __init__(self):
        super().__init__()
        self.dropout = keras.layers.Dropout(0.5, seed=1)

    def call(self, inputs, training=None):
        return inputs + self.dropout(tf.ones_like(inputs), training=training)


def batches(size, rows=8, weights=False):
    parts = (X, Y, UNEQUAL) if weights else (X, Y)
    return tf.data.Dataset.from_tensor_slices(parts).take(rows).batch(size)


def trained(strategy, dataset, *, loss=None, **optimizer):
    """Weights and epoch's logs after one epoch."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.5, **optimizer), loss or keras.losses.MeanSquaredError())
    logs = model.fit(dataset, verbose=0, shuffle=False).history
    return np.concatenate([w.numpy().ravel() for w in model.weights]), logs["loss"][0]


def outcome(function) -> str | float:
    try:
        return float(function())
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]


def differs(dataset, which=0, **settings):
    """How far the weights (0) or the logged loss (1) of two replicas are from those of one."""
    one, two = (tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(n)]) for n in (1, 2))
    return outcome(
        lambda: np.abs(
            trained(one, dataset, **settings)[which] - trained(two, dataset, **settings)[which]
        ).max()
    )


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    by_weights = keras.losses.MeanSquaredError(reduction="mean_with_sample_weight")
    found = {
        "even batches": differs(batches(4)),
        "unequal weights": differs(batches(4, weights=True), loss=by_weights),
        "uneven last batch": differs(batches(4, rows=7)),
        "logged loss of unequal weights": differs(batches(4, weights=True), 1, loss=by_weights),
        "uneven first batch": differs(batches(5)),
        "clipping by the norm of all gradients": differs(batches(4), global_clipnorm=0.1),
        "accumulation": differs(batches(4), gradient_accumulation_steps=2),
        "averages of weights": differs(batches(4), use_ema=True),
        "dropout, difference between the replicas": outcome(dropout_of_replicas),
    }
    print(json.dumps(found))


def dropout_of_replicas():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = Noisy()
        layer.build((None, 8))
    step = tf.function(lambda: layer(tf.zeros((4, 8)), training=True))
    first, second = strategy.experimental_local_results(strategy.run(step))
    return np.abs(first.numpy() - second.numpy()).max()


def worker():
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    print(json.dumps({"several workers": outcome(lambda: trained(strategy, batches(2))[1])}))


if __name__ == "__main__":
    worker() if "worker" in sys.argv else main()
