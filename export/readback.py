"""Runs exported models in a fresh process: `python -P readback.py questions.json answers.json`.

Nothing of keras_bert is imported here, so that an answer proves the written files and nothing else. The
questions are a list of artefacts, read one after the other:

    {"kind": "tf_saved_model", "path": ..., "packages": [...],
     "questions": [{"signature", "inputs", "given"}, ...]}

`packages` are imported before the artefact is read, for the operations they bring; an artefact that needs
none comes first and is thereby shown to need none. To measure the time, single rows of the questions that
the user gave are asked again; where there is none, the first question.
"""

import base64
import functools
import importlib
import json
import os
import statistics
import sys
import time

TIMED_RUNS, TIMED_ROWS = 10, 200
WARM_UP = "assets.extra/tf_serving_warmup_requests"


def to_json(array) -> dict:
    """A NumPy array as JSON values: exact for every number, and for strings of any bytes."""
    if array.dtype.kind in "OS":
        values = [bytes(value).decode("latin-1") for value in array.ravel().tolist()]
        return {"dtype": "bytes", "shape": list(array.shape), "values": values}
    data = base64.b64encode(array.tobytes()).decode("ascii")
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": data}


def from_json(tensor: dict):
    """The NumPy array that `to_json` was given; strings become an object array of bytes."""
    import numpy as np

    if tensor["dtype"] != "bytes":
        data = base64.b64decode(tensor["data"])
        return np.frombuffer(data, tensor["dtype"]).reshape(tensor["shape"]).copy()
    array = np.empty(len(tensor["values"]), object)
    array[:] = [value.encode("latin-1") for value in tensor["values"]]
    return array.reshape(tensor["shape"])


def open_saved_model(path: str) -> dict:
    """The signatures of a SavedModel: name -> function of NumPy arrays."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)

    def runner(signature):
        def run(inputs):
            # Object arrays of bytes become string tensors.
            return signature(**{name: tf.constant(array) for name, array in inputs.items()})

        return run

    runners = {name: runner(signature) for name, signature in loaded.signatures.items()}
    return {"model": loaded, "runners": runners}  # a signature does not keep its model alive


@functools.cache
def prediction_log():
    """TensorFlow Serving's message `PredictionLog`, as much of it as holds a request to Predict.

    Its own protos need a further package; on the wire these are the same. A map is a list of its entries
    there, and a tensor the bytes of its message.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="warm_up.proto", package="warm_up", syntax="proto3")
    for name, fields in {
        "ModelSpec": [("name", 1, "string"), ("signature_name", 3, "string")],
        "Input": [("key", 1, "string"), ("value", 2, "bytes")],
        "PredictRequest": [("model_spec", 1, "ModelSpec"), ("inputs", 2, "Input")],
        "PredictLog": [("request", 1, "PredictRequest")],
        "PredictionLog": [("predict_log", 6, "PredictLog")],
    }.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            added = message.field.add(name=field, number=number)
            added.label = added.LABEL_REPEATED if kind == "Input" else added.LABEL_OPTIONAL
            plain = {"string": added.TYPE_STRING, "bytes": added.TYPE_BYTES}
            added.type = plain.get(kind, added.TYPE_MESSAGE)
            if kind not in plain:
                added.type_name = f".warm_up.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("warm_up.PredictionLog"))


def replay(path: str, signatures: dict):
    """Sends the warm-up requests of an artefact, if it has some, as the server does when it loads it."""
    file = os.path.join(path, WARM_UP)
    if not os.path.exists(file):
        return
    import tensorflow as tf

    message = prediction_log()
    for record in tf.data.TFRecordDataset(file).as_numpy_iterator():
        request = message.FromString(record).predict_log.request
        inputs = {
            entry.key: tf.make_ndarray(tf.make_tensor_proto(0).FromString(entry.value))
            for entry in request.inputs
        }
        signatures[request.model_spec.signature_name](inputs)


def open_tflite(path: str) -> dict:
    """The signatures of a TFLite file: name -> function of NumPy arrays."""
    from ai_edge_litert.interpreter import Interpreter, InterpreterWithCustomOps

    registrar = sys.modules.get("tensorflow_text.core.pybinds.tflite_registrar")  # where the file needs it
    if registrar is None:
        interpreter = Interpreter(model_path=path, num_threads=2)
    else:
        interpreter = InterpreterWithCustomOps(
            custom_op_registerers=registrar.SELECT_TFTEXT_OPS, model_path=path, num_threads=2
        )

    def runner(signature):
        return lambda inputs: signature(**inputs)

    names = interpreter.get_signature_list()
    return {"model": interpreter, "runners": {n: runner(interpreter.get_signature_runner(n)) for n in names}}


def open_onnx(path: str) -> dict:
    """The one signature of an ONNX file: "ids" -> function of NumPy arrays."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs):
        return dict(zip(names, session.run(names, inputs), strict=True))

    return {"model": session, "runners": {"ids": run}}


OPENERS = {"tf_saved_model": open_saved_model, "tflite": open_tflite, "onnx": open_onnx}


def answer(artefact: dict) -> dict:
    """What one artefact answers: {answers, seconds, load_seconds, first_answer_ms, latency_ms,
    latency_p99_ms, peak_memory_bytes}.

    `seconds` are those that each question took; the memory is what loading it and the first answer took at
    their highest, None where the system does not say.
    """
    for package in artefact["packages"]:
        importlib.import_module(package)
    memory = resident_bytes("VmRSS")
    forget_peak()
    started = time.perf_counter()
    opened = OPENERS[artefact["kind"]](artefact["path"])
    load_seconds = time.perf_counter() - started
    replay(artefact["path"], opened["runners"])
    asked = [
        (opened["runners"][question["signature"]], {n: from_json(t) for n, t in question["inputs"].items()})
        for question in artefact["questions"]
    ]
    answers, seconds, peak = [], [], None
    for run, inputs in asked:
        arrays, took = timed(run, inputs)
        answers.append({name: to_json(array) for name, array in arrays.items()})
        seconds.append(took)
        if peak is None:
            peak = resident_bytes("VmHWM")
    given = [one for one, question in zip(asked, artefact["questions"], strict=True) if question["given"]]
    times = sorted(1000 * timed(run, inputs)[1] for run, inputs in single(given) or asked[:1] * TIMED_RUNS)
    return {
        "answers": answers,
        "seconds": seconds,
        "load_seconds": load_seconds,
        "first_answer_ms": 1000 * seconds[0],
        "peak_memory_bytes": peak - memory if peak and memory else None,
        "latency_ms": statistics.median(times),
        "latency_p99_ms": times[min(len(times) - 1, round(0.99 * len(times)))],
    }


def resident_bytes(kind: str):
    """Memory that this process holds (VmRSS), or held at most (VmHWM); None where Linux does not say."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith(f"{kind}:"))
    except (OSError, StopIteration):
        return None


def forget_peak():
    """Lets the highest memory be counted from now on, where Linux allows it."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass


def timed(run, inputs):
    """(the arrays of an answer, the seconds it took)."""
    import numpy as np

    started = time.perf_counter()
    arrays = {name: np.asarray(tensor) for name, tensor in run(inputs).items()}
    return arrays, time.perf_counter() - started


def single(asked) -> list:
    """The questions' rows one by one, of `TIMED_ROWS` of them, taken evenly."""
    rows = [
        (run, {name: array[i : i + 1] for name, array in inputs.items()})
        for run, inputs in asked
        for i in range(len(next(iter(inputs.values()))))
    ]
    return rows[:: max(1, len(rows) // TIMED_ROWS)]


def main(questions_file: str, answers_file: str):
    with open(questions_file, encoding="utf-8") as file:
        artefacts = json.load(file)
    # Keras, which comes with TensorFlow, takes these along where they are: a third of the time to start.
    for package in ("matplotlib", "pandas"):
        sys.modules.setdefault(package)
    # TensorFlow's own import is no part of the time a model takes to load.
    if any(artefact["kind"] == "tf_saved_model" for artefact in artefacts):
        importlib.import_module("tensorflow")
    answers = [answer(artefact) for artefact in artefacts]
    with open(answers_file, "w", encoding="utf-8") as file:
        json.dump(answers, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
