"""Writing a model for serving; installed as `keras_bert.export`.

    report = bert.export("out/serving", format="tf_saved_model")
    report = bert.export("out/model.tflite", format="tflite", quantize="dynamic_int8")

An export is finished when a fresh process has read it back and answered as the model does; before that
nothing appears under its name. Importing this package does not import TensorFlow.
"""

import functools
import importlib
import inspect

from keras_bert.errors import UsageError

# The table holds `module:function` as text, so that the names are known without importing TensorFlow.
FORMATS = {
    "tf_saved_model": "keras_bert.export.saved_model:write",
    "tflite": "keras_bert.export.tflite:write",
    "onnx": "keras_bert.export.onnx:write",
}


def export(bert, path, *, format, eval_file=None, max_metric_drop=0.5, reading=None, **options) -> dict:
    """Writes `bert` for serving, reads it back in a fresh process, compares, and only then publishes it.

    Args:
        bert: `Bert` with a task.
        path: path. A folder of versions (`tf_saved_model`) or a `.tflite` (`tflite`) or an
            `.onnx` file (`onnx`).
        format: str. One of `FORMATS`.
        eval_file: what `bert.evaluate` takes, or None. Everything written is scored on these rows by the
            task's main score, and `proof.json` is written. None: outputs on built-in texts are compared.
        max_metric_drop: float. Points, hundredths of that score, that may be lost; a greater loss publishes
            nothing.
        reading: dict or None. How files of rows are read, see `Bert.dataset`.
        **options: the format's; see `keras_bert.export.saved_model.write`, `keras_bert.export.tflite.write`,
            `keras_bert.export.onnx.write`.
    Returns:
        dict of JSON values: format, path, bytes, weights_bytes, parameters, signatures, ops, max_difference,
        agreement, load_seconds, first_answer_ms, latency_ms, latency_p99_ms, peak_memory_bytes, proof (a list
        of dicts), and what else the format has to say.
    Raises:
        UsageError: there is no such format or option.
        ExportError: the export was refused, or its read-back differs from the model.
        OutputError: it cannot be written; what was there before is untouched.
        MissingExtraError: the format needs a package that is not installed.
    """
    if format not in FORMATS:
        raise UsageError(
            f"There is no export format {format!r}", where="export", expected=f"one of {', '.join(FORMATS)}"
        )
    module, _, function = FORMATS[format].partition(":")
    write = getattr(importlib.import_module(module), function)
    own = inspect.signature(write).parameters
    known = [
        p.name for p in own.values() if p.kind is p.KEYWORD_ONLY and p.name not in ("evaluate", "reading")
    ]
    for name in options:
        if name not in known:
            raise UsageError(
                f"The format {format} has no option {name!r}",
                where="export",
                expected=f"of {', '.join(known)}",
            )
    evaluate = None
    if eval_file is not None:
        scoring = importlib.import_module("keras_bert.export.scoring")
        evaluate = functools.partial(
            scoring.Evaluation, source=eval_file, max_metric_drop=max_metric_drop, reading=reading
        )
    if "reading" in own:
        options["reading"] = reading
    return write(bert, path, evaluate=evaluate, **options)
