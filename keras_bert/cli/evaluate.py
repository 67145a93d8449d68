"""Scores a model on a labelled file.

Prints a table, and within what bounds the main score would lie for other rows of this kind (the bootstrap's
95 %); the last line is one JSON object of the scores.

Several files, as languages or domains have them, are scored apart: --input_file=en=dev_en.tsv,de=dev_de.tsv
prints a line for each and the mean of the main score.
"""

from absl import flags

from keras_bert.cli import options
from keras_bert.errors import UsageError

REQUIRED = ("model_dir", "input_file")


def define(values):
    """The flags of `evaluate`."""
    options.define_model(values)
    options.define_data(values)
    flags.DEFINE_string(
        "input_file", None, "labelled file; or NAME=FILE,NAME=FILE: scored apart", flag_values=values
    )
    flags.DEFINE_string("output_file", None, "where to write the scores as JSON", flag_values=values)
    flags.DEFINE_integer("eval_batch_size", 32, "texts in a batch", lower_bound=1, flag_values=values)
    flags.DEFINE_integer(
        "resamples", 1000, "of the bootstrap; 0: no interval", lower_bound=0, flag_values=values
    )
    flags.DEFINE_string(
        "errors_file", None, "where to write the worst answers, one JSON a line", flag_values=values
    )


def run(values, positional):
    """Loads, scores, prints."""
    path = options.files_by_part(values.input_file, "input_file")
    inputs = path.values() if isinstance(path, dict) else [path]
    options.check_outputs(values, ("output_file", "errors_file"), inputs)
    bert = options.load(values)
    reading = {"batch_size": values.eval_batch_size, **options.reading(values)}
    from keras_bert.reports.scores import as_json

    scores, table, answered = _scored(bert, path, reading, values.resamples)
    if values.errors_file:
        from keras_bert.reports.errors import write_worst

        write_worst(values.errors_file, answered)
    print(table)
    line = as_json(scores)
    if values.output_file:
        from keras_bert.files.atomic import atomic_file

        with atomic_file(values.output_file) as stage:
            stage.write_text(line + "\n", encoding="utf-8")
    print(line)


def _scored(bert, path, reading, resamples) -> tuple[dict, str, dict]:
    """(scores, their table, {name of a file or part, or None: (task, gold, answers)})."""
    from keras_bert.reports.scores import score_table, scores_by_file, table_by_file
    from keras_bert.tasks.base import rows_by_part

    if bert.task is None or not bert.task.learns_from_rows:
        scores = bert.evaluate(path, **reading)
        return scores, score_table(scores), {}
    if bert.task.parts:
        files = rows_by_part(bert.task, path, "--input_file", UsageError)
        models = {name: bert.part(name) for name in files}
    else:
        files = path if isinstance(path, dict) else {None: path}
        models = dict.fromkeys(files, bert)
    found = {name: _scores(models[name], file, reading, resamples) for name, file in files.items()}
    answered = {name: (models[name].task, *rows) for name, (_, rows) in found.items()}
    scores = {name: scores for name, (scores, _) in found.items()}
    if bert.task.parts:
        scores = {**bert.task.scores_of_parts(scores), **scores}
        return scores, score_table(scores), answered
    if isinstance(path, dict):
        scores = scores_by_file(scores, bert.task)
        return scores, table_by_file(scores), answered
    return scores[None], score_table(scores[None], bert.task.labels), answered


def _scores(bert, path, reading, resamples):
    """(scores with their interval, (gold, answers)) of one file."""
    from keras_bert.reports.scores import with_interval

    gold, answers = bert.answered(path, **reading)
    scores = {**bert.task.scores(gold, answers), "rows": len(gold)}
    return with_interval(scores, bert.task, gold, answers, resamples), (gold, answers)
