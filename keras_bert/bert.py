"""`Bert`: encoder, head, tokeniser and task joined; what `kb.load` returns."""

import functools
import warnings

import numpy as np

from keras_bert.checkpoints import folder as folders
from keras_bert.config import BertConfig
from keras_bert.data.pipeline import Rows, batches, open_source
from keras_bert.encoder import bert_encoder
from keras_bert.errors import ConfigError, UsageError
from keras_bert.inference import Answerer, predict, text_columns
from keras_bert.tasks import TASKS, task_class
from keras_bert.text.tokenizer import Tokenizer

DEFAULT_MAX_LENGTH = 128


def load(name, task=None, *, lowercase=None, dtype=None, **settings) -> "Bert":
    """A BERT from a folder, with the head it has or the one asked for.

    Args:
        name: str or path. A model folder, or the name of a model in the local Hugging Face cache.
        task: str or None. A task's name; None means the folder's own, or no head at all.
        lowercase: bool or None. None means what the folder's `tokenizer_config.json` says.
        dtype: str or None. `"float32"` or `"mixed_bfloat16"`; None means Keras' global policy.
        **settings: the task's, such as `labels=[...]` or `max_length=128`. What is not given is the
            folder's.
    Returns:
        Bert. The head's weights are the folder's where it has this head with these labels; otherwise the
        head starts fresh.
    Raises:
        CheckpointError, ConfigError, VocabularyError: the folder cannot be used; the message says why.
        UsageError: an unknown task, or settings it lacks.
    """
    checkpoint = folders.read_folder(folders.find_folder(name))
    tokenizer = Tokenizer.from_folder(checkpoint.path, lowercase=lowercase)
    own_task, own_settings = _task_of(checkpoint)
    if task is None and own_task is None and settings:
        raise UsageError(
            f"{checkpoint.path} has no head, and no task was named", expected="task=... beside its settings"
        )
    task = task or own_task
    if task == own_task:
        settings = {**own_settings, **settings}
    bert = Bert.from_config(checkpoint.config, tokenizer, task, dtype=dtype, **settings)
    bert.raw_config = checkpoint.raw_config
    found = folders.encoder_weights(checkpoint)
    _assign(bert.encoder, found.weights)
    # A task whose classes are fixed has no setting for them; `config.json` names them all the same.
    own_labels = own_settings.get("labels") or checkpoint.labels
    if task is not None and task == own_task and _same_classes(own_labels, bert.task.labels):
        _assign(bert.model, folders.head_weights(checkpoint))
    fresh = [f"{path} is not in the checkpoint and starts fresh" for path in sorted(found.missing)]
    for message in (*checkpoint.warnings, *fresh):
        warnings.warn(f"{checkpoint.path}: {message}", stacklevel=2)
    return bert


class Bert:
    """Encoder, head, tokeniser and task, joined.

    Args:
        config: BertConfig.
        tokenizer: Tokenizer.
        task: Task or None.
        dtype: str or None. Keras dtype policy of the network.

    Attributes:
        encoder: functional `keras.Model`, {token_ids, segment_ids, padding_mask} ->
            {sequence_output (B, T, D), pooled_output (B, D)}.
        model: `BertModel`, encoder and head; None without a task. Compile it, fit it, save it: plain Keras.
        raw_config: dict. The `config.json` it was loaded from; keys we do not know are saved again.

    Raises:
        ConfigError: the vocabulary has more pieces than the embedding table has rows, or the task's
            `max_length` exceeds the position table.
    """

    def __init__(self, config: BertConfig, tokenizer: Tokenizer, task=None, *, dtype=None):
        _check_fit(config, tokenizer, task)
        self.config, self.tokenizer, self.task = config, tokenizer, task
        self.raw_config = {}
        self.encoder = bert_encoder(config, dtype=dtype)
        self.model = task.head(self.encoder, config) if task is not None else None

    @classmethod
    def from_config(cls, config, tokenizer, task=None, *, dtype=None, **settings) -> "Bert":
        """A BERT with random weights; `task` by name, `settings` are the task's."""
        if task is None:
            return cls(config, tokenizer, dtype=dtype)
        settings.setdefault("max_length", min(DEFAULT_MAX_LENGTH, config.max_sequence_length))
        kind = task_class(task)
        try:
            built = kind(**settings)
        except TypeError as error:
            raise UsageError(
                f"The task {task} does not accept these settings: {error}", where="kb.load",
                expected="the settings its class documents, such as labels=[...] and max_length=...",
            ) from error  # fmt: skip
        return cls(config, tokenizer, built, dtype=dtype)

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
        rows = Rows(open_source(source, self.task, **reading), self.task)
        return batches(rows, self._in_graph, batch_size, training=training, seed=seed)

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
        rows = list(Rows(open_source(source, self.task, **reading), self.task))
        texts = {name: [row[name] for row in rows] for name in rows[0] if name not in self.task.label_columns}
        answers = predict(self.answerer, self.task, texts, batch_size)
        return {**self.task.scores(rows, answers), "rows": len(rows)}

    def weights(self) -> dict:
        """Every weight of encoder and head as a NumPy array, by its path."""
        variables = [*self.encoder.weights, *(self.model.weights if self.model is not None else ())]
        return {variable.path: np.asarray(variable) for variable in variables}

    def save(self, folder, *, more=None):
        """Writes a Hugging Face folder that transformers and `kb.load` open.

        Args:
            folder: path. Replaced in one step if it is a folder of ours; refused if it is not.
            more: function or None. Called with the staged folder to add files to it.
        Raises:
            OutputError: the folder cannot be written; what was there before is untouched.
        """
        folders.write_folder(
            folder,
            config=self.config,
            weights=self.weights(),
            architecture=self.task.architecture if self.task is not None else "BertModel",
            labels=self.task.labels if self.task is not None else None,
            tokenizer=self.tokenizer,
            extras={"task": {"name": self.task.name, **self.task.settings()}}
            if self.task is not None
            else {},
            raw_config=self.raw_config,
            more=more,
        )

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


def _task_of(checkpoint):
    """The task a folder was saved with: (name, settings), or (None, {})."""
    saved = dict(checkpoint.extras.get("task") or {})
    if saved.get("name") in TASKS:
        return saved.pop("name"), saved
    for name in TASKS:
        if task_class(name).architecture in checkpoint.architectures:
            return name, _classes_of(checkpoint)
    return None, {}


def _classes_of(checkpoint) -> dict:
    """The class names of a Hugging Face folder; it leaves them out where they are LABEL_0, LABEL_1 ..."""
    labels, bias = checkpoint.labels, folders.head_weights(checkpoint).get("classifier/bias")
    if labels is None and bias is not None:
        labels = [f"LABEL_{i}" for i in range(len(bias))]
    return {} if labels is None else {"labels": labels}


def _same_classes(own, asked) -> bool:
    """Whether a folder's head is the one asked for: the same classes, or as many that had no names yet."""
    if own is None or asked is None:
        return own is None and asked is None
    unnamed = all(label == f"LABEL_{i}" for i, label in enumerate(own))
    return tuple(own) == tuple(asked) or (unnamed and len(own) == len(asked))


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


def _assign(model, weights: dict):
    """Puts arrays into the variables of the same path."""
    for variable in model.weights:
        if variable.path in weights:
            variable.assign(weights[variable.path])
