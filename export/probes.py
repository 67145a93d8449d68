"""What an export is asked before it is published: texts, and the ids the model makes of them."""

import numpy as np
import tensorflow as tf

from keras_bert.errors import UsageError
from keras_bert.export.proof import Question
from keras_bert.features import ENCODER_FEATURES

# From one word to longer than any model reads, in several scripts, and what no one should send.
TEXTS = (
    "A warm, funny and deeply moving film.",
    "no",
    "The second half drags, and the ending, which I will not give away, made me want my money back.",
    "Crème brûlée à l'hôtel, naïve façade, ÅNGSTRÖM straße",
    "我是程序员，喜欢看电影。",
    "Это был лучший ужин за весь год! ありがとう 감사합니다",
    "",
    " \t\n ",
    "[CLS] not a [SEP] real [MASK] token",
    "a\x00b \ufffd zero\u200bwidth \u202eright to left 👩‍👩‍👧 ﬁ ㎏ İ Σς",
    "supercalifragilistic" * 15,
    "word by word this text grows longer than anything the model can read " * 60,
)
BATCH_SIZES = (1, 2, 7)  # of the texts above, in turn
GIVEN_BATCH_SIZE = 32
EXTRA_PADDING = 3


def text_questions(bert, signatures: dict, given=None) -> list:
    """Questions in strings, to every text signature; to the one with their columns, the user's rows too.

    Args:
        bert: `Bert` with a task.
        signatures: dict of str to sequence of str. The columns each takes.
        given: dict of lists of str by column, or None.
    """
    questions = []
    for name, columns in signatures.items():
        part = next((part for part in bert.task.parts if name in (part, f"{part}_{'_'.join(columns)}")), None)
        asked = bert if part is None else bert.part(part)
        questions += [
            Question(name, texts, _answer(asked.answerer.text, texts))
            for texts in _batches(_built_in(columns, bert.task.list_columns), BATCH_SIZES)
        ]
    if given:
        name = next((name for name, columns in signatures.items() if set(columns) == set(given)), None)
        if name is None:
            raise UsageError(
                f"No signature takes the columns {', '.join(given)}", where="probe_columns",
                expected=" or ".join(", ".join(columns) for columns in signatures.values()),
            )  # fmt: skip
        questions += [
            Question(name, texts, _answer(bert.answerer.text, texts), given=True)
            for texts in _batches(_checked(bert.task, given), [GIVEN_BATCH_SIZE])
        ]
    return questions


def ids_questions(bert, signature: str) -> list:
    """Questions in ids, some with more padding than they need, filled with what must not be read."""
    questions, task = [], bert.task
    texts_of_task = _built_in((*_required(task), *task.optional_columns), task.list_columns)
    for number, texts in enumerate(_batches(texts_of_task, BATCH_SIZES)):
        features = _sequences(task, texts, bert.answerer.tokenizer)
        inputs = {name: features[name] for name in ("token_ids", "segment_ids")}
        length = features["padding_mask"].sum(axis=1, dtype=np.int32)
        if (
            number % 2 == 0
            and inputs["token_ids"].shape[1] + EXTRA_PADDING <= bert.config.max_sequence_length
        ):
            inputs = {
                name: np.pad(ids, [(0, 0), (0, EXTRA_PADDING)], mode="edge") for name, ids in inputs.items()
            }
        inputs["length"] = length
        questions.append(Question(signature, inputs, _answer(bert.answerer.ids, **inputs)))
    return questions


def static_questions(bert, signature: str, length: int, given=None) -> list:
    """Questions in ids, one row each, padded to `length`; the expected answers are without strings.

    Args:
        bert: `Bert` with a task.
        signature: str.
        length: int. Texts are truncated and padded to so many tokens.
        given: dict of lists of str by column, or None.
    """
    task = bert.task.resized(length)
    batches = []
    for columns in dict.fromkeys([_required(task), (*_required(task), *task.optional_columns)]):
        batches += [(texts, False) for texts in _batches(_built_in(columns, task.list_columns), BATCH_SIZES)]
    if given:
        batches += [(texts, True) for texts in _batches(_checked(task, given), [GIVEN_BATCH_SIZE])]
    questions = []
    for texts, is_given in batches:
        features = _sequences(task, texts, bert.answerer.tokenizer)
        short = length - features["token_ids"].shape[1]
        features = {name: np.pad(ids, [(0, 0), (0, short)]) for name, ids in features.items()}
        lengths = features["padding_mask"].sum(axis=1, dtype=np.int32)
        expected = _answer(bert.answerer.ids, features["token_ids"], features["segment_ids"], lengths)
        expected = {name: array for name, array in expected.items() if array.dtype != object}
        questions += [
            Question(signature, _row(features, i), _row(expected, i), is_given) for i in range(len(lengths))
        ]
    return questions


def _required(task) -> tuple:
    return (*task.columns, *task.list_columns)


def _sequences(task, texts, tokenizer) -> dict:
    """The encoder's features (B, T) of texts; of a row with several sequences, each by itself."""

    def encoded(columns, tokenizer):
        features = task.features(columns, tokenizer)
        return {name: features[name] for name in ENCODER_FEATURES}

    features = _answer(encoded, texts, tokenizer)
    return {name: ids.reshape(-1, ids.shape[-1]) for name, ids in features.items()}


def _built_in(columns, list_columns=()) -> dict:
    """The built-in texts in every column, each column beginning at another of them; two in every list."""

    def texts_from(start):
        return [*TEXTS[start:], *TEXTS[:start]]

    return {
        name: list(map(list, zip(texts_from(-3 * i), texts_from(-3 * i - 1), strict=True)))
        if name in list_columns
        else texts_from(-3 * i)
        for i, name in enumerate(columns)
    }


def _checked(task, given) -> dict:
    """The user's rows, if they are equally many texts in columns of the task."""
    known = (*_required(task), *task.optional_columns)
    if not set(_required(task)) <= set(given) <= set(known):
        raise UsageError(
            f"These are not the task's columns: {', '.join(given)}", where="probe_columns",
            expected=f"{', '.join(_required(task))}, and any of {', '.join(known)}",
        )  # fmt: skip
    texts = {name: list(values) for name, values in given.items()}
    if len({len(values) for values in texts.values()}) > 1:
        raise UsageError(
            "The columns differ in length", where="probe_columns", expected="one text a row in each"
        )
    rows = {n: values if n in task.list_columns else [values] for n, values in texts.items()}
    if not all(isinstance(text, str) for values in rows.values() for row in values for text in row):
        raise UsageError("Not every value is a text", where="probe_columns", expected="lists of str")
    return texts


def _batches(columns: dict, sizes):
    """String arrays by column, in batches of the given sizes in turn, until every row was in one."""
    count, start, turn = len(next(iter(columns.values()))), 0, 0
    while start < count:
        stop = start + sizes[turn % len(sizes)]
        yield {name: _bytes_of(values[start:stop]) for name, values in columns.items()}
        start, turn = stop, turn + 1


def _bytes_of(texts):
    """Object array (B,) of texts, or (B, C) of lists, the shorter ones filled with ""."""
    if isinstance(texts[0], str):
        return np.array([text.encode() for text in texts], object)
    longest = max(map(len, texts))
    return np.array(
        [[text.encode() for text in (*row, *[""] * (longest - len(row)))] for row in texts], object
    )


def _answer(function, *args, **kwargs) -> dict:
    """What a function of tensors answers to NumPy arrays, as NumPy arrays."""
    # On the CPU, as the fresh process does it: a GPU rounds the factors of a product to 10 bits.
    with tf.device("/CPU:0"):
        return {name: tensor.numpy() for name, tensor in function(*args, **kwargs).items()}


def _row(arrays, i) -> dict:
    return {name: array[i : i + 1] for name, array in arrays.items()}
