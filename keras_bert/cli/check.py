"""Says what is wrong with a labelled data set, in seconds and without TensorFlow.

Rows that cannot be read, texts that repeat or contradict one another, texts of --eval_file that also stand
in --train_file, classes that are rare or missing, lengths in pieces, damaged texts: the worst comes first,
with what to do. Without --model_dir or --vocab_file nothing is counted in pieces. The last line is one JSON
object. --strict ends with exit code 2 where texts leak or contradict one another, rows cannot be read, or
--eval_file has labels that --train_file lacks.
"""

import json

from absl import flags

from keras_bert.cli import options
from keras_bert.errors import DataError, UsageError

REQUIRED = ("train_file",)
TARGETS = {"classification": "label", "multi_label": "labels", "regression": "score"}
# Of formats beside tables: the kind of `data.task_rows`, and the columns.
KINDS = {
    "tagging": ("spans", ("text", "spans")),
    "question_answering": ("answers", ("question", "context", "answers")),
    "multiple_choice": ("choices", ("text", "choices", "label")),
}


def define(values):
    """The flags of `check`."""
    options.define_model(values)
    options.define_data(values)
    values.set_default("max_seq_length", 128)
    flags.DEFINE_enum(
        "task", "classification", sorted([*TARGETS, *KINDS]), "what it is for", flag_values=values
    )
    flags.DEFINE_string("train_file", None, "labelled file to train on", flag_values=values)
    flags.DEFINE_string("eval_file", None, "labelled file to evaluate on", flag_values=values)
    flags.DEFINE_string("vocab_file", None, "vocab.txt, where there is no --model_dir", flag_values=values)
    flags.DEFINE_string("output_file", None, "where to write the report as JSON", flag_values=values)
    flags.DEFINE_bool("strict", False, "end with exit code 2 where a finding is grave", flag_values=values)


def run(values, positional):
    """Reads, prints."""
    from keras_bert.data.check import check_files
    from keras_bert.reports.check import check_table

    max_length = options.task_settings(values)["max_length"]
    paths = {name: values[f"{name}_file"].value for name in ("train", "eval")}
    paths = {name: options.existing_file(path, f"{name}_file") for name, path in paths.items() if path}
    options.check_outputs(values, ("output_file",), paths.values())
    reading = options.reading(values)
    files = {name: open_rows(path, values.task, reading) for name, path in paths.items()}
    report = {"paths": paths, **check_files(files, _tokenizer(values), max_length)}
    print(check_table(report), end="\n\n")
    # Half a character, as JSON's "\\ud83d" in a label may be one, is written as it came.
    line = json.dumps(report, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    if values.output_file:
        from keras_bert.files.atomic import atomic_file

        with atomic_file(values.output_file) as stage:
            stage.write_text(line + "\n", encoding="utf-8")
    print(line)
    grave = [finding for finding in report["findings"] if finding["level"] == "grave"]
    if values.strict and grave:
        raise DataError(
            f"{len(grave)} of the findings are grave: {', '.join(finding['kind'] for finding in grave)}",
            where="--strict",
            remedy="see the report, or leave --strict out",
        )


def open_rows(path, task_name, reading):
    """The rows of a task's file as `check_files` takes them: (location, row or what is wrong with it)."""
    from keras_bert.data.task_rows import task_rows
    from keras_bert.data.tolerant import tolerant_rows

    if task_name in KINDS:
        kind, wanted = KINDS[task_name]
        return task_rows(path, kind, wanted=wanted, **reading)
    return tolerant_rows(path, wanted=("text", TARGETS[task_name]), optional=("text_pair",), **reading)


def _tokenizer(values):
    """The tokeniser of --model_dir or --vocab_file, or None."""
    import pathlib

    from keras_bert.text.tokenizer import Tokenizer

    if values.model_dir and values.vocab_file:
        raise UsageError("There are two vocabularies", expected="either --model_dir or --vocab_file")
    if values.model_dir:
        from keras_bert.checkpoints.find import find_folder

        return Tokenizer.from_folder(find_folder(values.model_dir), values.do_lower_case)
    if not values.vocab_file:
        return None
    path = pathlib.Path(values.vocab_file)
    if path.is_dir():
        return Tokenizer.from_folder(path, values.do_lower_case)
    options.existing_file(path, "vocab_file")
    return Tokenizer(path, lowercase=values.do_lower_case is not False)
