"""Scores a model on a labelled file.

Prints a table; the last line is one JSON object of the scores.
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


def run(values, positional):
    """Loads, scores, prints."""
    path = options.existing_file(values.input_file, "input_file")
    bert = options.load(values)
    scores = bert.evaluate(path, batch_size=values.eval_batch_size, **options.reading(values))
    from keras_bert.reports.scores import score_table

    print(score_table(scores, bert.task.labels))
    line = json.dumps(scores, ensure_ascii=False)
    if values.output_file:
        from keras_bert.files.atomic import atomic_file

        with atomic_file(values.output_file) as stage:
            stage.write_text(line + "\n", encoding="utf-8")
    print(line)
