"""ONNX files: ids of any number and length in, the numbers of the answer out.

    token_ids, segment_ids int32 (B, T), length int32 (B,)  ->  the answer's tensors, without strings

The signature `ids` of a SavedModel, converted by tf2onnx; the mask is rebuilt inside.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

import tensorflow as tf

from keras_bert.errors import ExportError, MissingExtraError
from keras_bert.export import probes, proof
from keras_bert.export.proof_file import proof_rows, publish_proof
from keras_bert.export.signatures import IDS, Served, names_of
from keras_bert.files.atomic import atomic_file
from keras_bert.files.locks import folder_lock

OPSET = 18
TOLERANCE = 1e-4  # ONNX Runtime sums in another order than TensorFlow
PACKAGES = {"tf2onnx": "converts to ONNX", "onnxruntime": "reads an ONNX file back"}


def write(bert, path, *, evaluate=None) -> dict:
    """Writes an `.onnx` file.

    Args:
        bert: `Bert` with a task.
        path: path. The file; an old one is replaced.
        evaluate: function or None. From the `Bert` to the `Evaluation` that the file is scored on.
    Returns:
        dict, see `keras_bert.export.export`; besides `opset`.
    Raises:
        ExportError, OutputError, UsageError: nothing was published.
        MissingExtraError: tf2onnx or ONNX Runtime is not installed.
    """
    for package, does in PACKAGES.items():
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                f"{package}, which {does}, is not installed",
                where='format="onnx"', remedy='pip install "keras-bert-kit[onnx]"',
            )  # fmt: skip
    path = pathlib.Path(path).absolute()
    evaluation = None if evaluate is None else evaluate(bert)  # first: a mistake in the rows is said at once
    function = _numbers_of_ids(bert)
    served = Served([function])
    scored = {} if evaluation is None else {IDS: evaluation.ids_batches(IDS, portable=True)}
    artefact = proof.Artefact("onnx", path, (), probes.ids_questions(bert, IDS, portable=True), scored)
    artefact = artefact.answering(function.structured_outputs)
    with folder_lock(path), atomic_file(path) as stage:
        _convert(served, function, stage)
        artefact.path = stage
        [report] = proof.prove([artefact], evaluation, tolerance=TOLERANCE)
        size = stage.stat().st_size
        report["proof"] = proof_rows(path.name, "onnx", size, report)
        if evaluation is not None:
            publish_proof(path, evaluation, report["proof"])
    return {
        "format": "onnx",
        "path": str(path),
        "bytes": size,
        "parameters": served.num_parameters,
        **report,
        "signatures": names_of({IDS: function}),
        "opset": OPSET,
    }


def _numbers_of_ids(bert):
    """The concrete function of `ids` without the strings of its answer."""

    def answer(**ids):
        return {name: t for name, t in bert.portable_answerer.ids(**ids).items() if t.dtype != tf.string}

    return tf.function(answer, autograph=False).get_concrete_function(**bert.portable_answerer.id_specs())


def _convert(served, function, stage):
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(served, folder, signatures={IDS: function})
        # In a process of its own: it sets TensorFlow's switches, and takes several times the model's memory.
        command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", folder, "--signature_def", IDS]
        done = subprocess.run(
            [*command, "--tag", "serve", "--opset", str(OPSET), "--output", str(stage)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True, text=True, errors="replace", timeout=proof.TIMEOUT_SECONDS,
        )  # fmt: skip
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:500]
        raise ExportError(
            f"tf2onnx cannot convert the model: {said}", where="onnx", expected="operations that ONNX has"
        )
