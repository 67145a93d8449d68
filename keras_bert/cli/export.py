"""Writes a model for serving or for devices, and reads it back in a fresh process before it is published.

tf_saved_model writes OUTPUT_DIR/VERSION/ with a text and an ids signature, and OUTPUT_DIR-ids/VERSION/ for
runtimes without TensorFlow Text. tflite writes OUTPUT_DIR/model.tflite.
"""

import json
import pathlib

from absl import flags

from keras_bert.cli import options

REQUIRED = ("model_dir", "output_dir")
FORMATS = ("tf_saved_model", "tflite")
QUANTIZE = ("dynamic_int8", "float32")


def define(values):
    """The flags of `export`."""
    options.define_model(values)
    flags.DEFINE_enum("format", "tf_saved_model", FORMATS, "of the export", flag_values=values)
    flags.DEFINE_string("output_dir", None, "folder to write into", flag_values=values)
    flags.DEFINE_enum("quantize", "dynamic_int8", QUANTIZE, "weights of a .tflite file", flag_values=values)


def run(values, positional):
    """Loads, exports, prints the report."""
    bert = options.load(values)
    if values.format == "tflite":
        path = pathlib.Path(values.output_dir) / "model.tflite"
        report = bert.export(path, format="tflite", quantize=values.quantize)
    else:
        report = bert.export(values.output_dir, format=values.format)
    from keras_bert.reports.export import export_table

    print(export_table([report]))
    print(json.dumps(report, ensure_ascii=False))
