"""`Bert`: encoder, head, tokeniser and task joined; what `kb.load` returns."""

import contextlib
import functools
import warnings

import numpy as np

from keras_bert.checkpoints.sentence_transformers import Pooling
from keras_bert.checkpoints.vocabulary_change import VocabularyChange
from keras_bert.config import BertConfig
from keras_bert.data.pipeline import Rows, open_source
from keras_bert.encoder import bert_encoder
from keras_bert.errors import ConfigError, UsageError
from keras_bert.heads import head_model
from keras_bert.inference import Answerer, embed, predict, text_columns
from keras_bert.layers import blank_weights
from keras_bert.saving import save
from keras_bert.tasks import task_class
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
        _check_fit(config, tokenizer, task)
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
        settings.setdefault("max_length", min(DEFAULT_MAX_LENGTH, config.max_sequence_length))
        kind = task_class(task)
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
        self._need_task()
        return Answerer(self.model, self.task, self._in_graph)

    @functools.cached_property
    def _in_graph(self):
        return self.tokenizer.in_graph()

    def _need_task(self):
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
            training: bool. Shuffle anew every epoch and batch texts of nearly equal length.
            seed: int. Of the shuffling.
            **reading: `columns`, a dict from our column name to the source's column name or position; for
                a file also `encoding` (UTF-8 by default) and `delimiter`.
        Returns:
            `tf.data.Dataset` of (features, targets, sample weights).
        Raises:
            DataError: a row that cannot be used, with file and line.
        """
        self._need_task()
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
        outputs = self.encoder(self.preprocess(texts, text_pair), training=False)
        return {name: np.asarray(value).astype("float32") for name, value in outputs.items()}

    def embed(self, texts, *, batch_size=32) -> np.ndarray:
        """One vector a text, pooled from its tokens as `pooling` says.

        Args:
            texts: str or sequence of str.
            batch_size: int.
        Returns:
            float32 array (B, D).
        """
        pooling = self.pooling or Pooling()
        length = min(pooling.max_length or DEFAULT_MAX_LENGTH, self.config.max_sequence_length)
        return embed(self.encoder, self._in_graph, texts, length, pooling.mode, pooling.normalize, batch_size)

    def serve(self, *texts) -> dict:
        """The exported function: string tensors (B,), one for each text column -> the task's answer."""
        self._need_task()
        columns = (*self.task.columns, *self.task.optional_columns)
        return self.answerer.text(dict(zip(columns, texts, strict=False)))

    def predict(self, texts, text_pair=None, *, batch_size=32) -> list[dict]:
        """Answers to texts, one dict a text, in their order.

        Args:
            texts: str, sequence of str, or dict of columns.
            text_pair: str or sequence of str, where the task takes two texts.
            batch_size: int.
        """
        self._need_task()
        columns = text_columns(self.task, texts, text_pair)
        return predict(self.answerer, self.task, columns, batch_size)

    def evaluate(self, source, *, batch_size=32, **reading) -> dict:
        """The task's scores over a whole source (as `dataset` takes it), from what `predict` answers."""
        self._need_task()
        if not self.task.learns_from_rows:
            if not self.model.compiled:
                self.model.compile()
            return self.model.evaluate(
                self.dataset(source, batch_size, **reading), verbose=0, return_dict=True
            )
        rows = list(Rows(open_source(source, self.task, **reading), self.task))
        texts = {name: [row[name] for row in rows] for name in rows[0] if name not in self.task.label_columns}
        answers = predict(self.answerer, self.task, texts, batch_size)
        return {**self.task.scores(rows, answers), "rows": len(rows)}

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
        change = VocabularyChange(self.tokenizer, vocabulary, pad_to_multiple)
        pad_id = change.tokenizer.vocabulary.pad_id
        config = self.config.replace(vocabulary_size=change.num_rows, pad_token_id=pad_id)
        policy = self.encoder.get_layer("embeddings").dtype_policy
        bert = Bert(config, change.tokenizer, self.task, dtype=policy, blank=True)
        bert.raw_config, bert.pooling = change.raw_config(self.raw_config), self.pooling
        weights = change.weights(self.weights())
        if self.task is None and self.head is not None:
            num_labels = len(weights.get("classifier/bias", ()))
            own = {name: getattr(self.head_config, name) for name in ("activation", "layer_norm_epsilon")}
            bert.add_head(
                self.head,
                num_labels,
                tied="masked_lm/decoder" not in weights,
                config=config.replace(**own),
            )
            bert.head_labels = self.head_labels
        bert._assign(weights)
        if change.unreadable:
            warnings.warn(change.warning, stacklevel=2)
        return bert

    def _assign(self, weights):
        for top in (self.encoder, self.model, self.head_model):
            for variable in top.weights if top is not None else ():
                variable.assign(weights[variable.path])

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
            path: path. A folder (`tf_saved_model`) or a `.tflite` file (`tflite`).
            format: str. `"tf_saved_model"` or `"tflite"`.
            **options: the format's, see `keras_bert.export`.
        Returns:
            dict: what was written and how it compared.
        """
        self._need_task()
        from keras_bert.export import export

        return export(self, path, format=format, **options)


def _check_fit(config, tokenizer, task):
    pieces = len(tokenizer.vocabulary)
    if pieces > config.vocabulary_size:
        raise ConfigError(
            "The vocabulary is another model's: it has more pieces than the embedding table has rows. "
            f"Received: {pieces} pieces, vocabulary_size={config.vocabulary_size}",
            expected=f"at most {config.vocabulary_size} pieces",
            remedy="use the vocab.txt that belongs to this checkpoint",
        )
    if task is not None and task.max_length > config.max_sequence_length:
        raise ConfigError(
            "`max_length` is longer than the position table. Received: "
            f"max_length={task.max_length}, max_sequence_length={config.max_sequence_length}",
            expected=f"at most {config.max_sequence_length}",
            remedy="lower --max_seq_length (Python: max_length)",
        )
