"""TFLite files: one padded sequence of ids in, the numbers of the answer out.

    token_ids, segment_ids, padding_mask int32 (1, L)  ->  the answer's tensors, without strings

The shape is static, as LiteRT.js and MediaPipe need it, and only built-in operations occur, so that every
TFLite runtime can run the file. Strings, such as the name of a class, are left to the application.
"""

import collections
import importlib.util
import pathlib
import tempfile

import tensorflow as tf

from keras_bert.errors import ExportError, MissingExtraError, UsageError
from keras_bert.export import probes, proof
from keras_bert.export.proof_file import proof_rows, write_proof
from keras_bert.export.signatures import DEFAULT, Served, names_of, static_signature
from keras_bert.files.atomic import atomic_file
from keras_bert.files.chatter import hidden_chatter
from keras_bert.files.locks import folder_lock

QUANTIZE = ("dynamic_int8", "float16", "float32")
MIN_LENGTH = 5  # [CLS] a [SEP] b [SEP]
# XNNPACK sums in another order than TensorFlow.
TOLERANCE = 1e-4
# Of rows that are no near ties (`proof.NEAR_TIE`). Weights of 8 bits move scores by a few hundredths, so that
# such rows agree; an activation in 8 bits destroyed by the mask, the usual fault, agrees in 80 of 100.
MIN_AGREEMENT = 0.9


def write(bert, path, *, quantize="dynamic_int8", length=None, evaluate=None) -> dict:
    """Writes a `.tflite` file.

    Args:
        bert: `Bert` with a task.
        path: path. The file; an old one is replaced.
        quantize: str. `"dynamic_int8"`: weights of 8 bits, a quarter of the size and several times as fast;
            `"float16"`: half the size, computed in float32 on CPUs; or `"float32"`.
        length: int, sequence of int, or None. The fixed length L; None means the task's `max_length`. Of
            several each has a signature, such as `length_32`, beside `serving_default` of the longest: the
            weights are there once, and an application asks the shortest that holds its text.
        evaluate: function or None. From the `Bert` to the `Evaluation` that the file is scored on.
    Returns:
        dict, see `keras_bert.export.export`; besides `length`, `quantize`, `labels` and `op_counts`.
    Raises:
        ExportError, OutputError, UsageError: nothing was published.
        MissingExtraError: ai-edge-litert, which reads the file back, is not installed.
    """
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise MissingExtraError(
            "ai-edge-litert is not installed, without which a .tflite file cannot be read back",
            where='format="tflite"', remedy='pip install "keras-bert-kit[tflite]"',
        )  # fmt: skip
    if quantize not in QUANTIZE:
        raise UsageError(
            f"There is no {quantize!r}", where="quantize", expected=f"one of {', '.join(QUANTIZE)}"
        )
    names = _signature_names(bert, length)
    path = pathlib.Path(path).absolute()
    bert = _in_float32(bert)
    evaluation = None if evaluate is None else evaluate(bert)  # first: a mistake in the rows is said at once
    questions = [q for length, name in names.items() for q in probes.static_questions(bert, name, length)]
    scored = {} if evaluation is None else {"ids": evaluation.static_batches(names)}
    limits = {"tolerance": TOLERANCE} if quantize == "float32" else {"min_agreement": MIN_AGREEMENT}
    functions = {name: static_signature(bert, length) for length, name in names.items()}
    with folder_lock(path), atomic_file(path) as stage:
        served = Served(functions.values())
        stage.write_bytes(_convert(served, functions, quantize))
        ops, weights_bytes = _contents(stage)
        artefact = proof.Artefact("tflite", stage, (), questions, scored)
        [report] = proof.prove([artefact], evaluation, **limits)
        size = stage.stat().st_size
        report["proof"] = proof_rows(path.name, f"tflite {quantize}", size, report)
        if evaluation is not None:
            _publish_proof(path, evaluation, report["proof"])
    return {
        "format": "tflite",
        "path": str(path),
        "bytes": size,
        "weights_bytes": weights_bytes,
        "parameters": served.num_parameters,
        **report,
        "signatures": names_of(functions),
        "ops": sorted(ops),
        "op_counts": dict(sorted(ops.items())),
        "lengths": {name: length for length, name in names.items()},
        "quantize": quantize,
        "labels": list(bert.task.labels) if bert.task.labels is not None else None,
    }


def _signature_names(bert, length) -> dict:
    """The signature of each length, the longest first."""
    limit = bert.config.max_sequence_length
    lengths = [bert.task.max_length] if length is None else length
    lengths = list(lengths) if isinstance(lengths, list | tuple) else [lengths]
    for one in lengths or [None]:
        if isinstance(one, bool) or not isinstance(one, int) or not MIN_LENGTH <= one <= limit:
            raise UsageError(
                f"The length is {one!r}", where="length", expected=f"an integer from {MIN_LENGTH} to {limit}"
            )
    longest, *others = sorted(set(lengths), reverse=True)
    return {longest: DEFAULT, **{one: f"length_{one}" for one in others}}


def _in_float32(bert):
    """The same weights in a model that computes in float32; TFLite has no bfloat16."""
    if all(layer.compute_dtype == "float32" for layer in bert.model.layers):
        return bert
    twin = type(bert)(bert.config, bert.tokenizer, bert.task, dtype="float32")
    for ours, theirs in zip(twin.model.weights, bert.model.weights, strict=True):
        ours.assign(theirs)
    return twin


def _convert(served, functions, quantize) -> bytes:
    """The flatbuffer of concrete functions by signature name."""
    with tempfile.TemporaryDirectory() as folder:
        # Through a SavedModel: a concrete function of a Keras model converts without its weights, silently.
        tf.saved_model.save(served, folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            with hidden_chatter():
                return converter.convert()
        except Exception as error:  # the converter has errors of its own, without a common base
            raise ExportError(
                f"TFLite cannot convert the model: {str(error).strip()[:500]}", where="tflite",
                expected="operations that TFLite has built in",
            ) from error  # fmt: skip


def _contents(file: pathlib.Path):
    """(Counter of the operations, bytes of the weights) of a flatbuffer; refuses what is not built in."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(file.read_bytes(), 0)
    names = {
        number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")
    }
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    # Codes below 127 are also, and in old files only, in the deprecated field.
    codes = [
        (names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())], code.CustomCode()) for code in codes
    ]
    custom = [str(name) for builtin, name in codes if builtin == "CUSTOM"]
    if custom:
        raise ExportError(
            f"The file needs operations that TFLite does not have built in: {', '.join(custom)}",
            where=str(file), expected="built-in operations only",
        )  # fmt: skip
    ops = collections.Counter()
    for graph in (model.Subgraphs(i) for i in range(model.SubgraphsLength())):
        ops.update(codes[graph.Operators(i).OpcodeIndex()][0] for i in range(graph.OperatorsLength()))
    weights = sum(model.Buffers(i).DataLength() for i in range(model.BuffersLength()))
    return ops, weights


def _publish_proof(path, evaluation, rows):
    """`model.proof.json` and `.txt` beside `model.tflite`."""
    with atomic_file(path.with_suffix(".proof.json")) as json_file:
        with atomic_file(path.with_suffix(".proof.txt")) as table_file:
            write_proof(json_file, table_file, evaluation, rows)
