"""Pretraining from records to a saved folder: what `keras-bert pretrain` does."""

import contextlib
import dataclasses
import math
import pathlib

import keras

from keras_bert.bert import Bert
from keras_bert.checkpoints import folder as folders
from keras_bert.config import BertConfig
from keras_bert.corpus.masking import Masker
from keras_bert.corpus.reading import PretrainingRecords
from keras_bert.corpus.source import PretrainingData
from keras_bert.errors import UsageError
from keras_bert.loading import load
from keras_bert.recipes.pretrain_report import report
from keras_bert.reports.progress import Progress, say
from keras_bert.reports.tensorboard import TensorBoardLog
from keras_bert.reports.throughput import flops_per_example
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.training.cooccurrence import embed_cooccurrence
from keras_bert.training.interruption import Workers, peers_watched
from keras_bert.training.lamb import Lamb
from keras_bert.training.local_start import attend_locally
from keras_bert.training.metrics_log import MetricsLog
from keras_bert.training.optimizer import AdamW
from keras_bert.training.resume import Resume
from keras_bert.training.schedule import schedule
from keras_bert.training.sentinel import Sentinel

OPTIMIZERS = {"adamw": AdamW, "lamb": Lamb}
_SAMPLE = 8  # batches that are looked at to know how much is in one


@dataclasses.dataclass(kw_only=True)
class PretrainRun:
    """What a pretraining run is: the flags of `keras-bert pretrain`, see `keras-bert pretrain --help`."""

    input_file: str
    output_dir: str
    eval_file: str | None = None
    model_dir: str | None = None
    preset: str | None = None
    vocab_file: str | None = None
    lowercase: bool | None = None
    activation: str | None = None
    local_start: bool = False  # of new weights: see training/local_start.py
    cooccurrence_start: bool = False  # of new weights: see training/cooccurrence.py
    dropout: float | None = None  # None: that of the preset or the checkpoint
    masked_lm: bool = True
    next_sentence: bool | None = None  # None: where the records have pairs
    masks: dict = dataclasses.field(default_factory=dict)  # fields of Masking that are not the corpus'
    max_length: int | None = None
    packed: bool = False
    buckets: bool = False
    train_batch_size: int = 256
    eval_batch_size: int = 64
    accumulation_steps: int = 1
    num_train_steps: int | None = None
    num_train_epochs: int | None = None
    optimizer: str = "adamw"
    learning_rate: float = 1e-4
    schedule: str = "linear"
    warmup_steps: int | None = None
    warmup_proportion: float = 0.01
    weight_decay: float = 0.01
    layer_decay: float | None = None
    clip_norm: float = 1.0
    ema: float | None = None
    dtype: str = "float32"
    dropout_by_record: bool = False
    jit_compile: bool = False
    rematerialize: bool = False
    seed: int = 0
    eval_steps: int | None = None
    log_steps: int | None = None
    save_steps: int | None = None
    save_seconds: float = 600
    max_skipped: int = 0

    def training(self) -> dict:
        """The settings that shape the training: for the card, and what a resumed run must have again."""
        names = (
            "train_batch_size", "accumulation_steps", "optimizer", "learning_rate", "schedule",
            "warmup_steps", "weight_decay", "layer_decay", "clip_norm", "ema", "masked_lm",
            "next_sentence", "packed", "buckets", "max_length", "dropout", "dropout_by_record", "dtype",
            "jit_compile", "local_start", "cooccurrence_start", "seed",
        )  # fmt: skip
        given = ((name, getattr(self, name)) for name in names)
        # By `is`: a dropout of 0.0 is a setting, and equals False.
        return {name: value for name, value in given if value is not None and value is not False} | self.masks


def pretrain(run: PretrainRun, strategy=None) -> tuple[Bert, dict | None]:
    """Trains, evaluates and saves; started again, it goes on where it stopped.

    OUTPUT_DIR then holds model/ (a Hugging Face folder), metrics.jsonl, history.png, README.md,
    tensorboard/ and states/, from which the run goes on.

    Args:
        run: PretrainRun.
        strategy: tf.distribute.Strategy or None.
    Returns:
        (Bert, the last scores on the evaluation records or None).
    Raises:
        KerasBertError: whatever of the input cannot be used.
        Interrupted: a signal came, or another worker is gone; the state is saved.
    """
    output = pathlib.Path(run.output_dir)
    folders.check_output(output / "model")  # before the training, not after it
    records = PretrainingRecords(run.input_file, max_skipped=run.max_skipped)
    run = dataclasses.replace(
        run,
        next_sentence=records.has_pairs if run.next_sentence is None else run.next_sentence,
        # What a checkpoint has learnt is kept.
        local_start=run.local_start and run.preset is not None,
        cooccurrence_start=run.cooccurrence_start and run.preset is not None,
    )
    if run.next_sentence and not records.has_pairs:
        raise UsageError(
            "The records have no pairs of sentences", where=records.source, expected="--nonext_sentence",
            remedy="leave the flag out, or build the corpus with --next_sentence",
        )  # fmt: skip
    if run.masks and records.kind != "dynamic":
        raise UsageError(
            f"These records hold their masks: {', '.join(run.masks)} cannot be changed", where=records.source,
            remedy="build the corpus with --masking=dynamic",
        )  # fmt: skip
    keras.utils.set_random_seed(run.seed)
    with strategy.scope() if strategy is not None else contextlib.nullcontext():
        bert = _start(run, records, strategy)
    train = _data(run, records, bert.tokenizer, run.train_batch_size)
    evaluation = None
    if run.eval_file:
        evaluation = _data(
            run, PretrainingRecords(run.eval_file), bert.tokenizer, run.eval_batch_size, shuffle=False,
            drop_remainder=False,
        )  # fmt: skip
    total_steps = run.num_train_steps or (run.num_train_epochs or 1) * train.num_batches()
    run = dataclasses.replace(run, warmup_steps=_warmup_steps(run, total_steps))
    bert.model.compile(
        _optimizer(run, total_steps),
        accumulation_steps=run.accumulation_steps,
        dropout_by_record=run.dropout_by_record,
        jit_compile=run.jit_compile,
        rematerialize=run.rematerialize,
    )
    log = _fit(bert, run, train, evaluation, total_steps, strategy)
    # A worker that comes back to a run that was done has written no row, nor has it any to read.
    last = log.rows[-1] if log.rows else {}
    scores = {name[4:]: value for name, value in last.items() if name.startswith("val_")} or None
    if Workers(strategy).is_chief:
        report(bert, run, records, log, scores, total_steps)
    return bert, scores


def _start(run, records, strategy) -> Bert:
    """The model before training; a checkpoint takes on the vocabulary of the records."""
    settings = {"masked_lm": run.masked_lm, "next_sentence": run.next_sentence, "packed": run.packed}
    if run.max_length or records.max_length:
        settings["max_length"] = run.max_length or records.max_length
    own = None
    if run.vocab_file:
        own = Tokenizer(run.vocab_file, lowercase=run.lowercase is not False)
    elif records.manifest is not None:
        own = Tokenizer.from_folder(records.source, run.lowercase)
    if run.preset:
        if own is None:
            raise UsageError(
                "Nothing says what the ids are", where=records.source, expected="--vocab_file=vocab.txt"
            )
        config = BertConfig.preset(run.preset, vocabulary_size=len(own.vocabulary)).with_dropout(run.dropout)
        bert = Bert.from_config(config, own, "pretraining", dtype=run.dtype, **settings)
        if run.cooccurrence_start:
            _embed_cooccurrence(bert, records, strategy)
        if run.local_start:
            attend_locally(bert.encoder)
        return bert
    bert = load(
        run.model_dir, "pretraining", lowercase=run.lowercase, activation=run.activation,
        dropout=run.dropout, dtype=run.dtype, **settings,
    )  # fmt: skip
    if own is not None and list(own.vocabulary) != list(bert.tokenizer.vocabulary):
        bert = bert.with_vocabulary(own.vocabulary)
    return bert


def _embed_cooccurrence(bert, records, strategy):
    say("counting which pieces stand near one another")
    vocabulary = bert.tokenizer.vocabulary

    def rows(shard):
        part = records.part(shard)
        return part.rows(int(part.lengths.max(initial=1)), vocabulary.pad_id)["token_ids"]

    shards = range(len(records.files))
    embed_cooccurrence(bert.encoder, map(rows, shards), list(vocabulary.special_ids.values()))
    # Machines of another make round otherwise, and every worker must begin with the same weights.
    table = bert.encoder.get_layer("embeddings").token_embedding.embeddings
    table.assign(Workers(strategy).chiefs(table))


def _data(run, records, tokenizer, batch_size, **options) -> PretrainingData:
    masker, length = None, run.max_length or records.max_length
    if records.kind == "dynamic":
        masks = dict(run.masks)
        if "masked_lm_prob" in masks:  # else the slots of the corpus would cut the share
            needed = math.ceil(masks["masked_lm_prob"] * length)
            masks.setdefault("max_predictions_per_seq", max(needed, records.masks.max_predictions_per_seq))
        masker = Masker(tokenizer.vocabulary, dataclasses.replace(records.masks, **masks), run.seed)
    return PretrainingData(
        records, batch_size, masker=masker, seed=run.seed,
        max_length=None if run.packed else run.max_length, buckets=run.buckets,
        packed=length if run.packed else None, **options,
    )  # fmt: skip


def _warmup_steps(run, total_steps) -> int:
    steps = run.warmup_steps
    return min(round(total_steps * run.warmup_proportion) if steps is None else steps, total_steps)


def _optimizer(run, total_steps):
    rate = schedule(run.schedule, run.learning_rate, total_steps, run.warmup_steps)
    return OPTIMIZERS[run.optimizer](
        rate, weight_decay=run.weight_decay, global_clipnorm=run.clip_norm or None,
        layer_decay=run.layer_decay, use_ema=run.ema is not None,
        ema_momentum=0.999 if run.ema is None else run.ema,
    )  # fmt: skip


def _fit(bert, run, train, evaluation, total_steps, strategy) -> MetricsLog:
    output, writes = pathlib.Path(run.output_dir), Workers(strategy).is_chief
    eval_steps = min(run.eval_steps or max(1, min(1000, total_steps // 10)), total_steps)
    content = _content(train, bert.config, run)
    log = MetricsLog(
        content["examples"], run.log_steps or max(1, min(100, total_steps // 50)),
        file=output / "metrics.jsonl", writes=writes, windowed=_metric_names(run),
        tokens_per_example=content["tokens"], flops_per_example=content["flops"],
    )  # fmt: skip
    board = TensorBoardLog(output / "tensorboard", log, writes=writes)
    shown = []
    if writes:
        shown.append(Progress(total_steps, None, content["examples"], tokens_per_example=content["tokens"]))
        say(f"pretraining on {run.input_file}: {total_steps:,} steps of {run.train_batch_size:,}")
    resume = Resume(
        output / "states", train, every_steps=run.save_steps, every_seconds=run.save_seconds,
        total_steps=total_steps, callbacks=[log, board, *shown],
        settings={**run.training(), "num_train_steps": total_steps, "examples": train.records.num_examples},
    )  # fmt: skip
    watch = Sentinel(train, bert.task.batch, output)
    validation = {}
    if evaluation is not None:
        validation = {
            "validation_data": evaluation.dataset(bert.task.batch, strategy=strategy),
            "validation_steps": evaluation.num_batches(),
        }
    try:
        with peers_watched(strategy, resume):
            bert.model.fit(
                train.dataset(bert.task.batch, strategy=strategy), steps_per_epoch=eval_steps,
                epochs=-(-total_steps // eval_steps), verbose=0,
                callbacks=[watch, log, board, *shown, resume], **validation,
            )  # fmt: skip
    except Exception:
        if train.fault is not None:  # tf.data says it in words of its own
            raise train.fault from None
        raise
    finally:
        for progress in shown:
            progress.close()
    return log


def _metric_names(run):
    names = ["loss"]
    for part, is_learnt in (("mlm", run.masked_lm), ("nsp", run.next_sentence)):
        names += [f"{part}_loss", f"{part}_accuracy"] * is_learnt
    return names


def _content(data, config, run) -> dict:
    """What a step holds, from the first batches: examples; real pieces and operations of an example."""
    batches = [data.batch(0, i) for i in range(min(_SAMPLE, data.num_batches()))]
    examples = sum(int((batch["record_indices"] >= 0).sum()) for batch in batches)
    tokens = sum(int(batch["padding_mask"].sum()) for batch in batches)
    flops = 0
    for batch in batches:
        slots = batch["mask_positions"].shape[1] if run.masked_lm else 0
        row = flops_per_example(config, batch["token_ids"].shape[1], slots, run.next_sentence)
        flops += row * len(batch["token_ids"])
    return {"examples": examples / len(batches), "tokens": tokens / examples, "flops": flops / examples}
