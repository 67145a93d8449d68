"""Trains a task on a labelled file and saves a folder that transformers and kb.load open.

The class names are those of --train_file unless --labels names them. OUTPUT_DIR holds the model
(config.json, model.safetensors, vocab.txt), metrics.jsonl, history.png and a README.md card.
"""

from absl import flags

from keras_bert.cli import options
from keras_bert.errors import UsageError
from keras_bert.tasks import TASKS

REQUIRED = ("train_file", "output_dir")


def define(values):
    """The flags of `finetune`."""
    options.define_model(values)
    options.define_data(values)
    flags.DEFINE_enum("task", "classification", sorted(TASKS), "what to train", flag_values=values)
    flags.DEFINE_string("train_file", None, "labelled file to train on", flag_values=values)
    flags.DEFINE_string("eval_file", None, "labelled file to evaluate on", flag_values=values)
    flags.DEFINE_string("output_dir", None, "folder to write", flag_values=values)
    flags.DEFINE_list("labels", None, "class names, in the order of the outputs", flag_values=values)
    flags.DEFINE_string(
        "preset", None, "a size from random weights, in place of --model_dir", flag_values=values
    )
    flags.DEFINE_string("vocab_file", None, "vocab.txt of the --preset", flag_values=values)
    options.define_activation(values)
    options.define_dropout(values)
    define_training(values)


def define_training(values, batch_size=32, learning_rate=5e-5, epochs=3):
    """The flags of the training itself, which `quickstart` has too, with the verb's defaults."""
    flags.DEFINE_integer(
        "train_batch_size", batch_size, "texts in a batch, all replicas together", 1, flag_values=values
    )
    flags.DEFINE_integer("eval_batch_size", 32, "texts in an evaluation batch", 1, flag_values=values)
    flags.DEFINE_float("learning_rate", learning_rate, "highest rate", 0.0, flag_values=values)
    flags.DEFINE_integer("num_train_epochs", epochs, "passes over the training file", 1, flag_values=values)
    flags.DEFINE_float(
        "warmup_proportion", 0.1, "share of the steps in which the rate rises", 0.0, 1.0, flag_values=values
    )
    flags.DEFINE_integer("warmup_steps", None, "the same as a number of steps", 0, flag_values=values)
    flags.DEFINE_float("weight_decay", 0.01, "of kernels and embeddings", 0.0, flag_values=values)
    flags.DEFINE_integer(
        "random_seed", 0, "of new weights, dropout and the order of rows", 0, flag_values=values
    )
    flags.DEFINE_enum(
        "precision", "float32", ["float32", "mixed_bfloat16"], "of the arithmetic", flag_values=values
    )


def run(values, positional):
    """Trains, evaluates, saves."""
    options.existing_file(values.train_file, "train_file")
    if values.eval_file:
        options.existing_file(values.eval_file, "eval_file")
    if bool(values.model_dir) == bool(values.preset):
        raise UsageError("Nothing to start from, or two starts", expected="either --model_dir or --preset")
    if values.preset and not values.vocab_file:
        raise UsageError("--preset has no vocabulary", expected="--vocab_file=vocab.txt beside it")
    options.start_tensorflow()
    from keras_bert.recipes.finetune import FinetuneRun, finetune

    finetune(
        FinetuneRun(
            task=values.task,
            train_file=values.train_file,
            eval_file=values.eval_file,
            output_dir=values.output_dir,
            model_dir=values.model_dir,
            preset=values.preset,
            vocab_file=values.vocab_file,
            lowercase=values.do_lower_case,
            activation=values.activation,
            dropout=values.dropout,
            labels=values.labels,
            max_length=options.task_settings(values).get("max_length"),
            reading=options.reading(values),
            **training_settings(values),
        )
    )


def training_settings(values) -> dict:
    """The flags of `define_training` as fields of `FinetuneRun`."""
    return {
        "train_batch_size": values.train_batch_size,
        "eval_batch_size": values.eval_batch_size,
        "learning_rate": values.learning_rate,
        "epochs": values.num_train_epochs,
        "warmup_proportion": values.warmup_proportion,
        "warmup_steps": values.warmup_steps,
        "weight_decay": values.weight_decay,
        "seed": values.random_seed,
        "dtype": values.precision,
    }
