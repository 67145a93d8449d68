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
from keras_bert.loading import load
from keras_bert.reports.card import model_card
from keras_bert.reports.plots import history_plot
from keras_bert.reports.progress import Progress, say
from keras_bert.reports.scores import score_table
from keras_bert.tasks import task_class
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.training.fit import fit
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
    reading: dict = dataclasses.field(default_factory=dict)  # columns, encoding, delimiter of the files
    train_batch_size: int = 32
    eval_batch_size: int = 32
    learning_rate: float = 5e-5
    epochs: int = 3
    warmup_proportion: float = 0.1
    warmup_steps: int | None = None
    weight_decay: float = 0.01
    seed: int = 0
    dtype: str = "float32"
    origin: str | None = None  # what the card calls the weights it started from; None: the folder's name

    def training(self) -> dict:
        """The settings that shape the training, for the card."""
        names = ("train_batch_size", "learning_rate", "epochs", "warmup_proportion", "warmup_steps",
                 "weight_decay", "dropout", "seed", "dtype")  # fmt: skip
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def finetune(run: FinetuneRun) -> tuple[Bert, dict | None]:
    """Trains, evaluates and saves.

    Args:
        run: FinetuneRun.
    Returns:
        (Bert, scores on the evaluation file or None).
    Raises:
        KerasBertError: whatever of the input cannot be used; nothing half-written stays.
    """
    folders.check_output(run.output_dir)  # before the training, not after it
    keras.utils.set_random_seed(run.seed)
    bert = _start(run)
    train = bert.dataset(run.train_file, run.train_batch_size, training=True, seed=run.seed, **run.reading)
    validation = bert.dataset(run.eval_file, run.eval_batch_size, **run.reading) if run.eval_file else None

    steps = int(train.cardinality())
    log = MetricsLog(run.train_batch_size, every=max(1, min(10, steps // 10)))
    progress = Progress(steps * run.epochs, run.epochs, run.train_batch_size)
    say(f"training on {run.train_file}: {run.epochs} epochs of {steps} batches")
    started = time.perf_counter()
    try:
        fit(
            bert.model, train, validation, epochs=run.epochs, learning_rate=run.learning_rate,
            warmup_proportion=run.warmup_proportion, warmup_steps=run.warmup_steps,
            weight_decay=run.weight_decay, callbacks=[log, progress],
        )  # fmt: skip
    finally:
        progress.close()
    seconds = time.perf_counter() - started
    scores = (
        bert.evaluate(run.eval_file, batch_size=run.eval_batch_size, **run.reading) if run.eval_file else None
    )
    _save(bert, run, log, scores, seconds)
    say(f"trained in {seconds:.0f} s, saved to {run.output_dir}")
    if scores is not None:
        print(score_table(scores, bert.task.labels))
    return bert, scores


def _start(run) -> Bert:
    """The model before training, with the classes of the data unless they are given."""
    kind = task_class(run.task)
    if run.labels is not None:
        settings = {"labels": run.labels}
    else:
        rows = open_source(run.train_file, kind, **run.reading)()
        settings = kind.settings_from_rows(rows)
    if run.max_length is not None:
        settings["max_length"] = run.max_length
    if run.preset:
        tokenizer = Tokenizer(run.vocab_file, lowercase=run.lowercase is not False)
        config = BertConfig.preset(run.preset, vocabulary_size=len(tokenizer.vocabulary)).with_dropout(
            run.dropout
        )
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


def _save(bert, run, log, scores, seconds):
    data = {"train_file": pathlib.Path(run.train_file).name}
    if run.eval_file:
        data["eval_file"] = pathlib.Path(run.eval_file).name
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
        example="Type a text here.",
    )

    def more(stage: pathlib.Path):
        (stage / "README.md").write_text(card, encoding="utf-8")
        lines = "".join(json.dumps(row) + "\n" for row in log.rows)
        (stage / "metrics.jsonl").write_text(lines, encoding="utf-8")
        if not history_plot(log.rows, stage / "history.png", title=pathlib.Path(run.output_dir).name):
            say("history.png is not drawn: matplotlib is missing (pip install 'keras-bert-kit[plots]')")

    bert.save(run.output_dir, more=more)
