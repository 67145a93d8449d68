"""Runs exported models in a fresh process: `python -P readback.py questions.json answers.json`.

Nothing of keras_bert is imported here, so that an answer proves the written files and nothing else. The
questions are a list of artefacts, read one after the other:

    {"kind": "tf_saved_model", "path": ..., "packages": [...], "questions": [{"signature", "inputs"}, ...]}

`packages` are imported before the artefact is read, for the operations they bring; an artefact that needs
none comes first and is thereby shown to need none. The first question is asked again to measure the time.
"""

import importlib
import json
import statistics
import sys
import time

TIMED_RUNS = 10


def to_json(array) -> dict:
    """A NumPy array as JSON values: exact for float32, and for strings of any bytes."""
    values = array.ravel().tolist()
    dtype = "bytes" if array.dtype.kind in "OS" else array.dtype.name
    if dtype == "bytes":
        values = [bytes(value).decode("latin-1") for value in values]
    return {"dtype": dtype, "shape": list(array.shape), "values": values}


def from_json(tensor: dict):
    """The NumPy array that `to_json` was given; strings become an object array of bytes."""
    import numpy as np

    values, dtype = tensor["values"], tensor["dtype"]
    if dtype == "bytes":
        values, dtype = [value.encode("latin-1") for value in values], object
    array = np.empty(len(values), dtype)
    array[:] = values
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


def open_tflite(path: str) -> dict:
    """The signatures of a TFLite file: name -> function of NumPy arrays."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=2)

    def runner(signature):
        return lambda inputs: signature(**inputs)

    names = interpreter.get_signature_list()
    return {"model": interpreter, "runners": {n: runner(interpreter.get_signature_runner(n)) for n in names}}


OPENERS = {"tf_saved_model": open_saved_model, "tflite": open_tflite}


def answer(artefact: dict) -> dict:
    """What one artefact answers: {answers, signatures, load_seconds, latency_ms}."""
    import numpy as np

    for package in artefact["packages"]:
        importlib.import_module(package)
    started = time.perf_counter()
    opened = OPENERS[artefact["kind"]](artefact["path"])
    load_seconds = time.perf_counter() - started
    asked = [
        (opened["runners"][question["signature"]], {n: from_json(t) for n, t in question["inputs"].items()})
        for question in artefact["questions"]
    ]
    answers = []
    for run, inputs in asked:
        answers.append({name: to_json(np.asarray(tensor)) for name, tensor in run(inputs).items()})
    run, inputs = asked[0]
    times = []
    for _ in range(TIMED_RUNS):
        started = time.perf_counter()
        for tensor in run(inputs).values():
            np.asarray(tensor)
        times.append(time.perf_counter() - started)
    return {
        "answers": answers,
        "load_seconds": load_seconds,
        "latency_ms": 1000 * statistics.median(times),
    }


def main(questions_file: str, answers_file: str):
    with open(questions_file, encoding="utf-8") as file:
        artefacts = json.load(file)
    # TensorFlow's own import is no part of the time a model takes to load.
    if any(artefact["kind"] == "tf_saved_model" for artefact in artefacts):
        importlib.import_module("tensorflow")
    answers = [answer(artefact) for artefact in artefacts]
    with open(answers_file, "w", encoding="utf-8") as file:
        json.dump(answers, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
