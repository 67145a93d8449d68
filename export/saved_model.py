"""SavedModels: versions that TensorFlow Serving picks up, with and without the tokeniser.

    OUT/3/          signatures of strings and of ids; needs the operations of tensorflow-text
    OUT-ids/3/      the ids alone, for runtimes that have no tensorflow-text

Beside each graph, `assets.extra/` holds what a client needs to make ids and to read answers: the vocabulary,
the tokeniser's settings, the labels.
"""

import json
import pathlib

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_bert.errors import ExportError
from keras_bert.export import proof, serving
from keras_bert.export.plan import planned
from keras_bert.export.precision import stored_as_computed
from keras_bert.export.proof_file import proof_rows, write_proof
from keras_bert.export.signatures import IDS, Served, names_of
from keras_bert.files.atomic import atomic_folder
from keras_bert.files.locks import folder_lock

TOLERANCE = 1e-5  # the same graph on the same machine; TensorFlow may optimise it differently
# What the checkpoint format adds to the weights themselves.
OVERHEAD_FACTOR, OVERHEAD_BYTES = 1.02, 65536
TEXT_PACKAGES = ("tensorflow_text",)


def write(
    bert, path, *, columns=None, signature_names=None, examples=False, in_graph_batching=False, evaluate=None
) -> dict:
    """Writes the next version of a served model.

    Args:
        bert: `Bert` with a task.
        path: path. The folder of versions OUT; OUT-ids lies beside it.
        columns: sequence of str or None. The columns `serving_default` takes; None means those every row
            must have. A task with optional columns has a second signature, see `signatures`.
        signature_names: str or None. `"huggingface"` or `"google"`: `serving_default` takes ids and answers
            logits by that library's names, see `foreign`; the texts' signature is then named by its columns.
        examples: bool. Also a signature of `tf.Example`s for the server's Classify or Regress.
        in_graph_batching: bool. Requests that come together are joined in the graph itself, for servers that
            do not join them, see `keras_bert.export.batching`; those with lists of texts are not.
        evaluate: function or None. From the `Bert` to the `Evaluation` that every signature is scored on.
    Returns:
        dict, see `keras_bert.export.export`; besides `ids_path` and `ids_bytes`.
    Raises:
        ExportError, OutputError, UsageError: nothing was published.
    """
    out = pathlib.Path(path).absolute()
    ids_out = out.with_name(f"{out.name}-ids")
    bert = stored_as_computed(bert)
    evaluation = None if evaluate is None else evaluate(bert)  # first: a mistake in the rows is said at once
    plan = planned(bert, columns, signature_names, examples, in_graph_batching)
    scored, ids_scored = _scored(evaluation, plan)
    served = Served(plan.functions.values(), bert.answerer.tokenizer)
    with folder_lock(out):
        version = _next_version(out, ids_out)
        # Left in reverse order: the version clients look for appears last.
        with atomic_folder(out / version) as stage, atomic_folder(ids_out / version) as ids_stage:
            ops = _save(bert, served, plan.functions, plan.questions, stage)
            _set_methods(stage, plan.methods)
            ids_served = Served(plan.ids_functions.values())
            _save(bert, ids_served, plan.ids_functions, plan.ids_questions, ids_stage)
            # The one without tensorflow-text before that is imported.
            without_text = proof.Artefact("tf_saved_model", ids_stage, (), plan.ids_questions, ids_scored)
            whole = proof.Artefact("tf_saved_model", stage, TEXT_PACKAGES, plan.questions, scored)
            ids_report, report = proof.prove([without_text, whole], evaluation, tolerance=TOLERANCE)
            report["proof"] = [
                *proof_rows(f"{out.name}/{version}", "tf_saved_model", _bytes(stage), report),
                *proof_rows(f"{ids_out.name}/{version}", "tf_saved_model", _bytes(ids_stage), ids_report),
            ]
            _finish(stage, evaluation, report["proof"])
            _finish(ids_stage, evaluation, report["proof"])
            sizes = {"bytes": _bytes(stage), "weights_bytes": _bytes(stage / "variables")}
            ids_bytes = _bytes(ids_stage)
            names, ids_names = names_of(plan.functions), names_of(plan.ids_functions)
            serving.write_around(out, version, bert.task, names)
            serving.write_around(ids_out, version, bert.task, ids_names)
    return {
        "format": "tf_saved_model",
        "path": str(out / version),
        **sizes,
        "parameters": served.num_parameters,
        **report,
        "signatures": names,
        "ops": ops,
        "ids_path": str(ids_out / version),
        "ids_bytes": ids_bytes,
    }


def _scored(evaluation, plan):
    """What of the user's rows is put to the SavedModel of texts, and to that of ids alone."""
    if evaluation is None:
        return {}, {}
    whole = {"text": evaluation.text_batches(plan.columns), IDS: evaluation.ids_batches(IDS)}
    return whole, {IDS: evaluation.ids_batches(IDS, portable=True)}


def _next_version(*folders) -> str:
    """One more than the highest version in any of the folders."""
    names = [child.name for folder in folders if folder.is_dir() for child in folder.iterdir()]
    return str(1 + max((int(name) for name in names if name.isascii() and name.isdigit()), default=0))


def _save(bert, served, signatures, questions, stage) -> list:
    """Writes one SavedModel and what lies beside it; returns the names of its operations."""
    tf.saved_model.save(served, str(stage), signatures=signatures)
    extra = stage / "assets.extra"
    extra.mkdir()
    bert.tokenizer.save(extra)
    if bert.task.labels is not None:
        labels = json.dumps(list(bert.task.labels), ensure_ascii=False, indent=1)
        (extra / "labels.json").write_text(labels, encoding="utf-8")
    serving.write_requests(stage, questions)
    serving.write_batching(stage, pads_inputs=not bert.task.list_columns)
    stored = _bytes(stage / "variables")
    if stored > OVERHEAD_FACTOR * served.num_bytes + OVERHEAD_BYTES:
        raise ExportError(
            f"The weights are stored more than once: {stored} bytes", where=str(stage),
            expected=f"{served.num_bytes} bytes",
        )  # fmt: skip
    return _checked_ops(stage)


def _finish(stage, evaluation, rows):
    """Writes how it was scored, and the fingerprints of everything."""
    if evaluation is not None:
        extra = stage / "assets.extra"
        write_proof(extra / "proof.json", extra / "proof.txt", evaluation, rows)
    serving.write_manifest(stage)


def _checked_ops(stage) -> list:
    """The operations of a SavedModel; refuses those other runtimes cannot take."""
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((stage / "saved_model.pb").read_bytes())
    graph = proto.meta_graphs[0].graph_def
    functions = graph.library.function
    ops = {node.op for node in graph.node}.union(node.op for f in functions for node in f.node_def)
    compiled = [f.signature.name for f in functions if f.attr["_XlaMustCompile"].b]
    if "Erfc" in ops or compiled:
        raise ExportError(
            "The graph has an Erfc operation" if "Erfc" in ops else f"{compiled[0]} asks for XLA",
            where=str(stage), expected="a graph that every TensorFlow runtime and converter takes",
            remedy="use the layers and activations of keras_bert, without jit_compile",
        )  # fmt: skip
    return sorted(ops)


def _set_methods(stage, methods: dict):
    """Says of signatures that they are for Classify or Regress; TensorFlow writes Predict for all."""
    if not methods:
        return
    file = stage / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for name, method in methods.items():
        saved.meta_graphs[0].signature_def[name].method_name = method
    file.write_bytes(saved.SerializeToString())


def _bytes(folder) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
