"""Rows of pieces as the sequences a BERT reads, as operations: `sequence.py`, in the graph."""

import tensorflow as tf


def framed(parts, first: int, lasts: tuple[int, int]) -> tf.RaggedTensor:
    """`first`, then every part with its `last` behind it, row by row."""
    batch = parts[0].nrows()
    sequence = [tf.fill([batch, 1], first)]
    for part, last in zip(parts, lasts, strict=False):
        sequence += [part, tf.fill([batch, 1], last)]
    return tf.concat(sequence, axis=1)


def numbered(parts) -> list[tf.RaggedTensor]:
    """The parts with 0 for every value of the first and 1 for every value of the second."""
    return [part.with_values(tf.fill(tf.shape(part.values), number)) for number, part in enumerate(parts)]


def slices(ragged, starts, lengths) -> tf.RaggedTensor:
    """The stretches of the flat values that begin at `starts`, as rows."""
    places = tf.ragged.range(starts, starts + lengths)
    return tf.gather(ragged.values, places)
