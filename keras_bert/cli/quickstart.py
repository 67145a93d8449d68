"""Real pretrained weights to a served answer, in one command.

Fine-tunes all-MiniLM-L6-v2 on bundled English review sentences (with --language=zh SimBERT-tiny on Chinese
ones), or on --train_file and --eval_file, evaluates it, exports a SavedModel and a .tflite file, reads both
back in a fresh process, and prints one table.
"""

from absl import flags

from keras_bert.cli import options
from keras_bert.cli.finetune import define_training, training_settings
from keras_bert.errors import UsageError
from keras_bert.recipes.languages import LANGUAGES


def define(values):
    """The flags of `quickstart`."""
    options.define_data(values)
    flags.DEFINE_enum(
        "language", "en", list(LANGUAGES), "of the weights and of our sentences", flag_values=values
    )
    flags.DEFINE_string("model_dir", None, "another model folder than the language's", flag_values=values)
    flags.DEFINE_string("train_file", None, "your labelled file, in place of ours", flag_values=values)
    flags.DEFINE_string("eval_file", None, "your held-out file", flag_values=values)
    flags.DEFINE_string("output_dir", "quickstart", "folder to write", flag_values=values)
    flags.DEFINE_integer("max_seq_length", None, "longest sequence of pieces", 3, flag_values=values)
    # A few hundred sentences: small batches and a higher rate, else there are too few steps to learn in.
    define_training(values, batch_size=16, learning_rate=1e-4, epochs=5)


def run(values, positional):
    """Runs the recipe."""
    if bool(values.train_file) != bool(values.eval_file):
        raise UsageError("One file of two", expected="--train_file and --eval_file together, or neither")
    for flag in ("train_file", "eval_file"):
        if values[flag].value:
            options.existing_file(values[flag].value, flag)
    options.start_tensorflow()
    from keras_bert.recipes.quickstart import quickstart

    quickstart(
        output_dir=values.output_dir,
        model_dir=values.model_dir,
        train_file=values.train_file,
        eval_file=values.eval_file,
        language=values.language,
        reading=options.reading(values),
        max_length=values.max_seq_length,
        **training_settings(values),
    )
