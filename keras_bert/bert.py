"""`Bert`: encoder, head, tokeniser and task joined; what `kb.load` returns."""

import contextlib
import copy
import functools

import numpy as np

from keras_bert.checkpoints.sentence_transformers import Pooling
from keras_bert.checkpoints.vocabulary_change import exchanged
from keras_bert.config import BertConfig, check_goes_with
from keras_bert.data.pipeline import Rows, open_source
from keras_bert.encoder import bert_encoder
from keras_bert.errors import UsageError
from keras_bert.heads import head_model
from keras_bert.inference import Answerer, TracedModel, embed, predict, text_columns, with_a_token
from keras_bert.layers import blank_weights
from keras_bert.saving import save
from keras_bert.tasks import task_class
from keras_bert.tasks.base import Task, rows_by_part
from keras_bert.text.tokenizer import Tokenizer

DEFAULT_MAX_LENGTH = 128


class Bert:
    """Encoder, head, tokeniser and task, joined.

    Args:
        config: BertConfig.
        tokenizer: Tokenizer.
        task: Task or None.
        dtype: str or None. Keras dtype policy of the network.
        blank: bool. The encoder's weights begin with no value, because they are given right afterwards.

    Attributes:
        encoder: functional `keras.Model`, {token_ids, segment_ids, padding_mask} ->
            {sequence_output (B, T, D), pooled_output (B, D)}.
        model: `BertModel`, encoder and head; None without a task. Compile it, fit it, save it: plain Keras.
        head_model: functional `keras.Model` of the checkpoint's own head where no task was asked for:
            features -> {logits ...}; None without one.
        raw_config: dict. The `config.json` it was loaded from; keys we do not know are saved again.
        pooling: how `embed` makes one vector of a text, as sentence-transformers said; None: the mean.

    Raises:
        ConfigError: the vocabulary has more pieces than the embedding table has rows, or the task's
            `max_length` exceeds the position table.
    """

    def __init__(self, config: BertConfig, tokenizer: Tokenizer, task=None, *, dtype=None, blank=False):
        check_goes_with(config, len(tokenizer.vocabulary), task.max_length if task is not None else None)
        if task is not None:
            task.prepare(tokenizer)
        self.config, self.tokenizer, self.task = config, tokenizer, task
        self.raw_config, self.pooling = {}, None
        self.head, self.head_model, self.head_labels, self.head_config = None, None, None, config
        with blank_weights() if blank else contextlib.nullcontext():
            self.encoder = bert_encoder(config, dtype=dtype)
        self.model = task.head(self.encoder, config) if task is not None else None

    @classmethod
    def from_config(cls, config, tokenizer, task=None, *, dtype=None, blank=False, **settings) -> "Bert":
        """A BERT with random weights; `task` by name, `settings` are the task's."""
        if task is None:
            return cls(config, tokenizer, dtype=dtype, blank=blank)
        kind = task_class(task)
        settings.setdefault("max_length", min(kind.usual_length, config.max_sequence_length))
        try:
            built = kind(**settings)
        except TypeError as error:
            raise UsageError(
                f"The task {task} does not accept these settings: {error}", where="kb.load",
                expected="the settings its class documents, such as labels=[...] and max_length=...",
            ) from error  # fmt: skip
        return cls(config, tokenizer, built, dtype=dtype, blank=blank)

    def add_head(self, head, num_labels=None, *, tied=True, config=None):
        """Puts a head of `keras_bert.heads` on the encoder as `head_model`; its weights start fresh.

        Args:
            head: str. A key of `keras_bert.heads.HEADS`.
            num_labels: int. Of a head over classes.
            tied: bool. Whether a masked LM's decoder is the table of token embeddings.
            config: BertConfig or None. Whose activation and epsilon the head has; None means the encoder's.
        """
        self.head_config = config or self.config
        with_classes = head in ("sequence_classification", "token_classification")
        self.head_model = head_model(
            self.encoder, self.head_config, head, num_labels=num_labels if with_classes else None, tied=tied
        )
        self.head = head

    @functools.cached_property
    def answerer(self) -> Answerer:
        """Text to answer and ids to answer as graph functions; what `export` writes."""
        self.need_task()
        return Answerer(self._traced, self.task, self._in_graph, self.config)

    @functools.cached_property
    def portable_answerer(self) -> Answerer:
        """The same for runtimes that know fewer operations: every batch is computed with its padding."""
        self.need_task()
        return Answerer(TracedModel(self.model, portable=True), self.task, self._in_graph, self.config)

    @functools.cached_property
    def _traced(self):
        return TracedModel(self.model)

    @functools.cached_property
    def _in_graph(self):
        return self.tokenizer.in_graph(allow_special=self.task.allow_special if self.task else ())

    def need_task(self):
        """Raises UsageError where the model has no task to answer with."""
        if self.task is None:
            raise UsageError(
                "This model has no head", expected="a task",
                remedy='load it with one: kb.load(folder, task="classification", labels=[...])',
            )  # fmt: skip

    def dataset(self, source, batch_size=32, *, training=False, seed=0, **reading):
        """Batches for `bert.model.fit` and `evaluate`.

        Args:
            source: path of a .tsv, .csv or .jsonl file, a DataFrame, (texts, labels), (texts, text pairs,
                labels), a dict of columns, a list of dicts, or a `tf.data.Dataset` of dicts of strings.
            batch_size: int. GLOBAL batch size.
            training: bool. Shuffled anew every epoch.
            seed: int. Of the shuffling.
            **reading: `columns`, a dict from our column name to the source's column name or position; for
                a file also `encoding` (UTF-8 by default) and `delimiter`.
        Returns:
            `tf.data.Dataset` of (features, targets, sample weights).
        Raises:
            DataError: a row that cannot be used, with file and line.
        """
        self.need_task()
        return self.task.dataset(source, self._in_graph, batch_size, training=training, seed=seed, **reading)

    def preprocess(self, texts, text_pair=None) -> dict:
        """Strings (B,) -> {token_ids, segment_ids, padding_mask: int32 (B, T)}; usable in `Dataset.map`."""
        length = self.task.max_length if self.task is not None else self.config.max_sequence_length
        return self._in_graph.features(texts, text_pair, max_length=length)

    def encode(self, texts, text_pair=None) -> dict:
        """What the encoder makes of texts; needs no task.

        Args:
            texts, text_pair: str or sequences of str.
        Returns:
            {sequence_output: float array (B, T, D), pooled_output: (B, D)}.
        """
        texts = [texts] if isinstance(texts, str) else texts
        text_pair = [text_pair] if isinstance(text_pair, str) else text_pair
        outputs = self.encoder(with_a_token(self.preprocess(texts, text_pair)), training=False)
        return {name: np.asarray(value).astype("float32") for name, value in outputs.items()}

    def embed(self, texts, *, batch_size=32) -> np.ndarray:
        """One vector a text, pooled from its tokens as a similarity task does, else as `pooling` says.

        Args:
            texts: str or sequence of str.
            batch_size: int.
        Returns:
            float32 array (B, D).
        """
        own = self.task.text_pooling if self.task is not None else None
        pooling = Pooling(**own) if own else self.pooling or Pooling()
        length = min(pooling.max_length or DEFAULT_MAX_LENGTH, self.config.max_sequence_length)
        return embed(self.encoder, self._in_graph, texts, length, pooling.mode, pooling.normalize, batch_size)

    def serve(self, *texts) -> dict:
        """The exported function: string tensors (B,), of lists (B, C), one a column -> the answer."""
        self.need_task()
        columns = (*self.task.columns, *self.task.list_columns, *self.task.optional_columns)
        return self.answerer.text(dict(zip(columns, texts, strict=False)))

    def predict(self, texts, text_pair=None, *, batch_size=32) -> list[dict]:
        """Answers to texts, one dict a text, in their order.

        Args:
            texts: str, sequence of str, or dict of columns.
            text_pair: str or sequence of str, where the task takes two texts.
            batch_size: int.
        """
        self.need_task()
        columns = text_columns(self.task, texts, text_pair)
        return predict(self.answerer, self.task, columns, batch_size)

    def evaluate(self, source, *, batch_size=32, **reading) -> dict:
        """The task's scores over a whole source (as `dataset` takes it), from what `predict` answers."""
        self.need_task()
        if not self.task.learns_from_rows:
            if not self.model.compiled:
                self.model.compile()
            return self.model.evaluate(
                self.dataset(source, batch_size, **reading), verbose=0, return_dict=True
            )
        if self.task.parts:
            scores = {
                name: self.part(name).evaluate(rows, batch_size=batch_size, **reading)
                for name, rows in rows_by_part(self.task, source, "evaluate", UsageError).items()
            }
            return {**self.task.scores_of_parts(scores), **scores}
        gold, answers = self.answered(source, batch_size=batch_size, **reading)
        return {**self.task.scores(gold, answers), "rows": len(gold)}

    def answered(self, source, *, batch_size=32, **reading) -> tuple[list[dict], list[dict]]:
        """(checked rows, answers as of `predict`) of a whole labelled source, as `dataset` takes it."""
        self.need_task()
        rows = Rows(open_source(source, self.task, **reading), self.task)
        gold = list(rows.checked())
        return gold, predict(self.answerer, self.task, rows.texts_of(gold), batch_size)

    def part(self, name: str) -> "Bert":
        """This model answering one of its task's parts alone; the weights are shared."""
        self.need_task()
        if name not in self.task.parts:
            raise UsageError(f"There is no part {name!r}", expected=f"of {', '.join(self.task.parts)}")
        part = copy.copy(self)
        part._forget_answerers()
        vars(part)["_traced"] = self._traced  # one function for all parts
        part.task = self.task.parts[name]
        return part

    def retune(self, **settings):
        """Gives the task other settings, such as a threshold chosen on a dev set; the weights stay.

        Args:
            **settings: some of `bert.task.settings()`; none that shape the head.
        """
        self.need_task()
        if not isinstance(self.task, Task):
            raise UsageError(
                "A part is retuned with the whole",
                where="retune",
                expected="retune(parts={...}) of the whole",
            )
        self.task = type(self.task)(**{**self.task.settings(), **settings})
        self.task.prepare(self.tokenizer)
        self._forget_answerers()

    def _forget_answerers(self):
        for name in ("answerer", "portable_answerer"):
            vars(self).pop(name, None)

    def weights(self) -> dict:
        """Every weight of encoder and head as a NumPy array, by its path."""
        top = self.model if self.model is not None else self.head_model
        variables = [*self.encoder.weights, *(top.weights if top is not None else ())]
        return {variable.path: np.asarray(variable) for variable in variables}

    def with_vocabulary(self, vocabulary, *, pad_to_multiple=None) -> "Bert":
        """This model with another vocabulary, longer or shorter; all weights are carried over.

            bert.with_vocabulary(kb.extend_vocabulary(bert.tokenizer.vocabulary, ["covid", "##mab"]))

        Pieces of both vocabularies keep their rows bit for bit, so texts without new pieces get the same
        outputs; a new piece begins as the mean of the old pieces it was cut into. Compile it anew.

        Args:
            vocabulary: path, sequence of str or `Vocabulary`, such as `kb.extend_vocabulary` returns.
            pad_to_multiple: int or None. Round the rows of the tables up to a multiple; None: one a piece.
        Raises:
            VocabularyError: the vocabulary is ambiguous or lacks a special token.
        """
        return exchanged(self, vocabulary, pad_to_multiple)

    def save(self, folder, *, format="huggingface", more=None):
        """Writes a folder that `kb.load` opens, and the library it is named after.

        Args:
            folder: path. A Hugging Face folder of ours is replaced in one step; anything else is refused.
            format: str. `"huggingface"`; `"google"`: bert_config.json, bert_model.ckpt, vocab.txt;
                `"keras_hub"`: a preset, with the head where keras-hub has such a one.
            more: function or None. Called with the staged Hugging Face folder to add files to it.
        Raises:
            OutputError: the folder cannot be written; what was there before is untouched.
            CheckpointError: the format has no place for this model; the message names what.
        """
        save(self, folder, format=format, more=more)

    def export(self, path, *, format="tf_saved_model", **options):
        """Writes the model for serving and reads it back in a fresh process before it is published.

        Args:
            path: path. A folder (`tf_saved_model`), a `.tflite` (`tflite`) or an `.onnx` file (`onnx`).
            format: str. `"tf_saved_model"`, `"tflite"` or `"onnx"`.
            **options: the format's, see `keras_bert.export`.
        Returns:
            dict: what was written and how it compared.
        """
        self.need_task()
        from keras_bert.export import export

        return export(self, path, format=format, **options)
