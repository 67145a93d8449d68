"""Answers a text, a file of texts, or the lines of standard input; one JSON object a row.

--text may be given several times. --input_file=- reads lines of text from standard input.
"""

import json
import sys

from absl import flags

from keras_bert.cli import options
from keras_bert.errors import UsageError

REQUIRED = ("model_dir",)


def define(values):
    """The flags of `predict`."""
    options.define_model(values)
    options.define_data(values)
    flags.DEFINE_multi_string("text", None, "a text to answer", flag_values=values)
    flags.DEFINE_multi_string(
        "text_pair", None, "its second text, where the task takes two", flag_values=values
    )
    flags.DEFINE_string(
        "input_file", None, "file of texts (.tsv, .csv, .jsonl, .txt) or -", flag_values=values
    )
    flags.DEFINE_string(
        "output_file", None, "where to write the answers, one JSON a line", flag_values=values
    )
    flags.DEFINE_integer("eval_batch_size", 32, "texts in a batch", lower_bound=1, flag_values=values)


def run(values, positional):
    """Loads, answers, prints."""
    if bool(values.text) == bool(values.input_file):
        raise UsageError("Nothing to answer, or two sources", expected="either --text or --input_file")
    if values.input_file and values.input_file != "-":
        options.existing_file(values.input_file, "input_file")
    bert = options.load(values)
    columns = {"text": values.text} if values.text else _columns_of(values, bert.task)
    if values.text and values.text_pair:
        columns["text_pair"] = values.text_pair
    lines = (
        json.dumps(answer, ensure_ascii=False)
        for answer in bert.predict(columns, batch_size=values.eval_batch_size)
    )
    if values.output_file:
        from keras_bert.files.atomic import atomic_file

        with atomic_file(values.output_file) as stage, open(stage, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    else:
        for line in lines:
            print(line)


def _columns_of(values, task) -> dict:
    """The text columns of --input_file."""
    if values.input_file == "-":
        return {"text": [line.rstrip("\r\n") for line in sys.stdin]}
    from keras_bert.data.readers import rows_from

    rows = rows_from(
        values.input_file, wanted=task.columns, optional=task.optional_columns,
        **options.reading(values),
    )  # fmt: skip
    rows = [row for _, row in rows]
    names = [name for name in (*task.columns, *task.optional_columns) if any(row.get(name) for row in rows)]
    return {name: [row.get(name) or "" for row in rows] for name in names}
