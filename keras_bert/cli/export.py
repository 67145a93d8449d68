"""Writes a model for serving or for devices, and reads it back in a fresh process before it is published.

With --eval_file everything written is scored on its rows; what loses more than --max_metric_drop points of
the task's main score is not published, and proof.json beside the rest says how it was scored. Without it
outputs on built-in texts are compared.

tf_saved_model writes OUTPUT_DIR/VERSION/ with a text and an ids signature, and OUTPUT_DIR-ids/VERSION/ for
runtimes without TensorFlow Text. tflite writes OUTPUT_DIR/model.tflite, and OUTPUT_DIR/model.edge/ with what
an application needs beside it. onnx writes OUTPUT_DIR/model.onnx.
"""

import json
import pathlib

from absl import flags

from keras_bert.cli import options

REQUIRED = ("model_dir", "output_dir")
FORMATS = ("tf_saved_model", "tflite", "onnx")
QUANTIZE = ("dynamic_int8", "float16", "float32", "full_int8")


def define(values):
    """The flags of `export`."""
    options.define_model(values)
    options.define_data(values)
    flags.DEFINE_enum("format", "tf_saved_model", FORMATS, "of the export", flag_values=values)
    flags.DEFINE_string("output_dir", None, "folder to write into", flag_values=values)
    flags.DEFINE_string(
        "eval_file", None, "rows with labels, on which everything written is scored; NAME=FILE,... of parts",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_float(
        "max_metric_drop", 0.5, "points of the main score that may be lost", lower_bound=0, flag_values=values
    )
    flags.DEFINE_enum(
        "signature_names", None, ("huggingface", "google"),
        "serving_default takes ids and answers logits under that library's names", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_boolean(
        "examples", False, "also a signature of tf.Examples for Classify or Regress", flag_values=values
    )
    flags.DEFINE_boolean("in_graph_batching", False, "join requests in the graph", flag_values=values)
    flags.DEFINE_list(
        "lengths", None, "fixed lengths of a .tflite file, a signature each", flag_values=values
    )
    flags.DEFINE_enum(
        "quantize", "dynamic_int8", QUANTIZE, "numbers of a .tflite file; full_int8: also between layers",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "calibration_file", None, "rows that show full_int8 what it will be asked; NAME=FILE,... of parts",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_boolean(
        "metadata",
        False,
        "a .tflite file for MediaPipe Tasks and the TFLite Task Library",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "text_input", False, "a .tflite file of texts, with the tokeniser as custom operations",
        flag_values=values,
    )  # fmt: skip


def run(values, positional):
    """Loads, exports, prints the report."""
    given = {"format": values.format, "reading": options.reading(values)}
    if values.eval_file:
        given["eval_file"] = options.files_by_part(values.eval_file, "eval_file")
        given["max_metric_drop"] = values.max_metric_drop
    path = pathlib.Path(values.output_dir)
    if values.format == "tflite":
        path, given["quantize"] = path / "model.tflite", values.quantize
        if values.lengths:
            given["length"] = [int(one) if one.strip().isdecimal() else one for one in values.lengths]
        if values.calibration_file:
            given["calibration_file"] = options.files_by_part(values.calibration_file, "calibration_file")
        given |= {name: True for name in ("text_input", "metadata") if values[name].value}
    elif values.format == "onnx":
        path = path / "model.onnx"
    else:
        names = ("signature_names", "examples", "in_graph_batching")
        given |= {name: values[name].value for name in names if values[name].value}
    report = options.load(values).export(path, **given)
    from keras_bert.reports.export import export_table, proof_table

    print(proof_table(report["proof"]) if report["proof"] else export_table([report]))
    print(json.dumps(report, ensure_ascii=False))
