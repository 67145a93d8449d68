"""Trains a task on a labelled file and saves a folder that transformers and kb.load open.

The class names are those of --train_file unless --labels names them. With --eval_file every epoch is scored,
the best is kept, and thresholds are chosen. OUTPUT_DIR holds the model (config.json, model.safetensors,
vocab.txt), metrics.jsonl, history.png, errors.jsonl with the worst answers, and a README.md card.

With --seeds=0,1,2 every seed is trained into a folder of its own, OUTPUT_DIR/seed_0 ..., and the mean and the
standard deviation of the scores are printed. For multi_task the files are PART=FILE,PART=FILE, and
--task_settings names the parts: {"parts": {"intent": {"name": "classification"}, "slots": {"name":
"tagging"}}}.
"""

from absl import flags

from keras_bert.cli import options
from keras_bert.errors import UsageError
from keras_bert.tasks import FROM_ROWS

REQUIRED = ("train_file", "output_dir")


def define(values):
    """The flags of `finetune`."""
    options.define_model(values)
    options.define_data(values)
    flags.DEFINE_enum("task", "classification", sorted(FROM_ROWS), "what to train", flag_values=values)
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
    define_task(values)
    define_methods(values)


def define_task(values):
    """Settings of the tasks that most often are another than the default."""
    flags.DEFINE_bool("crf", None, "tagging: a CRF over the tags", flag_values=values)
    flags.DEFINE_float(
        "crf_rate_factor", None, "tagging: the CRF learns so many times as fast", 0.0, flag_values=values
    )
    flags.DEFINE_enum(
        "scheme", None, ["BIO", "BIOES", "IO", "tags"], "tagging: how spans are spelt", flag_values=values
    )
    flags.DEFINE_integer(
        "stride", None, "question_answering, tagging, classification: pieces from a window to the next", 1,
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_enum(
        "objective", None, ["cosine", "in_batch_negatives", "triplet"], "similarity: what is learnt",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_string(
        "task_settings", None, "any setting of the task, as a JSON object", flag_values=values
    )


def define_methods(values):
    """Ways of training beside the plain one."""
    flags.DEFINE_float(
        "layer_decay", None, "each lower layer learns slower by this factor, such as 0.9", 0.0, 1.0,
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "frozen_blocks", None, "the embeddings and so many blocks are not trained", 0, flag_values=values
    )
    flags.DEFINE_string("class_weights", None, "balanced, or LABEL=WEIGHT,LABEL=WEIGHT", flag_values=values)
    flags.DEFINE_float(
        "label_smoothing", 0.0, "share of the target spread over all classes", 0.0, 0.99, flag_values=values
    )
    flags.DEFINE_float(
        "adversarial", 0.0, "length of a push of the embeddings (FGM), such as 1.0", 0.0, flag_values=values
    )
    flags.DEFINE_float("r_drop", 0.0, "weight of R-Drop, such as 1.0", 0.0, flag_values=values)
    flags.DEFINE_bool("keep_best", True, "save the best epoch, not the last", flag_values=values)
    flags.DEFINE_integer(
        "patience", 0, "stop after so many epochs without a better score; 0: never", 0, flag_values=values
    )
    flags.DEFINE_list("seeds", None, "train once for each of these seeds", flag_values=values)


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
        "random_seed", 0, "of new weights, dropout and the order of rows", 0, options.HIGHEST_SEED,
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_enum(
        "precision", "float32", ["float32", "mixed_bfloat16"], "of the arithmetic", flag_values=values
    )


def run(values, positional):
    """Trains, evaluates, saves."""
    files = {"train_file": options.files_by_part(values.train_file, "train_file")}
    if values.eval_file:
        files["eval_file"] = options.files_by_part(values.eval_file, "eval_file")
    if bool(values.model_dir) == bool(values.preset):
        raise UsageError("Nothing to start from, or two starts", expected="either --model_dir or --preset")
    if values.preset and not values.vocab_file:
        raise UsageError("--preset has no vocabulary", expected="--vocab_file=vocab.txt beside it")
    options.start_tensorflow()
    from keras_bert.recipes.finetune import FinetuneRun, finetune
    from keras_bert.recipes.seeds import finetune_seeds

    run = FinetuneRun(
        task=values.task,
        **files,
        output_dir=values.output_dir,
        model_dir=values.model_dir,
        preset=values.preset,
        vocab_file=values.vocab_file,
        lowercase=values.do_lower_case,
        activation=values.activation,
        dropout=values.dropout,
        labels=values.labels,
        max_length=options.task_settings(values).get("max_length"),
        task_settings=_settings_of_task(values),
        reading=options.reading(values),
        **training_settings(values),
        **_methods(values),
    )
    if values.seeds:
        finetune_seeds(run, [_seed(seed) for seed in values.seeds])
    else:
        finetune(run)


def _settings_of_task(values) -> dict:
    names = ("crf", "crf_rate_factor", "scheme", "stride", "objective")
    given = {name: values[name].value for name in names if values[name].value is not None}
    return {**given, **options.json_flag(values.task_settings, "task_settings")}


def _methods(values) -> dict:
    """The flags of `define_methods` as fields of `FinetuneRun`."""
    names = ("layer_decay", "frozen_blocks", "label_smoothing", "adversarial", "r_drop", "keep_best",
             "patience")  # fmt: skip
    weights = values.class_weights
    if weights and weights != "balanced":
        try:
            weights = {name: float(w) for name, _, w in (p.rpartition("=") for p in weights.split(","))}
        except ValueError:
            raise UsageError(
                "These are no weights", where=f"--class_weights={values.class_weights}",
                expected="balanced, or LABEL=WEIGHT,LABEL=WEIGHT",
            ) from None  # fmt: skip
    return {**{name: values[name].value for name in names}, "class_weights": weights}


def _seed(given: str) -> int:
    if not given.isdecimal() or int(given) > options.HIGHEST_SEED:
        raise UsageError(
            f"{given!r} is no seed", where="--seeds",
            expected=f"whole numbers up to {options.HIGHEST_SEED}, such as 0,1,2",
        )  # fmt: skip
    return int(given)


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
