"""Putting texts and ids to functions of tensors, as NumPy arrays: what probes and evaluations share."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_bert.export.proof import Question
from keras_bert.features import ENCODER_FEATURES, FEATURES


def answered(function, *args, **kwargs) -> dict:
    """What a function of tensors answers to NumPy arrays, as NumPy arrays."""
    # On the CPU, as the fresh process does it: a GPU rounds the factors of a product to 10 bits.
    with tf.device("/CPU:0"):
        return {name: tf.convert_to_tensor(t).numpy() for name, t in function(*args, **kwargs).items()}


def features_of(task, texts: dict, tokenizer) -> dict:
    """What a task makes of string arrays by column, as NumPy arrays."""
    return answered(lambda columns: task.features(columns, tokenizer), tensors(texts))


def sequences_of(features: dict) -> dict:
    """The encoder's features (B, T); of a row with several sequences, (B, C, T), each by itself."""
    return {name: features[name].reshape(-1, features[name].shape[-1]) for name in ENCODER_FEATURES}


def padded(features: dict, length: int) -> dict:
    """The features with `length` tokens, the further ones padding."""
    return {
        name: np.pad(
            array,
            [*[(0, 0)] * (array.ndim - 1), (0, length - array.shape[-1])],
            constant_values=-1 if name == "sequence_ids" else 0,
        )
        if FEATURES[name].shape == ("B", "T")
        else array
        for name, array in features.items()
    }


def batches_of(columns: dict, sizes):
    """String arrays by column, in batches of the given sizes in turn, until every row was in one."""
    count, start, turn = len(next(iter(columns.values()))), 0, 0
    while start < count:
        stop = start + sizes[turn % len(sizes)]
        yield {name: strings(values[start:stop]) for name, values in columns.items()}
        start, turn = stop, turn + 1


def strings(texts):
    """Object array (B,) of texts, or (B, C) of lists, the shorter ones filled with ""."""
    if isinstance(texts[0], str):
        return np.array([text.encode() for text in texts], object)
    longest = max(map(len, texts))
    return np.array(
        [[text.encode() for text in (*row, *[""] * (longest - len(row)))] for row in texts], object
    )


def ids_of(sequences: dict) -> dict:
    """What the signature of ids takes: token_ids, segment_ids int32 (B, T), length int32 (B,)."""
    ids = {name: sequences[name] for name in ("token_ids", "segment_ids")}
    return {**ids, "length": sequences["padding_mask"].sum(axis=1, dtype=np.int32)}


def one_by_one(bert, signature: str, sequences: dict, given=False) -> list:
    """A question for every sequence, and what the model answers to it, without strings.

    Args:
        bert: `Bert` with a task.
        signature: str.
        sequences: of `sequences_of`, padded to the length that the signature has.
        given: bool. Whether the user gave these rows.
    """
    expected = answered(bert.answerer.ids, **ids_of(sequences))
    expected = {name: array for name, array in expected.items() if array.dtype != object}
    return [
        Question(signature, row_of(sequences, i), row_of(expected, i), given)
        for i in range(len(sequences["token_ids"]))
    ]


def texts_one_by_one(bert, signature: str, texts: dict, sequences: dict, given=False) -> list:
    """The same where the signature takes the texts themselves, dict of string arrays (B,) by column."""
    questions = one_by_one(bert, signature, sequences, given)
    return [
        dataclasses.replace(each, inputs=row_of(texts, i), texts=row_of(texts, i))
        for i, each in enumerate(questions)
    ]


def row_of(arrays: dict, i: int) -> dict:
    """One row of the arrays, the batch's axis kept."""
    return {name: array[i : i + 1] for name, array in arrays.items()}


def tensors(arrays: dict) -> dict:
    """NumPy arrays by name as constants."""
    return {name: tf.constant(array) for name, array in arrays.items()}
