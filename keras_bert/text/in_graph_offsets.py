"""Offsets in the graph: from bytes to characters to UTF-16 units, and what was not UTF-8 at all."""

import tensorflow as tf


def letters_of(strings, starts: tf.RaggedTensor, ends: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Byte offsets as offsets of characters, counted through the whole batch.

    Args:
        strings: string tensor [B], valid UTF-8.
        starts: ragged tensor [B, (pieces)]. Bytes at which characters start.
        ends: ragged tensor [B, (pieces)]. The same, or the number of bytes.

    Returns:
        (starts, ends), int32 tensors [pieces].
    """
    before = _before_bytes(strings)
    first_bytes = spread(_first_bytes(strings), starts.row_splits)
    return tuple(
        tf.gather(before, first_bytes + tf.cast(places.values, tf.int32)) for places in (starts, ends)
    )


def characters_before(strings) -> tf.Tensor:
    """How many characters of the batch come before each string; int32 [B]."""
    return tf.gather(_before_bytes(strings), _first_bytes(strings))


def _before_bytes(strings):
    """How many characters start before each byte of the batch, and how many there are; int32 [bytes + 1]."""
    data = tf.io.decode_raw(tf.strings.reduce_join(strings), tf.uint8)
    starts_character = tf.bitwise.bitwise_and(data, 0xC0) != 0x80
    return tf.concat([[0], tf.cumsum(tf.cast(starts_character, tf.int32))], axis=0)


def _first_bytes(strings):
    """Where each string starts in the batch; int32 [B]."""
    return tf.cumsum(tf.strings.length(strings), exclusive=True)


def spread(values, row_splits) -> tf.Tensor:
    """Gives every element of a row the row's value, as `tf.repeat` by the rows' lengths.

    In linear time and memory, where `tf.repeat` builds a table of rows x the longest row.

    Args:
        values: int tensor [rows].
        row_splits: int64 tensor [rows + 1].

    Returns:
        Tensor like `values` [elements].
    """
    steps = values - tf.concat([tf.zeros_like(values[:1]), values[:-1]], axis=0)
    at_starts = tf.scatter_nd(row_splits[:-1, None], steps, row_splits[-1:] + 1)[:-1]
    return tf.cumsum(tf.reshape(at_starts, [-1]))  # scatter_nd does not know its rank


def utf16_offsets(texts, offsets: tf.RaggedTensor) -> tf.RaggedTensor:
    """See `InGraphTokenizer.utf16_offsets`."""
    points = tf.strings.unicode_decode(tf.strings.join([texts, " "]), "UTF-8")
    long_before = tf.cumsum(tf.cast(points.values > 0xFFFF, tf.int32), exclusive=True)
    first_points = points.row_splits[:-1]
    places = tf.cast(offsets.values, tf.int64) + spread(first_points, offsets.row_splits)
    long_before_text = spread(tf.gather(long_before, first_points), offsets.row_splits)
    return offsets.with_values(offsets.values + tf.gather(long_before, places) - long_before_text)


def num_replaced(texts) -> tf.Tensor:
    """See `InGraphTokenizer.num_replaced`."""
    replaced, ignored = (
        tf.strings.unicode_decode(texts, "UTF-8", errors=errors).row_lengths()
        for errors in ("replace", "ignore")
    )
    return tf.cast(replaced - ignored, tf.int32)
