"""Every task in every format: read back in a fresh process and scored, or refused with the reason.

    python tests/benchmarks/export_matrix.py --work=FOLDER [--only tagging similarity] [--report]

The models are tiny and random, as those of `tests/test_every_task.py`, whose rows they are scored on: what is
tried is whether a task goes through a format, not how well it does. A line of JSON is appended to
FOLDER/matrix.jsonl for every cell, and a cell that is there is not repeated. The table is printed at the end.
"""

import argparse
import json
import pathlib
import sys

import keras

import keras_bert as kb
from keras_bert.errors import KerasBertError
from keras_bert.export import export
from keras_bert.tasks import TASKS

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

FORMATS = {
    "SavedModel": {"format": "tf_saved_model"},
    "TFLite float32": {"format": "tflite", "quantize": "float32"},
    "dynamic int8": {"format": "tflite", "quantize": "dynamic_int8"},
    "full int8": {"format": "tflite", "quantize": "full_int8"},
    "texts": {"format": "tflite", "quantize": "float32", "text_input": True},
    "metadata": {"format": "tflite", "quantize": "float32", "metadata": True},
    "ONNX": {"format": "onnx"},
}
SUFFIXES = {"tf_saved_model": "", "tflite": ".tflite", "onnx": ".onnx"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=list(TASKS))
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results = given.work / "matrix.jsonl"
    for task in () if given.report else given.only:
        bert, rows = None, None
        for name, options in FORMATS.items():
            if (task, name) in read(results):
                continue
            bert, rows = (bert, rows) if bert else model(task, given.work)
            cell = {"task": task, "format": name, **tried(bert, rows, given.work / f"{task}_{name}", options)}
            print(cell, flush=True)
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(cell) + "\n")
    report(read(results))


def model(task, work):
    """A tiny BERT with the task, and the rows it is scored on; None where there are none."""
    from test_every_task import EXAMPLES, PIECES, parts

    settings, rows, *_ = EXAMPLES[task]
    keras.utils.set_random_seed(1)
    config = kb.BertConfig.preset("tiny", vocabulary_size=len(PIECES), initializer_range=0.1)
    bert = kb.Bert.from_config(config, kb.Tokenizer(PIECES), task, **{"max_length": 12, **settings})
    if bert.task.parts:
        return bert, parts(work)
    return bert, rows if bert.task.learns_from_rows else None


def tried(bert, rows, path, options) -> dict:
    if options.get("metadata") and bert.task.edge_kind == "question_answerer":
        bert = bert_of_length(bert, 384)
    given = {} if rows is None else {"eval_file": rows, "max_metric_drop": 100.0}
    if options.get("quantize") == "full_int8":
        more = rows if rows is not None else [{"text": "a warm film"}]
        options = {**options, "calibration_file": many(more)}
    try:
        report = export(bert, path.with_suffix(SUFFIXES[options["format"]]), **options, **given)
    except KerasBertError as error:
        return {"refused": str(error)}
    return {"largest_difference": report["max_difference"], "agreement": report["agreement"]}


def bert_of_length(bert, length):
    """The same model, its task reading that many tokens."""
    bert.task = bert.task.resized(length)
    return bert


def many(rows):
    """As many rows as a calibration asks for."""
    return {name: many(part) for name, part in rows.items()} if isinstance(rows, dict) else rows * 50


def read(results) -> dict:
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    cells = map(json.loads, lines)
    return {(cell["task"], cell["format"]): cell for cell in cells}


def report(cells):
    reasons = []
    print(f"| task | {' | '.join(FORMATS)} |\n|{'---|' * (1 + len(FORMATS))}")
    for task in TASKS:
        row = []
        for name in FORMATS:
            cell = cells.get((task, name))
            if cell is None:
                row.append("")
            elif "refused" in cell:
                if cell["refused"] not in reasons:
                    reasons.append(cell["refused"])
                row.append(f"refused ({reasons.index(cell['refused']) + 1})")
            else:
                row.append(f"{cell['largest_difference']:.0e}, {100 * cell['agreement']:.0f} %")
        print(f"| {task} | {' | '.join(row)} |")
    for number, reason in enumerate(reasons, 1):
        print(f"({number}) {reason}")


if __name__ == "__main__":
    main()
