"""Programs in C++ that serve an export without Python: how they are built, asked and understood."""

import importlib.util
import os
import pathlib

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from keras_bert.export import serving


def compiler(source, program) -> list:
    """The command that builds a C++ file against the TensorFlow wheel, which carries all it needs."""
    libraries = tf.sysconfig.get_lib()
    return [
        "g++", "-w", *tf.sysconfig.get_compile_flags(), f"-I{pathlib.Path(__file__).parent}", str(source),
        "-o", str(program), "-l:libtensorflow_cc.so.2", *tf.sysconfig.get_link_flags(),
        f"-Wl,-rpath,{libraries}", "-pthread",
    ]  # fmt: skip


def environment(with_text: bool) -> dict:
    """What the programs are started with; `with_text`: they load the operations of tensorflow-text."""
    libraries = []
    if with_text:
        package = importlib.util.find_spec("tensorflow_text").submodule_search_locations[0]
        libraries = sorted(pathlib.Path(package).glob("python/ops/*.so"))
    return {**os.environ, "OP_LIBRARIES": ":".join(map(str, libraries))}


def write_requests(file, requests):
    """Writes (signature, dict of NumPy arrays by name) as records of `PredictionLog`."""
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, inputs in requests:
            writer.write(serving.prediction_log_of(signature, inputs))


def read_answers(file) -> list:
    """The records of `PredictResponse` in a file, as dicts of NumPy arrays by name."""
    return [
        {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}
        for response in map(
            predict_pb2.PredictResponse.FromString, tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
        )
    ]
