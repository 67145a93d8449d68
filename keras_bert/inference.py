"""From text to answer: the one function that `predict`, `serve` and every export share."""

import numpy as np
import tensorflow as tf

from keras_bert.data.columns import check_encodable
from keras_bert.data.pipeline import check_batch_size
from keras_bert.errors import DataError
from keras_bert.features import FEATURES, tensor_specs
from keras_bert.layers.real_tokens import without_padding


class TracedModel:
    """A model that all graphs call as one function, so that it is traced and stored once for all of them.

    Padding is left out of what needs no neighbours (`layers/real_tokens.py`): a batch of texts of all lengths
    takes half the time, one text no more than it did.

    Args:
        model: `BertModel`.
        portable: bool. True keeps the padding, for runtimes that do not know the operations that move tokens.
    """

    def __init__(self, model, portable=False):
        self.input = model.input
        specs = {name: tf.TensorSpec(each.shape, each.dtype, name) for name, each in model.input.items()}

        def run(inputs):
            with without_padding(not portable):
                return model(inputs, training=False)

        self._function = tf.function(run, input_signature=[specs], autograph=False)

    def __call__(self, inputs, training=False):
        return self._function(inputs)


class Answerer(tf.Module):
    """In-graph tokeniser, model and task as functions of tensors.

    Args:
        model: `TracedModel`.
        task: Task.
        tokenizer: `InGraphTokenizer`.
        config: BertConfig.
    """

    def __init__(self, model, task, tokenizer, config):
        super().__init__(name="answerer")
        self.tokenizer = tokenizer  # tracked: a SavedModel must carry its tables
        # Held out of sight of TensorFlow's tracking: a SavedModel that tracks a Keras model stores every
        # weight twice. The functions capture the variables all the same.
        self._held = _Held(model=model, task=task, model_config=config, texts={})
        self.ids = tf.function(self._ids, input_signature=list(self.id_specs().values()), autograph=False)

    @staticmethod
    def id_specs() -> dict:
        """The tensors `ids` takes: int32 token_ids and segment_ids (B, T), length (B,)."""
        return tensor_specs("token_ids", "segment_ids", "length")

    def text(self, columns: dict) -> dict:
        """String tensors (B,) by column -> the task's answer; one graph for a set of columns, for any B."""
        names = tuple(columns)
        if names not in self._held.texts:
            specs = text_specs(self._held.task, names)
            self._held.texts[names] = tf.function(self._text, input_signature=[specs], autograph=False)
        return self._held.texts[names](columns)

    def _text(self, columns: dict) -> dict:
        return self._answer(self._held.task.features(columns, self.tokenizer))

    def _ids(self, token_ids, segment_ids, length) -> dict:
        """int32 (B, T), (B, T), (B,) -> the task's answer; the padding mask is rebuilt from `length`.

        A server pads a mask with its first element, a 1, and padding would be read as text; a length cannot
        be padded wrongly. A server also joins requests: what is wrong with one of them must not fail the
        others, so that nothing here fails. An id that is none is read as [UNK], a segment as 0 or 1, and
        what is longer than the model reads is truncated.
        """
        config = self._held.model_config
        token_ids = token_ids[:, : config.max_sequence_length]
        # As wide as the ids: a server pads each tensor by itself.
        width = tf.shape(token_ids)[1]
        segment_ids = segment_ids[:, :width]
        segment_ids = tf.pad(segment_ids, [[0, 0], [0, width - tf.shape(segment_ids)[1]]])
        is_piece = (token_ids >= 0) & (token_ids < self.tokenizer.num_pieces)
        features = {
            "token_ids": tf.where(is_piece, token_ids, self.tokenizer.unk_id),
            "segment_ids": tf.clip_by_value(segment_ids, 0, config.num_segments - 1),
            "padding_mask": tf.sequence_mask(tf.maximum(length, 1), width, dtype=tf.int32),
        }
        return self._answer(self._held.task.from_ids(features))

    def _answer(self, features: dict) -> dict:
        task, features = self._held.task, with_a_token(features)
        return task.answer(task.outputs(self._held.model, features), features)


def text_specs(task, columns) -> dict:
    """`tf.TensorSpec`s of columns of text: (B,), or (B, C) of lists, the shorter ones filled with ""."""
    return {
        name: tf.TensorSpec([None, None] if name in task.list_columns else [None], tf.string, name=name)
        for name in columns
    }


def with_a_token(features: dict) -> dict:
    """The features with a token at least: a batch of no rows has none, and nothing could be pooled."""
    missing = tf.cast(tf.shape(features["token_ids"])[-1] == 0, tf.int32)
    return {
        name: tf.pad(tensor, [*[[0, 0]] * (tensor.shape.rank - 1), [0, missing]])
        if FEATURES[name].shape == ("B", "T")
        else tensor
        for name, tensor in features.items()
    }


class _Held:
    """Objects that `tf.Module` must not track."""

    def __init__(self, **objects):
        self.__dict__.update(objects)


def predict(answerer: Answerer, task, columns: dict, batch_size: int = 32) -> list[dict]:
    """Answers to the rows of `columns`, in their order.

    Texts are answered in batches of nearly equal length, so that a short text is not padded to the longest
    of the file.

    Args:
        answerer: Answerer.
        task: Task.
        columns: dict of equally long lists of str, or of lists of str.
        batch_size: int.
    Returns:
        list of dict, one a row.
    """
    check_batch_size(batch_size)
    answers = [None] * len(next(iter(columns.values())))
    for chosen in by_length(columns, batch_size):
        batch = {name: _string_tensor([values[i] for i in chosen]) for name, values in columns.items()}
        answer = {name: tensor.numpy() for name, tensor in answerer.text(batch).items()}
        for i, row in zip(chosen, task.rows(answer), strict=True):
            answers[i] = row
    return answers


def by_length(columns: dict, batch_size: int):
    """Yields int arrays: the rows in batches of nearly equal length, the shortest first."""
    count = len(next(iter(columns.values())))
    lengths = np.zeros(count, np.int64)
    for values in columns.values():
        lengths += np.array([sum(map(len, value)) for value in values], np.int64)  # of a text or a list
    order = np.argsort(lengths, kind="stable")
    for start in range(0, count, batch_size):
        yield order[start : start + batch_size]


def _string_tensor(values):
    """(B,), or (B, C) of lists, the shorter ones filled with ""."""
    if isinstance(values[0], str):
        return tf.constant(values)
    return tf.ragged.constant(values, ragged_rank=1, dtype=tf.string).to_tensor("")


def embed(
    encoder, tokenizer, texts, max_length: int, mode="mean", normalize=False, batch_size: int = 32
) -> np.ndarray:
    """One vector a text, pooled from its tokens.

    Args:
        encoder: functional model of `bert_encoder`.
        tokenizer: `InGraphTokenizer`.
        texts: str or sequence of str.
        max_length: int. Longest sequence, special tokens included.
        mode: str. `"mean"` over the tokens that are no padding, `"cls"`, or `"max"`.
        normalize: bool. Scale every vector to length one.
        batch_size: int.
    Returns:
        float32 array (B, D), in the order of the texts.
    """
    check_batch_size(batch_size)
    texts = [texts] if isinstance(texts, str) else list(texts)
    vectors = np.zeros((len(texts), encoder.output["pooled_output"].shape[-1]), np.float32)
    order = np.argsort([len(text) for text in texts], kind="stable")
    for start in range(0, len(texts), batch_size):
        chosen = order[start : start + batch_size]
        features = tokenizer.features(tf.constant([texts[i] for i in chosen]), max_length=max_length)
        tokens = encoder(features, training=False)["sequence_output"]
        vectors[chosen] = pooled(np.asarray(tokens), np.asarray(features["padding_mask"]), mode, normalize)
    return vectors


def pooled(sequence_output, padding_mask, mode="mean", normalize=False) -> np.ndarray:
    """One vector a row: (B, T, D), (B, T) -> float32 (B, D); `mode` and `normalize` as in `embed`."""
    tokens = sequence_output.astype(np.float32)
    is_token = padding_mask[:, :, None].astype(bool)  # (B, T, 1)
    if mode == "mean":
        vectors = (tokens * is_token).sum(axis=1) / is_token.sum(axis=1)
    else:
        vectors = tokens[:, 0] if mode == "cls" else np.where(is_token, tokens, -np.inf).max(axis=1)
    if normalize:
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors


def text_columns(task, texts, text_pair=None) -> dict:
    """What the user gave to `predict`, as checked columns of text.

    Args:
        task: Task.
        texts: str, sequence of str, or dict of str or sequences of str by column name.
        text_pair: None, str or sequence of str; the task's second column.
    Raises:
        DataError: not text, columns of unequal length, or a column the task does not have.
    """
    known = (*task.columns, *task.list_columns, *task.optional_columns)
    columns = dict(texts) if isinstance(texts, dict) else {known[0]: texts}
    if text_pair is not None:
        if len(known) < 2 or known[1] in task.list_columns:
            raise DataError(f"The task {task.name} takes one text, not a pair", where="text_pair")
        columns[known[1]] = text_pair
    for name, values in columns.items():
        if name not in known:
            raise DataError(f"Unknown column {name!r}", expected=f"of {', '.join(known)}")
        columns[name] = [values] if isinstance(values, str) else list(values)
        for i, value in enumerate(columns[name]):
            check_texts(value, name in task.list_columns, f"{name}, row {i + 1}")
    missing = [name for name in (*task.columns, *task.list_columns) if name not in columns]
    sizes = {name: len(values) for name, values in columns.items()}
    if missing:
        raise DataError(
            f"The column {missing[0]!r} is missing", expected=f"columns {', '.join(task.columns)}"
        )
    if len(set(sizes.values())) > 1:
        raise DataError("The columns differ in length", expected="one text a row in each", where=str(sizes))
    return columns


def check_texts(value, is_list, where):
    """Raises DataError unless the value is a text, or, in a column of lists, a list of texts."""
    if is_list and not isinstance(value, list | tuple):
        raise DataError(f"Not a list but {type(value).__name__}", where=where, expected="a list of str")
    if is_list and not value:
        raise DataError("The list is empty", where=where, expected="one text or more in every list")
    for text in value if is_list else [value]:
        if not isinstance(text, str):
            raise DataError(f"Not a text but {type(text).__name__}", where=where, expected="str")
        check_encodable("text", text, where)
