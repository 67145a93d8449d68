"""TFLite files: one padded sequence of ids in, the numbers of the answer out.

    token_ids, segment_ids, padding_mask int32 (1, L)  ->  the answer's tensors, without strings
    text string (1,)                                   ->  the same; with `text_input`

The shape is static, as LiteRT.js and MediaPipe need it, and only built-in operations occur, so that every
TFLite runtime can run the file; `text_input` adds the three of the tokeniser. Strings, such as the name of a
class, are left to the application.
"""

import contextlib
import importlib.util
import pathlib

from keras_bert.errors import ExportError, MissingExtraError, UsageError
from keras_bert.export import probes, proof
from keras_bert.export.calibration import calibration_calls
from keras_bert.export.conversion import check_calibratable, contents, convert
from keras_bert.export.dense_tokenizer import CUSTOM_OPS, DenseTokenizer
from keras_bert.export.hand_over import is_hand_over, write_hand_over
from keras_bert.export.metadata import add_metadata, check_edge, edge_signature
from keras_bert.export.precision import in_float32
from keras_bert.export.proof_file import proof_rows, publish_proof
from keras_bert.export.signatures import (
    DEFAULT,
    Served,
    input_names,
    names_of,
    static_signature,
    static_text_signatures,
)
from keras_bert.files.atomic import atomic_file, atomic_folder
from keras_bert.files.locks import folder_lock
from keras_bert.layers.attention import hidden_score

QUANTIZE = ("dynamic_int8", "float16", "float32", "full_int8")
MIN_LENGTH = 5  # [CLS] a [SEP] b [SEP]
# XNNPACK sums in another order than TensorFlow.
TOLERANCE = 1e-4
# Of rows that are no near ties (`proof.NEAR_TIE`). Weights of 8 bits move scores by a few hundredths, so that
# such rows agree; an activation in 8 bits destroyed by the mask, the usual fault, agrees in 80 of 100.
MIN_AGREEMENT = 0.9
# Of all rows of an evaluation file, where activations have 8 bits as well.
MIN_FULL_AGREEMENT = 0.97
# What a hidden key has added to its score there: 255 steps must still tell apart what is seen.
HIDDEN_SCORE = -30.0
# The whole package first, which loads what its operations need.
TEXT_PACKAGES = ("tensorflow_text", "tensorflow_text.core.pybinds.tflite_registrar")


def write(
    bert, path, *, quantize="dynamic_int8", length=None, text_input=False, calibration_file=None,
    metadata=False, evaluate=None, reading=None,
) -> dict:  # fmt: skip
    """Writes a `.tflite` file, and beside it the folder `NAME.edge` for those who build it into applications.

    Args:
        bert: `Bert` with a task.
        path: path. The file; an old one is replaced.
        quantize: str. `"dynamic_int8"`: weights of 8 bits, a quarter of the size and several times as fast;
            `"float16"`: half the size, computed in float32 on CPUs; `"float32"`; or `"full_int8"`:
            activations have 8 bits too, for chips whose integers are faster, but for what 8 bits would
            destroy (`conversion.FLOAT_OPS`). With an evaluation file 97 of 100 decisions must agree.
        length: int, sequence of int, or None. The fixed length L; None means the task's `max_length`. Of
            several each has a signature, such as `length_32`, beside `serving_default` of the longest: the
            weights are there once, and an application asks the shortest that holds its text.
        text_input: bool. The file takes texts, and needs the operations `dense_tokenizer.CUSTOM_OPS` of
            tensorflow-text, which an application registers. Signatures are named as those of a SavedModel.
        calibration_file: what `bert.dataset` takes. Of `full_int8`: rows as they will be asked, from which
            the range of every activation is taken.
        metadata: bool. For MediaPipe Tasks and the TFLite Task Library, which are given text: the outputs of
            the task's application there and no others, the vocabulary and the names of the classes.
        evaluate: function or None. From the `Bert` to the `Evaluation` that the file is scored on.
        reading: dict or None. How `calibration_file` is read.
    Returns:
        dict, see `keras_bert.export.export`; besides `lengths`, `quantize`, `labels`, `op_counts`,
        `custom_ops`, `min_runtime_version`, `hand_over` (the folder) and `metadata`.
    Raises:
        ExportError, OutputError, UsageError, DataError: nothing was published.
        MissingExtraError: ai-edge-litert, which reads the file back, is not installed.
    """
    _check_options(quantize, text_input, calibration_file, metadata)
    names = _signature_names(bert, length, text_input)
    if metadata:
        check_edge(bert, list(names), quantize)
    path = pathlib.Path(path).absolute()
    bert = in_float32(bert)
    evaluation = None if evaluate is None else evaluate(bert)  # first: a mistake in the rows is said at once
    calibration = None
    if calibration_file is not None:
        calibration = calibration_calls(bert, calibration_file, names, reading)
    functions, tokenizer = _functions(bert, names, quantize, text_input, metadata)
    if quantize == "full_int8":
        check_calibratable(functions)
    custom_ops = CUSTOM_OPS if text_input else ()
    artefact = _artefact(bert, path, names, functions, tokenizer, evaluation)
    if metadata:
        artefact = artefact.answering(bert.task.edge_outputs)
    hand_over = path.with_suffix(".edge")
    with folder_lock(path), atomic_file(path) as stage, atomic_folder(hand_over, ours=is_hand_over) as folder:
        served = Served(functions.values(), tokenizer)
        stage.write_bytes(convert(served, functions, quantize, calibration, bool(custom_ops)))
        found = contents(stage, custom_ops)
        added = add_metadata(bert, stage) if metadata else None
        size = stage.stat().st_size
        artefact.path = stage
        report = _proven(artefact, evaluation, quantize)
        report["proof"] = proof_rows(path.name, f"tflite {quantize}", size, report)
        report |= {
            "format": "tflite",
            "path": str(path),
            "bytes": size,
            "weights_bytes": found["weights_bytes"],
            "parameters": served.num_parameters,
            "signatures": names_of(functions),
            "ops": sorted(found["ops"]),
            "op_counts": dict(sorted(found["ops"].items())),
            "custom_ops": sorted(custom_ops),
            "min_runtime_version": found["min_runtime_version"],
            "lengths": {name: length for length, name in names.items()},
            "quantize": quantize,
            "labels": list(bert.task.labels) if bert.task.labels is not None else None,
            "hand_over": str(hand_over),
            "metadata": added,
        }
        write_hand_over(folder, bert, artefact, report)
        if evaluation is not None:
            publish_proof(path, evaluation, report["proof"])
    return report


def _check_options(quantize, text_input, calibration_file, metadata):
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise MissingExtraError(
            "ai-edge-litert is not installed, without which a .tflite file cannot be read back",
            where='format="tflite"', remedy='pip install "keras-bert-kit[tflite]"',
        )  # fmt: skip
    if quantize not in QUANTIZE:
        raise UsageError(
            f"There is no {quantize!r}", where="quantize", expected=f"one of {', '.join(QUANTIZE)}"
        )
    if (quantize == "full_int8") != (calibration_file is not None):
        what = "needs" if calibration_file is None else "alone takes"
        raise UsageError(
            f"full_int8 {what} rows to calibrate with", where="calibration_file",
            expected="rows as they will be asked, such as a part of the training file",
        )  # fmt: skip
    if quantize == "full_int8" and text_input:
        raise UsageError(
            "full_int8 takes ids", where="text_input", expected="another quantize, or no text_input"
        )
    if metadata and text_input:
        raise UsageError(
            "A file with metadata takes ids: those libraries tokenise", where="text_input",
            expected="one of the two",
        )  # fmt: skip


def _signature_names(bert, length, text_input) -> dict:
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
    if others and text_input:
        raise UsageError("A file that takes texts has one length", where="length", expected="one integer")
    return {longest: DEFAULT, **{one: f"length_{one}" for one in others}}


def _functions(bert, names, quantize, text_input, metadata):
    """(concrete functions by signature name, the tokeniser that they carry or None)."""
    if not text_input:
        signature = edge_signature if metadata else static_signature
        with hidden_score(HIDDEN_SCORE) if quantize == "full_int8" else contextlib.nullcontext():
            return {name: signature(bert, length) for length, name in names.items()}, None
    try:
        import tensorflow_text
    except ImportError as error:
        raise MissingExtraError(
            "tensorflow-text is not installed, which brings the tokeniser's operations",
            where="text_input", remedy="pip install tensorflow-text, or export the ids alone",
        ) from error  # fmt: skip
    tokenizer = DenseTokenizer(bert.tokenizer, tensorflow_text.FastBertTokenizer)
    [length] = names
    return static_text_signatures(bert, length, tokenizer), tokenizer


def _artefact(bert, path, names, functions, tokenizer, evaluation):
    """What the file will be asked."""
    if tokenizer is None:
        questions = [q for length, name in names.items() for q in probes.static_questions(bert, name, length)]
        scored = {} if evaluation is None else {"ids": evaluation.static_batches(names)}
        return proof.Artefact("tflite", path, (), questions, scored)
    [length] = names
    columns = {name: input_names(function) for name, function in functions.items()}
    questions = probes.static_text_questions(bert, columns, length, tokenizer)
    scored = {} if evaluation is None else {"text": evaluation.static_text_batches(columns, length)}
    return proof.Artefact("tflite", path, TEXT_PACKAGES, questions, scored)


def _proven(artefact, evaluation, quantize) -> dict:
    limits = {"tolerance": TOLERANCE} if quantize == "float32" else {"min_agreement": MIN_AGREEMENT}
    [report] = proof.prove([artefact], evaluation, **limits)
    if quantize == "full_int8" and evaluation is not None and report["agreement"] < MIN_FULL_AGREEMENT:
        scores = ", ".join(
            f"{judged['metric']} {judged['score']:.4f} against {judged['reference']:.4f}"
            for judged in report["proof"].values()
        )
        raise ExportError(
            f"With activations of 8 bits {report['agreement']:.1%} of the decisions agree ({scores}), and "
            "nothing was published",
            where=str(artefact.path), expected=f"{MIN_FULL_AGREEMENT:.0%}",
            remedy="calibrate with more rows of the kind that is asked, or use dynamic_int8",
        )  # fmt: skip
    return report
