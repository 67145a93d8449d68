"""Fine-tuning from a file to a saved folder: what `keras-bert finetune` does."""

import dataclasses
import json
import pathlib
import time

import keras

from keras_bert.bert import Bert
from keras_bert.checkpoints import folder as folders
from keras_bert.config import BertConfig
from keras_bert.data.pipeline import open_source
from keras_bert.errors import UsageError
from keras_bert.loading import load
from keras_bert.recipes.parts import answered_parts, scores_of_parts, tune_parts, worst_of_parts
from keras_bert.reports.card import example_for, model_card
from keras_bert.reports.errors import worst_answers
from keras_bert.reports.plots import history_plot
from keras_bert.reports.progress import Progress, say
from keras_bert.reports.scores import score_table
from keras_bert.tasks import task_class
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.training.best import BestEpoch
from keras_bert.training.class_weights import with_class_weights
from keras_bert.training.fit import fit
from keras_bert.training.label_smoothing import smoothed
from keras_bert.training.metrics_log import MetricsLog


@dataclasses.dataclass(kw_only=True)
class FinetuneRun:
    """What a fine-tuning run is: the flags of `keras-bert finetune`, see `keras-bert finetune --help`."""

    train_file: str
    output_dir: str
    task: str = "classification"
    eval_file: str | None = None
    model_dir: str | None = None
    preset: str | None = None
    vocab_file: str | None = None
    lowercase: bool | None = None
    activation: str | None = None
    dropout: float | None = None  # None: that of the preset or the checkpoint
    labels: list[str] | None = None
    max_length: int | None = None
    task_settings: dict = dataclasses.field(default_factory=dict)  # others of the task
    reading: dict = dataclasses.field(default_factory=dict)  # columns, encoding, delimiter of the files
    train_batch_size: int = 32
    eval_batch_size: int = 32
    learning_rate: float = 5e-5
    epochs: int = 3
    warmup_proportion: float = 0.1
    warmup_steps: int | None = None
    weight_decay: float = 0.01
    layer_decay: float | None = None  # lower layers learn slower by this factor
    frozen_blocks: int | None = None  # the embeddings and so many blocks are not trained
    class_weights: str | dict | None = None  # "balanced", or weight by label
    label_smoothing: float = 0.0
    adversarial: float = 0.0
    r_drop: float = 0.0
    keep_best: bool = True  # of the epochs, by the main score on the evaluation file
    patience: int = 0  # epochs without a better one after which training ends; 0: never
    seed: int = 0
    dtype: str = "float32"
    origin: str | None = None  # what the card calls the weights it started from; None: the folder's name

    def training(self) -> dict:
        """The settings that shape the training, for the card."""
        names = ("train_batch_size", "learning_rate", "epochs", "warmup_proportion", "warmup_steps",
                 "weight_decay", "dropout", "layer_decay", "frozen_blocks", "class_weights",
                 "label_smoothing", "adversarial", "r_drop", "patience", "seed", "dtype")  # fmt: skip
        given = {name: getattr(self, name) for name in names}
        # Of the others 0 says much.
        off = dict.fromkeys(("label_smoothing", "adversarial", "r_drop", "patience"), 0)
        return {name: value for name, value in given.items() if value is not None and value != off.get(name)}


def finetune(run: FinetuneRun) -> tuple[Bert, dict | None]:
    """Trains, keeps the best epoch, tunes thresholds, evaluates and saves.

    Args:
        run: FinetuneRun.
    Returns:
        (Bert, scores on the evaluation file or None).
    Raises:
        KerasBertError: whatever of the input cannot be used; nothing half-written stays.
    """
    folders.check_output(run.output_dir)  # before the training, not after it
    if run.patience and not run.eval_file:
        raise UsageError(
            "Nothing says which epoch is better", where="patience", expected="an evaluation file beside it"
        )
    keras.utils.set_random_seed(run.seed)
    bert = _start(run)
    freeze(bert, run.frozen_blocks)
    train = bert.dataset(run.train_file, run.train_batch_size, training=True, seed=run.seed, **run.reading)
    train = with_class_weights(train, run.class_weights, bert.task)
    validation = bert.dataset(run.eval_file, run.eval_batch_size, **run.reading) if run.eval_file else None

    steps = int(train.cardinality())
    log = MetricsLog(run.train_batch_size, every=max(1, min(10, steps // 10)))
    progress = Progress(steps * run.epochs, run.epochs, run.train_batch_size)
    best = _best_epoch(bert, run)
    say(f"training on {_names(run.train_file)}: {run.epochs} epochs of {steps} batches")
    started = time.perf_counter()
    try:
        fit(
            bert.model, train, validation, epochs=run.epochs, learning_rate=run.learning_rate,
            warmup_proportion=run.warmup_proportion, warmup_steps=run.warmup_steps,
            weight_decay=run.weight_decay, layer_decay=run.layer_decay,
            **smoothed(bert.model, bert.task, run.label_smoothing),
            r_drop=run.r_drop, adversarial=run.adversarial,
            callbacks=[*([best] if best else []), log, progress],
        )  # fmt: skip
    finally:
        progress.close()
    seconds = time.perf_counter() - started
    best = best if run.keep_best else None  # else it has only watched
    scores, worst = _evaluated(bert, run, best)
    _save(bert, run, log, scores, seconds, worst)
    say(f"trained in {seconds:.0f} s, saved to {run.output_dir}")
    if best and run.epochs > 1:
        say(f"kept epoch {best.epoch} of {best.epochs_seen}: {best.main} {best.best:.4f}")
    if scores is not None:
        print(score_table(scores, bert.task.labels))
    return bert, scores


def freeze(bert: Bert, blocks: int | None):
    """Holds the embeddings and the lowest `blocks` blocks as they are; None holds nothing."""
    if blocks is None:
        return
    if not 0 <= blocks <= bert.config.num_layers:
        raise UsageError(
            f"{blocks} blocks cannot be frozen",
            where="frozen_blocks",
            expected=f"0 to {bert.config.num_layers}",
        )
    for name in ("embeddings", *(f"block_{i}" for i in range(blocks))):
        bert.encoder.get_layer(name).trainable = False


def _best_epoch(bert, run) -> BestEpoch | None:
    """What scores every epoch, where there is a file to score on."""
    if not run.eval_file or not (run.keep_best or run.patience):
        return None

    def score():
        if bert.task.parts:
            answered = answered_parts(bert, run.eval_file, **_evaluation(run))
            return scores_of_parts(bert, answered), answered
        gold, answers = bert.answered(run.eval_file, **_evaluation(run))
        return bert.task.scores(gold, answers), (gold, answers)

    return BestEpoch(score, bert.task.main_score, run.patience, run.keep_best)


def _evaluation(run) -> dict:
    """How the evaluation file is read."""
    return {"batch_size": run.eval_batch_size, **run.reading}


def _evaluated(bert, run, best) -> tuple[dict | None, list]:
    """(scores on the evaluation file, the worst answers); thresholds are tuned on it first.

    What the best epoch answered is not asked again: the model has its weights.
    """
    if not run.eval_file:
        return None, []
    if bert.task.parts:
        answered = best.answered if best else answered_parts(bert, run.eval_file, **_evaluation(run))
        if tuned := tune_parts(bert, answered):
            say(f"tuned on {_names(run.eval_file)}: {', '.join(tuned)}")
            answered = answered_parts(bert, run.eval_file, **_evaluation(run))
        return scores_of_parts(bert, answered), worst_of_parts(bert, answered)
    gold, answers = best.answered if best else bert.answered(run.eval_file, **_evaluation(run))
    tuned = bert.task.tuned(gold, answers)
    if tuned:
        bert.retune(**tuned)
        say(f"tuned on {_names(run.eval_file)}: {', '.join(tuned)}")
        gold, answers = bert.answered(run.eval_file, **_evaluation(run))
    scores = {**bert.task.scores(gold, answers), "rows": len(gold)}
    return scores, worst_answers(bert.task, gold, answers)


def _names(files, short=False) -> str:
    """A file, or the files of the parts of a task; `short`: without their folders."""
    if isinstance(files, dict):
        return ", ".join(f"{part}={_names(file, short)}" for part, file in files.items())
    return pathlib.Path(files).name if short else files


def _start(run) -> Bert:
    """The model before training, with the classes of the data unless they are given."""
    settings = {**_settings_from_data(run), **run.task_settings}
    if run.max_length is not None:
        settings["max_length"] = run.max_length
    if run.preset:
        tokenizer = Tokenizer(run.vocab_file, lowercase=run.lowercase is not False)
        config = BertConfig.preset(run.preset, vocabulary_size=len(tokenizer.vocabulary)).with_dropout(
            run.dropout
        )
        if run.activation:
            config = config.replace(activation=run.activation)
        return Bert.from_config(config, tokenizer, run.task, dtype=run.dtype, **settings)
    return load(
        run.model_dir,
        run.task,
        lowercase=run.lowercase,
        activation=run.activation,
        dropout=run.dropout,
        dtype=run.dtype,
        **settings,
    )


def _settings_from_data(run) -> dict:
    """The settings of the task that its training rows decide, and the labels where they are given."""
    kind = task_class(run.task)
    if run.task == "multi_task":
        if run.labels is not None:
            raise UsageError(
                "Every part has labels of its own", where="labels",
                expected='{"parts": {"mood": {"name": "classification", "labels": [...]}}} as task_settings',
            )  # fmt: skip
        parts = {}
        for name, given in _parts_of(run).items():
            part = task_class(given.get("name", ""))
            rows = open_source(run.train_file.get(name), part, **run.reading)()
            parts[name] = {**part.settings_from_rows(rows), **given}
        run.task_settings = {**run.task_settings, "parts": parts}
        return {}
    for name in ("train_file", "eval_file"):
        if isinstance(getattr(run, name), dict):
            raise UsageError(
                f"The task {run.task} has no parts with a file each", where=name, expected="one file"
            )
    if run.labels is None:
        return kind.settings_from_rows(open_source(run.train_file, kind, **run.reading)())
    rest = {}
    if kind.row_kind:  # the rows decide more than the labels
        rest = kind.settings_from_rows(open_source(run.train_file, kind, **run.reading)())
    return {**rest, "labels": run.labels}


def _parts_of(run) -> dict:
    """The settings of every part of a multi-task run, each of which has a file."""
    parts = run.task_settings.get("parts")
    if not isinstance(parts, dict) or not all(isinstance(part, dict) for part in parts.values()):
        raise UsageError(
            f"The parts are {parts!r}", where="task_settings",
            expected='{"parts": {"intent": {"name": "classification"}, ...}}',
        )  # fmt: skip
    for name in ("train_file", "eval_file"):
        files = getattr(run, name)
        if files and (not isinstance(files, dict) or files.keys() != parts.keys()):
            raise UsageError(
                f"The files are {_names(files)}, the parts {', '.join(parts)}", where=name,
                expected=f"a file for every part: {','.join(f'{part}=FILE' for part in parts)}",
            )  # fmt: skip
    return parts


def _save(bert, run, log, scores, seconds, worst):
    data = {"train_file": _names(run.train_file, short=True)}
    if run.eval_file:
        data["eval_file"] = _names(run.eval_file, short=True)
    card = model_card(
        title=pathlib.Path(run.output_dir).name,
        task=run.task,
        labels=bert.task.labels,
        origin=run.origin
        or (f"random weights ({run.preset})" if run.preset else pathlib.Path(run.model_dir).name),
        data=data,
        settings={
            **run.training(),
            "max_length": bert.task.max_length,
            "training_seconds": round(seconds, 1),
        },
        scores=scores,
        config=bert.config,
        example=example_for(bert.task),
    )

    def more(stage: pathlib.Path):
        (stage / "README.md").write_text(card, encoding="utf-8")
        for name, rows in (("metrics.jsonl", log.rows), ("errors.jsonl", worst)):
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (stage / name).write_text(lines, encoding="utf-8")
        if not history_plot(log.rows, stage / "history.png", title=pathlib.Path(run.output_dir).name):
            say("history.png is not drawn: matplotlib is missing (pip install 'keras-bert-kit[plots]')")

    bert.save(run.output_dir, more=more)
