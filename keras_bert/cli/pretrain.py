"""Pretrains a BERT on records, from random weights or from a checkpoint, on any number of devices.

--input_file is a folder that `keras-bert corpus` built, or TFRecords of Google's script. --preset begins with
random weights and the corpus' vocabulary; --model_dir goes on with a checkpoint, which takes on the corpus'
vocabulary where that is another one. Killed or stopped (exit code 75), the same command goes on from the last
saved state, bit for bit. OUTPUT_DIR holds model/, metrics.jsonl, history.png, tensorboard/ and a README.md.
The last line printed is one JSON object of the scores on --eval_file.
"""

import importlib

from absl import flags

from keras_bert.cli import options
from keras_bert.errors import UsageError

REQUIRED = ("input_file", "output_dir")
_INTEGERS = (
    ("train_batch_size", 256, "examples (rows, if packed) of a step, all replicas together"),
    ("eval_batch_size", 64, "the same for the evaluation"),
    ("accumulation_steps", 1, "train a batch in so many parts, to need less memory"),
    ("num_train_steps", None, "steps of the whole run"),
    ("num_train_epochs", None, "the same in passes over the records; without both, one pass"),
    ("eval_steps", None, "steps between two evaluations; without it a tenth of the run, at most 1000"),
    ("log_steps", None, "steps between two lines of metrics.jsonl; without it a fiftieth, at most 100"),
    ("save_steps", None, "steps between two saved states, beside --save_seconds"),
)
_MASKS = ("masked_lm_prob", "max_predictions_per_seq")
_FIELDS = (
    "input_file", "output_dir", "eval_file", "model_dir", "preset", "vocab_file", "activation", "dropout",
    "masked_lm", "next_sentence", "packed", "buckets", "train_batch_size", "eval_batch_size",
    "accumulation_steps", "num_train_steps", "num_train_epochs", "optimizer", "learning_rate",
    "schedule", "warmup_steps", "warmup_proportion", "weight_decay", "layer_decay", "clip_norm", "ema",
    "dropout_by_record", "jit_compile", "rematerialize", "local_start", "cooccurrence_start",
    "eval_steps", "log_steps", "save_steps", "save_seconds", "max_skipped",
)  # fmt: skip


def define(values):
    """The flags of `pretrain`."""
    options.define_model(values)
    options.define_activation(values)
    options.define_dropout(values)
    flags.DEFINE_string(
        "input_file", None, "pretraining records: a folder, files, patterns", flag_values=values
    )
    flags.DEFINE_string(
        "eval_file", None, "held-out records, with the masks they have if any", flag_values=values
    )
    flags.DEFINE_string("output_dir", None, "folder of the run", flag_values=values)
    flags.DEFINE_string(
        "preset", None, "a size from random weights, in place of --model_dir", flag_values=values
    )
    flags.DEFINE_string(
        "vocab_file", None, "vocab.txt of records that have none beside them", flag_values=values
    )
    flags.DEFINE_bool(
        "local_start",
        False,
        "with --preset: begin with heads that look at neighbouring pieces, which learns much sooner",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "cooccurrence_start",
        False,
        "with --preset: begin with embeddings that tell which pieces stand near one another",
        flag_values=values,
    )
    for name, default, text in _INTEGERS:
        flags.DEFINE_integer(name, default, text, 1, flag_values=values)
    flags.DEFINE_enum(
        "recipe", None, ["paper", "efficient"], "settings for what is not given: keras_bert/recipes/",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer("max_skipped", 0, "so many damaged examples may be left out", 0, flag_values=values)
    define_objectives(values)
    define_optimizer(values)
    options.define_strategy(values)


def define_objectives(values):
    """What is learnt, and how rows are laid out."""
    flags.DEFINE_bool("masked_lm", True, "learn masked pieces", flag_values=values)
    flags.DEFINE_bool(
        "next_sentence", None, "learn next sentence; without it where there are pairs", flag_values=values
    )
    flags.DEFINE_float(
        "masked_lm_prob", None, "share of masked pieces; without it the corpus'", 0.0, 1.0, flag_values=values
    )
    flags.DEFINE_integer(
        "max_predictions_per_seq", None, "masked pieces at most; likewise", 1, flag_values=values
    )
    flags.DEFINE_bool("packed", False, "put several examples into a row, isolated", flag_values=values)
    flags.DEFINE_bool("buckets", False, "batches of about one length each", flag_values=values)
    flags.DEFINE_bool(
        "dropout_by_record",
        False,
        "dropout that does not depend on the number of replicas",
        flag_values=values,
    )


def define_optimizer(values):
    """How the weights are updated."""
    flags.DEFINE_enum("optimizer", "adamw", ["adamw", "lamb"], "the optimizer", flag_values=values)
    flags.DEFINE_float("learning_rate", 1e-4, "highest rate", 0.0, flag_values=values)
    flags.DEFINE_enum(
        "schedule", "linear", ["linear", "polynomial", "cosine", "stable_decay"],
        "of the rate, after the warm-up",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer("warmup_steps", None, "steps in which the rate rises", 0, flag_values=values)
    flags.DEFINE_float(
        "warmup_proportion", 0.01, "the same as a share of the steps", 0.0, 1.0, flag_values=values
    )
    flags.DEFINE_float("weight_decay", 0.01, "of kernels and embeddings", 0.0, flag_values=values)
    flags.DEFINE_float(
        "layer_decay", None, "rate of a block over that of the next", 0.0, 1.0, flag_values=values
    )
    flags.DEFINE_float(
        "clip_norm", 1.0, "largest norm of all gradients together; 0: any", 0.0, flag_values=values
    )
    flags.DEFINE_float(
        "ema", None, "momentum of averaged weights, which are then saved", 0.0, 1.0, flag_values=values
    )
    flags.DEFINE_enum(
        "precision", "float32", ["float32", "mixed_bfloat16"], "of the arithmetic", flag_values=values
    )
    flags.DEFINE_bool(
        "rematerialize",
        False,
        "compute every block again on the way back: about half the memory, slower",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "jit_compile",
        False,
        "compile the step with XLA: faster in float32, on one device and rows of one length",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "random_seed", 0, "of weights, masks, dropout and order", 0, options.HIGHEST_SEED, flag_values=values
    )
    flags.DEFINE_float("save_seconds", 600, "seconds between two saved states", 0.0, flag_values=values)


def run(values, positional):
    """Trains, evaluates, saves."""
    if bool(values.model_dir) == bool(values.preset):
        raise UsageError("Nothing to start from, or two starts", expected="either --model_dir or --preset")
    for start in ("local_start", "cooccurrence_start"):
        if values.model_dir and values[start].present and values[start].value:
            raise UsageError(
                f"--{start} is a start from random weights, and --model_dir gives weights",
                expected=f"--preset, or no --{start}",
            )
    from keras_bert.training.interruption import sigterm_interrupts

    with sigterm_interrupts():
        options.start_tensorflow()
        strategy = options.strategy(values)
        from keras_bert.recipes.pretrain import PretrainRun, pretrain
        from keras_bert.reports.scores import as_json

        _, scores = pretrain(PretrainRun(**_settings(values)), strategy)
    if scores is not None:
        print(as_json(scores))


def _settings(values) -> dict:
    """The fields of `PretrainRun`: what was given, else the recipe's, else the flag's default."""
    recipe = importlib.import_module(f"keras_bert.recipes.{values.recipe}").SETTINGS if values.recipe else {}
    masks = {name: values[name].value for name in _MASKS if values[name].present}
    settings = {
        "lowercase": values.do_lower_case,
        "max_length": options.task_settings(values).get("max_length"),
        **recipe,
        "masks": {**recipe.get("masks", {}), **masks},
    }
    for flag, field in {**dict.fromkeys(_FIELDS), "precision": "dtype", "random_seed": "seed"}.items():
        if values[flag].present or (field or flag) not in recipe:
            settings[field or flag] = values[flag].value
    return settings
