"""Scores a model on a labelled file.

Prints a table, and within what bounds the main score would lie for other rows of this kind (the bootstrap's
95 %); the last line is one JSON object of the scores.
"""

import json

from absl import flags

from keras_bert.cli import options

REQUIRED = ("model_dir", "input_file")


def define(values):
    """The flags of `evaluate`."""
    options.define_model(values)
    options.define_data(values)
    flags.DEFINE_string("input_file", None, "labelled file", flag_values=values)
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
    bert = options.load(values)
    reading = {"batch_size": values.eval_batch_size, **options.reading(values)}
    from keras_bert.reports.scores import score_table, with_interval

    if bert.task is None or bert.task.parts or not bert.task.learns_from_rows:
        scores = bert.evaluate(path, **reading)
    else:
        gold, answers = bert.answered(path, **reading)
        scores = {**bert.task.scores(gold, answers), "rows": len(gold)}
        scores = with_interval(scores, bert.task, gold, answers, values.resamples)
        if values.errors_file:
            from keras_bert.reports.errors import write_worst

            write_worst(values.errors_file, bert.task, gold, answers)
    print(score_table(scores, bert.task.labels if bert.task else None))
    line = json.dumps(scores, ensure_ascii=False)
    if values.output_file:
        from keras_bert.files.atomic import atomic_file

        with atomic_file(values.output_file) as stage:
            stage.write_text(line + "\n", encoding="utf-8")
    print(line)
