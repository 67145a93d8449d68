"""Rows of pieces as the sequences a BERT reads, as operations: `sequence.py`, in the graph."""

import tensorflow as tf

from keras_bert.text.in_graph_offsets import spread
from keras_bert.text.sequence import room_for_pieces, truncated_lengths, window_room


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


def truncated(parts, room: int, truncation: str) -> list[tf.RaggedTensor]:
    """One or two texts' pieces, cut so that they fit together, row by row."""
    lengths = [ids.row_lengths() for ids in parts]
    if len(parts) == 1:
        kept = [tf.minimum(lengths[0], room)]
    else:
        kept = truncated_lengths(*lengths, room, truncation, tf.minimum, tf.maximum)
    return [_slices(ids, ids.row_starts(), length) for ids, length in zip(parts, kept, strict=True)]


def first_values(ragged, counts) -> tf.RaggedTensor:
    """The first so many values of every row."""
    return _slices(ragged, ragged.row_starts(), counts)


def windows_of(parts, max_length: int, stride: int, cls_id: int, sep_id: int) -> dict:
    """See `InGraphTokenizer.windows`; `parts` are (ids, starts, ends) of the text, or of both of a pair."""
    *repeated, long = parts
    room = room_for_pieces(max_length, is_pair=len(parts) == 2)
    lengths = long[0].row_lengths()
    repeated_lengths = repeated[0][0].row_lengths() if repeated else tf.zeros_like(lengths)
    repeated_kept, room = window_room(repeated_lengths, room, tf.minimum)  # (B,)
    step = tf.minimum(room, stride)
    counts = 1 + (tf.maximum(lengths - room, 0) + step - 1) // step  # (B,) windows of each text
    row_splits = tf.concat([[0], tf.cumsum(counts)], axis=0)
    row = spread(tf.range(tf.size(lengths)), row_splits)  # (W,)
    first_pieces = tf.ragged.range(counts).values * tf.gather(step, row)
    sizes = tf.minimum(tf.gather(room, row), tf.gather(lengths, row) - first_pieces)
    long = [_slices(part, tf.gather(part.row_starts(), row) + first_pieces, sizes) for part in long]
    if repeated:
        kept = [tf.gather(_slices(part, part.row_starts(), repeated_kept), row) for part in repeated[0]]
        ids, starts, ends = zip(kept, long, strict=True)
    else:
        ids, starts, ends = ([part] for part in long)
    return {
        "token_ids": framed(ids, cls_id, (sep_id, sep_id)),
        "segment_ids": framed(numbered(ids), 0, (0, 1)),
        "sequence_ids": framed(numbered(ids), -1, (-1, -1)),
        "starts": framed(starts, 0, (0, 0)),
        "ends": framed(ends, 0, (0, 0)),
        "row": row,
    }


def _slices(ragged, starts, lengths) -> tf.RaggedTensor:
    """The stretches of the flat values that begin at `starts`, as rows."""
    places = tf.ragged.range(starts, starts + lengths)
    return tf.gather(ragged.values, places)
