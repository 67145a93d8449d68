"""Two replicas in one process, stopped in an epoch and resumed; prints "equal" if all is bit-equal.

A process of its own, for TensorFlow splits a CPU into devices only before it starts.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import tensorflow as tf
from kill_and_resume_training import Records, pretraining_model
from small_run import Rows, Stop, variables

from keras_bert.training.resume import Resume


def run(folder, *more):
    cpu = tf.config.list_logical_devices("CPU")
    strategy = tf.distribute.MirroredStrategy([device.name for device in cpu])
    with strategy.scope():
        task, model = pretraining_model()
    source, rows = Records(task), Rows("loss")
    resume = Resume(folder, source, every_steps=1, callbacks=[rows])
    try:
        model.fit(source.dataset(), steps_per_epoch=5, epochs=2, verbose=0, callbacks=[rows, *more, resume])
    except Stop.Crash:
        return None
    return rows.rows, variables(model)


def main():
    folder = Path(sys.argv[1])
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    whole = run(folder / "whole")
    assert run(folder / "run", Stop(4)) is None
    print("equal" if run(folder / "run") == whole else "different")


if __name__ == "__main__":
    main()
