"""Answers a text, a file of rows, or the lines of standard input; one JSON object a row.

--text may be given several times, and --text_pair, --question, --context beside one another as often.
--input_file=- reads standard input: JSON objects with the task's columns, one a line, or lines of text.
Answers come in the order of the rows, --rows_at_once of them at a time: 1 answers every line as it comes.
"""

import itertools
import json

from absl import flags

from keras_bert.cli import options
from keras_bert.errors import DataError, UsageError

REQUIRED = ("model_dir",)
TEXTS = ("text", "text_pair", "question", "context")


def define(values):
    """The flags of `predict`."""
    options.define_model(values)
    options.define_data(values)
    for name in TEXTS:
        flags.DEFINE_multi_string(name, None, f"a {name} to answer", flag_values=values)
    flags.DEFINE_string(
        "input_file", None, "file of rows (.tsv, .csv, .jsonl, .txt) or -", flag_values=values
    )
    flags.DEFINE_string(
        "output_file", None, "where to write the answers, one JSON a line", flag_values=values
    )
    flags.DEFINE_integer("eval_batch_size", 32, "texts in a batch", lower_bound=1, flag_values=values)
    flags.DEFINE_integer(
        "rows_at_once", 4096, "rows that are sorted by length and answered together", lower_bound=1,
        flag_values=values,
    )  # fmt: skip


def run(values, positional):
    """Loads, answers, prints."""
    given = {name: values[name].value for name in TEXTS if values[name].value}
    if bool(given) == bool(values.input_file):
        raise UsageError("Nothing to answer, or two sources", expected="either --text or --input_file")
    if values.input_file and values.input_file != "-":
        options.existing_file(values.input_file, "input_file")
        options.check_outputs(values, ("output_file",), (values.input_file,))
    for name, texts in given.items():
        options.check_utf8(texts, f"--{name}")
    bert = options.load(values)
    bert.need_task()
    chunks = [given] if given else _chunks(_rows_of(values, bert.task), bert.task, values.rows_at_once)
    lines = (
        json.dumps(answer, ensure_ascii=False)
        for columns in chunks
        for answer in bert.predict(columns, batch_size=values.eval_batch_size)
    )
    if values.output_file:
        from keras_bert.files.atomic import atomic_file

        with atomic_file(values.output_file) as stage, open(stage, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    else:
        for line in lines:
            print(line, flush=values.input_file == "-")


def _rows_of(values, task):
    """Yields the rows of --input_file, one after the other."""
    if values.input_file == "-":
        from keras_bert.cli.standard_input import rows_of_stdin

        yield from rows_of_stdin(task, values.encoding, options.reading(values).get("columns"))
        return
    from keras_bert.data.choices import with_choices
    from keras_bert.data.readers import rows_from
    from keras_bert.data.task_rows import task_rows

    asked = {"wanted": (*task.columns, *task.list_columns), "optional": task.optional_columns}
    reading = {**asked, **options.reading(values)}
    kind = {"kind": task.row_kind} if task.row_kind else {}
    for _, row in (task_rows if kind else rows_from)(values.input_file, **kind, **reading):
        yield with_choices(row) if task.row_kind == "choices" else row


def _chunks(rows, task, size):
    """Yields columns of at most `size` rows; an optional column is there if a row of them has it."""
    required = (*task.columns, *task.list_columns)

    def columns(chunk):
        names = [*required, *(n for n in task.optional_columns if any(row.get(n) for row in chunk))]
        return {name: ["" if row.get(name) is None else row[name] for row in chunk] for name in names}

    chunk, fault = [], None
    rows = iter(rows)
    while fault is None:
        try:
            chunk.extend(itertools.islice(rows, size))
        except DataError as error:  # the rows before it are answered first
            fault = error
        if not chunk:
            break
        yield columns(chunk)
        chunk = []
    if fault:
        raise fault
