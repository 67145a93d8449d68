"""Writing a model for serving; installed as `keras_bert.export`.

    report = bert.export("out/serving", format="tf_saved_model")
    report = bert.export("out/model.tflite", format="tflite", quantize="dynamic_int8")

An export is finished when a fresh process has read it back and answered as the model does; before that
nothing appears under its name. Importing this package does not import TensorFlow.
"""

import importlib
import inspect

from keras_bert.errors import UsageError

# The table holds `module:function` as text, so that the names are known without importing TensorFlow.
FORMATS = {
    "tf_saved_model": "keras_bert.export.saved_model:write",
    "tflite": "keras_bert.export.tflite:write",
}


def export(bert, path, *, format, **options) -> dict:
    """Writes `bert` for serving, reads it back in a fresh process, compares, and only then publishes it.

    Args:
        bert: `Bert` with a task.
        path: path. A folder of versions (`tf_saved_model`) or a `.tflite` file (`tflite`).
        format: str. One of `FORMATS`.
        **options: the format's; see `keras_bert.export.saved_model.write`, `keras_bert.export.tflite.write`.
    Returns:
        dict of JSON values: format, path, bytes, weights_bytes, parameters, signatures, ops, max_difference,
        agreement, load_seconds, latency_ms, and what else the format has to say.
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
    known = [p.name for p in inspect.signature(write).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for name in options:
        if name not in known:
            raise UsageError(
                f"The format {format} has no option {name!r}",
                where="export",
                expected=f"of {', '.join(known)}",
            )
    return write(bert, path, **options)
