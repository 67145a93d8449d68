"""Where a SavedModel's answer goes: TensorFlow's operations by the milliseconds of one call.

    python tests/benchmarks/answer_profile.py --folder=FOLDER [--rows 1] [--calls 20]

`FOLDER` is what infer.py has made (`WORK/infer_minilm`). Beside the operations: the milliseconds of a call
without the trace, its page faults, and those of the encoder's matrix products of the same shapes alone.
"""

import argparse
import collections
import pathlib
import resource
import tempfile

import numpy as np
import side_by_side


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--calls", type=int, default=20)
    given = parser.parse_args()
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  operations of the SavedModel

    import keras_bert as kb

    loaded = tf.saved_model.load(str(given.folder / "float32" / "1"))
    ids = np.load(given.folder / "rows.npz")["ids"][: given.rows]
    inputs = {"token_ids": ids, "segment_ids": 0 * ids, "length": np.full(len(ids), ids.shape[1], np.int32)}
    inputs = {key: tf.constant(value) for key, value in inputs.items()}

    def answer():
        loaded.signatures["ids"](**inputs)["scores"].numpy()

    milliseconds(answer, given.calls)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    print(f"{milliseconds(answer, given.calls):8.2f} ms a call, untraced")
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    print(f"{faults / given.calls:8.1f} page faults a call")
    products = chain(kb.load(given.folder / "model").config, ids.size)
    milliseconds(products, given.calls)
    print(f"{milliseconds(products, given.calls):8.2f} ms the encoder's products with their biases alone")
    for name, (total, count) in profile(answer, given.calls):
        print(f"{total:8.2f} ms {count:6.1f} {name}")


def milliseconds(run, calls):
    """The median of a call."""
    return 1000 * float(np.median([side_by_side.timed(run, 1) for _ in range(calls)]))


def chain(config, tokens):
    """The products of all blocks, one after the other, as a function without arguments."""
    import tensorflow as tf

    d, f = config.hidden_dim, config.intermediate_dim
    shapes = [(d, 3 * d), (d, d), (d, f), (f, d)] * config.num_layers
    kernels = [tf.Variable(tf.random.normal(shape) * 0.02) for shape in shapes]
    biases = [tf.Variable(tf.zeros(columns)) for _, columns in shapes]
    x = tf.random.normal((tokens, d))

    @tf.function
    def products(y):
        for kernel, bias in zip(kernels, biases, strict=True):
            y = tf.nn.bias_add(tf.matmul(y[:, : kernel.shape[0]], kernel), bias)
        return y

    return lambda: products(x).numpy()


def profile(run, calls):
    """Of all names in the trace: list of (name, (milliseconds a call, times a call)), longest first."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        milliseconds(run, calls)
        tf.profiler.experimental.stop()
        [file] = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    found = collections.defaultdict(lambda: [0.0, 0.0])
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events if "CPU" in plane.name):
            entry = found[plane.event_metadata[event.metadata_id].name.split(":")[-1]]
            entry[0] += event.duration_ps / 1e9 / calls
            entry[1] += 1 / calls
    return sorted(found.items(), key=lambda item: -item[1][0])[:30]


if __name__ == "__main__":
    main()
