"""Trains one small pretraining model under a strategy, from the same weights on the same global batches.

    python tests/training/replica_runs.py OUT.npz --replicas=2 --cases=adamw-1,lamb-2-keyed --steps=100
    python tests/training/replica_runs.py OUT.npz --replicas=workers --cases=...     # starts itself, twice

A case is OPTIMIZER-ACCUMULATION[-keyed][-ema][-bf16]. Written are, for every case, the weights after 1 step
and after all, and the logged losses. Batches have 16 rows with unequal numbers of masked slots; the last
of every pass has 5, so that of four replicas one has none. Clipping is on and clips.
"""

import argparse
import json
import os
import subprocess
import sys

import numpy as np
from local_workers import environments

ROWS, BATCH, LENGTH, SLOTS, PIECES = 69, 16, 12, 4, 60


def examples():
    """Features of `ROWS` examples; the number of used slots goes from 0 to 4."""
    rng = np.random.default_rng(7)
    used = np.arange(ROWS)[:, None] * 7 % 23 % 5 > np.arange(SLOTS)  # (B, M)
    lengths = rng.integers(5, LENGTH + 1, (ROWS, 1))
    return {
        "token_ids": rng.integers(5, PIECES, (ROWS, LENGTH)).astype("int32"),
        "segment_ids": (np.arange(LENGTH) > 4).astype("int32") * np.ones((ROWS, 1), "int32"),
        "padding_mask": (np.arange(LENGTH) < lengths).astype("int32"),
        "mask_positions": np.where(used, rng.integers(1, 5, (ROWS, SLOTS)), 0).astype("int32"),
        "mask_ids": np.where(used, rng.integers(5, PIECES, (ROWS, SLOTS)), 0).astype("int32"),
        "mask_weights": used.astype("float32"),
        "next_sentence_label": rng.integers(0, 2, ROWS).astype("int32"),
        "record_indices": np.arange(ROWS, dtype="int64") + 1000,
    }


def model_of(dropout, dtype):
    import keras

    import keras_bert as kb
    from keras_bert.tasks.pretraining import Pretraining

    keras.utils.set_random_seed(11)
    config = kb.BertConfig(
        PIECES, 2, 2, 16, 32, max_sequence_length=LENGTH, initializer_range=0.2, dropout=dropout,
        attention_dropout=dropout,
    )  # fmt: skip
    task = Pretraining(max_length=LENGTH)
    return task, task.head(kb.bert_encoder(config, dtype=dtype), config)


def optimizer_of(name, ema):
    import keras_bert as kb
    from keras_bert.training.lamb import Lamb

    # The first gradients of this model have a norm of about 4.
    settings = {"global_clipnorm": 0.5, "use_ema": ema, "ema_momentum": 0.9}
    if name == "lamb":
        return Lamb(1e-3, epsilon=1e-6, **settings)
    if name == "sgd":
        import keras

        return keras.optimizers.SGD(1.0, **settings)
    return kb.AdamW(1e-4, epsilon=1e-6, **settings)


def train(strategy, case, steps):
    """({name: weights after 1 step}, {name: weights after all}, losses of every step)."""
    import contextlib

    import keras
    import tensorflow as tf

    optimizer, accumulation, *extra = case.split("-")
    with strategy.scope() if strategy else contextlib.nullcontext():
        task, model = model_of(
            0.1 if "keyed" in extra else 0.0, "mixed_bfloat16" if "bf16" in extra else "float32"
        )
    model.compile(
        optimizer_of(optimizer, "ema" in extra),
        accumulation_steps=int(accumulation),
        dropout_by_record="keyed" in extra,
    )
    dataset = tf.data.Dataset.from_tensor_slices(examples()).batch(BATCH).map(task.batch).repeat()
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    snapshots, logged = [], []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            logged.append([float(np.reshape(logs[name], ())) for name in sorted(logs)])
            if batch == 0:
                snapshots.append({v.path: v.numpy() for v in model.trainable_variables})

    model.fit(dataset.with_options(options), steps_per_epoch=steps, epochs=1, verbose=0, callbacks=[Watch()])
    return snapshots[0], {v.path: v.numpy() for v in model.trainable_variables}, np.array(logged)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--replicas", default="1", help="1, 2, 4, workers; 0: no strategy")
    parser.add_argument("--cases", default="adamw-1")
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    if given.replicas == "workers" and "TF_CONFIG" not in os.environ:
        return start_workers()
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
    # One strategy in a process: TensorFlow mixes up groups of several sizes.
    if given.replicas == "workers":
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    elif given.replicas == "0":
        strategy = None
    else:
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(int(given.replicas))])
    results = {}
    for case in given.cases.split(","):
        first, last, losses = train(strategy, case, given.steps)
        for step, weights in (("first", first), ("last", last)):
            results |= {f"{case}|{given.replicas}|{step}|{path}": array for path, array in weights.items()}
        results[f"{case}|{given.replicas}|losses"] = losses
    task = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {"index": 0})
    if task["index"] == 0:
        np.savez(given.out, **results)
    return 0


def start_workers():
    """Two processes of this script on this machine, as one job."""
    command = [sys.executable, *sys.orig_argv[1:]]
    workers = [subprocess.Popen(command, env={**os.environ, **own}) for own in environments(2)]
    return max(worker.wait() for worker in workers)


if __name__ == "__main__":
    sys.exit(main())
