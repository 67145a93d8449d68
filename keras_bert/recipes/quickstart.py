"""From real pretrained weights to a served answer, on sentences at hand: what `keras-bert quickstart` does.

keras-bert quickstart                  # 2 cores: see BUILD_NOTES.md for the time and the table it prints
keras-bert quickstart --language=zh    # the same in Chinese: other weights, other sentences, one road
"""

import json
import pathlib
import shlex
import sys
import time

import numpy as np

from keras_bert.data.pipeline import Rows, open_source
from keras_bert.recipes.finetune import FinetuneRun, finetune
from keras_bert.recipes.languages import HERE, LANGUAGES, pretrained_folder
from keras_bert.reports.tables import render

FORMATS = (
    ("SavedModel", "serving", {"format": "tf_saved_model"}),
    ("TFLite float32", "model.fp32.tflite", {"format": "tflite", "quantize": "float32"}),
    ("TFLite dynamic int8", "model.tflite", {"format": "tflite", "quantize": "dynamic_int8"}),
)


def quickstart(
    output_dir, model_dir=None, train_file=None, eval_file=None, language="en", **run
) -> list[dict]:
    """Fine-tunes, evaluates, exports, reads back, and prints one table.

    Args:
        output_dir: path. Gets `model/`, `serving/`, `serving-ids/`, `model.tflite`, `model.fp32.tflite`, and
            `pretrained/` where the language's package holds an archive.
        model_dir: path or None. None means the pretrained weights of the language's package.
        train_file, eval_file: path or None. None means the bundled review sentences of the language.
        language: str. A key of `LANGUAGES`.
        **run: other fields of `FinetuneRun`.
    Returns:
        list of dict: the table, a dict a row.
    Raises:
        MissingExtraError: the weights are not installed.
    """
    output, bundled = pathlib.Path(output_dir), LANGUAGES[language]
    settings = FinetuneRun(
        train_file=str(train_file or HERE / bundled.train_file),
        eval_file=str(eval_file or HERE / bundled.eval_file),
        output_dir=str(output / "model"),
        labels=None if train_file else list(bundled.labels),
        model_dir=str(model_dir or pretrained_folder(bundled, output / "pretrained")),
        origin=None if model_dir else bundled.origin,
        activation=None if model_dir else bundled.activation,
        **run,
    )
    bert, scores = finetune(settings)
    columns = _eval_columns(bert, settings)
    latency = _latency(bert, columns)
    table = [_row("Keras", output / "model" / "model.safetensors", scores["accuracy"], latency, 0.0, 1.0)]
    # The usual limit, or one row: of the bundled 120 it is 0.83 points, and may turn on a rounding.
    max_drop = max(0.5, 100.01 / scores["rows"])
    for name, path, options in FORMATS:
        print(f"exporting {name}, and reading it back in a fresh process", file=sys.stderr, flush=True)
        report = bert.export(
            output / path, eval_file=settings.eval_file, reading=settings.reading,
            max_metric_drop=max_drop, **options,
        )  # fmt: skip
        proof = report["proof"][0]
        table.append(
            _row(
                name, report["path"], proof["scores"]["accuracy"], report["latency_ms"],
                proof["max_difference"], proof["agreement"], size=report["bytes"],
            )
        )  # fmt: skip
    print(_rendered(table))
    print(_next_steps(output, columns, language))
    return table


def _eval_columns(bert, settings):
    """The evaluation file as text columns."""
    rows = Rows(open_source(settings.eval_file, bert.task, **settings.reading), bert.task)
    return rows.texts_of(list(rows.checked()))


def _latency(bert, columns) -> float:
    """Median milliseconds of `predict` for one text."""
    one = {name: values[:1] for name, values in columns.items()}
    times = []
    for _ in range(12):
        started = time.perf_counter()
        bert.predict(one)
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times[2:]))


def _row(name, path, accuracy, latency, difference, agreement, size=None) -> dict:
    return {
        "artefact": name,
        "path": str(path),
        "accuracy": accuracy,
        "size_mb": (pathlib.Path(path).stat().st_size if size is None else size) / 1e6,
        "latency_ms": latency,
        "max_difference": difference,
        "agreement": agreement,
    }


def _rendered(table) -> str:
    columns = ["", "accuracy", "size MB", "ms, one text", "largest difference", "agreement"]
    rows = [
        [
            row["artefact"],
            f"{row['accuracy']:.3f}",
            f"{row['size_mb']:.1f}",
            f"{row['latency_ms']:.1f}",
            f"{row['max_difference']:.1e}",
            f"{100 * row['agreement']:.1f} %",
        ]
        for row in table
    ]
    return "\n" + render(columns, rows)


def _next_steps(output, columns, language) -> str:
    folder, text = shlex.quote(str(output)), next(iter(columns.values()))[0]
    body = json.dumps({"instances": [{"text": text}]}, ensure_ascii=False)
    return f"""
Ask the model:
  keras-bert predict --model_dir={folder}/model --text={shlex.quote(text)}
Serve it (Docker, the image of TensorFlow Serving):
  docker run -p 8501:8501 -v "$(realpath {folder}/serving)":/models/bert -e MODEL_NAME=bert tensorflow/serving
  curl -d {shlex.quote(body)} http://localhost:8501/v1/models/bert:predict
The same road on your own files (columns `text` and `label`, a header line):
  keras-bert quickstart --language={language} --train_file=train.tsv --eval_file=dev.tsv --output_dir=mine"""
