"""From concrete functions to the bytes of a `.tflite` file, and what is found in such a file."""

import collections
import pathlib
import re
import tempfile
import warnings

import tensorflow as tf

from keras_bert.errors import ExportError
from keras_bert.files.chatter import hidden_chatter

# What stays in float32 where activations have 8 bits: layer normalisation, and the sums of the residuals. The
# square of a usual difference from the mean is less than one of the 255 steps up to that of the largest.
FLOAT_OPS = ("MEAN", "SQUARED_DIFFERENCE", "RSQRT", "SUB", "NEG", "MUL", "ADD")
# And the second product of the feed-forward, by the name of its layer: a few of what GELU gives are ten times
# as large as all others.
FLOAT_PRODUCTS = re.compile(r"block_\d+(_\d+)?/output(_\d+)?/")


def convert(served, functions: dict, quantize: str, calibration=None, custom_ops: bool = False) -> bytes:
    """The flatbuffer of concrete functions.

    Args:
        served: `Served`. Their variables.
        functions: dict of concrete functions by signature name.
        quantize: str. One of `tflite.QUANTIZE`.
        calibration: of `full_int8`, function without arguments: yields the inputs of example calls, dict of
            NumPy arrays.
        custom_ops: bool. Whether there are operations that TFLite does not have built in.
    Raises:
        ExportError: TFLite cannot convert them.
    """
    with tempfile.TemporaryDirectory() as folder:
        # Through a SavedModel: a concrete function of a Keras model converts without its weights, silently.
        tf.saved_model.save(served, folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.allow_custom_ops = custom_ops
        if quantize in ("dynamic_int8", "float16"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            with hidden_chatter():
                if quantize == "full_int8":
                    return _with_activations_of_8_bits(converter, calibration)
                return converter.convert()
        except Exception as error:  # the converter has errors of its own, without a common base
            raise ExportError(
                f"TFLite cannot convert the model: {str(error).strip()[:500]}", where="tflite",
                expected="operations that TFLite has built in",
            ) from error  # fmt: skip


def check_calibratable(functions: dict):
    """Refuses what the calibration of `full_int8` cannot run: it ends the process at a loop, without a word.

    Raises:
        ExportError: a concrete function has a loop.
    """
    for name, function in functions.items():
        graph = function.graph.as_graph_def()
        nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
        if any(node.op in ("While", "StatelessWhile") for node in nodes):
            raise ExportError(
                f"The signature {name} has a loop, such as a CRF's search for the best path, at which "
                "TFLite's calibration fails",
                where="full_int8", expected="a model without loops", remedy="use dynamic_int8",
            )  # fmt: skip


def _with_activations_of_8_bits(converter, calibration) -> bytes:
    kept = [name for name in _product_names(converter.convert()) if FLOAT_PRODUCTS.search(name)]
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    # The converter's own way to leave some operations alone is a part of its debugger.
    options = tf.lite.experimental.QuantizationDebugOptions(
        denylisted_ops=list(FLOAT_OPS), denylisted_nodes=kept
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated")  # it opens one
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=calibration, debug_options=options
        )
        return debugger.get_nondebug_quantized_model()


def _product_names(flatbuffer: bytes) -> list:
    """The names of what its matrix products give."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(flatbuffer, 0)
    product = schema.BuiltinOperator.FULLY_CONNECTED
    names = []
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            if model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode() == product:
                names.append(graph.Tensors(operator.Outputs(0)).Name().decode())
    return names


def contents(file: pathlib.Path, custom_ops=()) -> dict:
    """What is in a flatbuffer.

    Args:
        file: path.
        custom_ops: collection of str. The operations that need not be built in.
    Returns:
        ops: Counter of the operations, those that are not built in by their own names; weights_bytes: int;
        min_runtime_version: str, the oldest TFLite that has all of them, or "" where the file does not say.
    Raises:
        ExportError: an operation is neither built in nor one of `custom_ops`.
    """
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
    codes = [own.decode() if builtin == "CUSTOM" else builtin for builtin, own in codes]
    unknown = sorted(set(codes) - set(names.values()) - set(custom_ops))
    if unknown:
        raise ExportError(
            f"The file needs operations that TFLite does not have built in: {', '.join(unknown)}",
            where=str(file), expected="built-in operations only",
        )  # fmt: skip
    ops = collections.Counter()
    for graph in (model.Subgraphs(i) for i in range(model.SubgraphsLength())):
        ops.update(codes[graph.Operators(i).OpcodeIndex()] for i in range(graph.OperatorsLength()))
    notes = {note.Name(): note.Buffer() for note in map(model.Metadata, range(model.MetadataLength()))}
    version = b""
    if b"min_runtime_version" in notes:
        version = model.Buffers(notes[b"min_runtime_version"]).DataAsNumpy().tobytes()
    return {
        "ops": ops,
        "weights_bytes": sum(model.Buffers(i).DataLength() for i in range(model.BuffersLength())),
        "min_runtime_version": version.rstrip(b"\0").decode(),
    }
