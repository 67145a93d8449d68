"""Tagging as operations of the graph: spans of characters <-> a tag for every unit of a text.

Letters: B texts, T tokens, U units, K spans, C tags. A unit is a word or another smallest thing that has a
tag, which its first piece carries; the tags of the other pieces mean nothing.
"""

import tensorflow as tf

from keras_bert.layers.crf import crf_marginals, crf_viterbi

# What the tokeniser takes for white space: a blank, tab and line ends, Unicode's Zs, Zl and Zp.
_WHITE_SPACE = (
    *map(ord, " \t\n\r\u00a0\u1680\u2028\u2029\u202f\u205f\u3000"),
    *range(0x2000, 0x200B),
)


def unit_starts(features: dict, continues=None):
    """int32 (B, T): 1 for the first piece of every unit.

    Args:
        features: token_ids, padding_mask; starts, ends and context where `continues` is None.
        continues: list of bool or None. Of every piece of the vocabulary, whether it goes on with a word.
            None: units are the words between white space. Other characters that no piece covers, such as
            Persian's zero-width ones, end none.
    """
    ids, mask = features["token_ids"], features["padding_mask"]
    length = tf.reduce_sum(mask, axis=1, keepdims=True)  # (B, 1)
    places = tf.range(tf.shape(ids)[1])[None]  # (1, T)
    is_text = (places > 0) & (places < length - 1)  # neither [CLS] nor the last [SEP]
    if continues is None:
        before = tf.concat([features["ends"][:, :1], features["ends"][:, :-1]], axis=1)
        seen = _white_space_before(features["context"])  # (B, 1 + characters)
        last = tf.shape(seen)[1] - 1
        at_end, at_start = (tf.clip_by_value(x, 0, last) for x in (before, features["starts"]))
        between = tf.gather(seen, at_start, batch_dims=1) - tf.gather(seen, at_end, batch_dims=1)
        begins = (between > 0) | (places == 1)
    else:
        # A text cut so that it begins within a word does not occur: windows are joined before.
        begins = ~tf.gather(tf.constant(continues), ids) | (places == 1)
    return tf.cast(is_text & begins, tf.int32)


def tags_of_spans(tags, features, units, span_starts, span_ends, span_types):
    """int32 (B, T): the tag of every unit at its first piece, 0 elsewhere.

    A unit belongs to the first span that it shares a character with. The tag of one that belongs to none is
    that of the outside, and -1 where there is no such tag.

    Args:
        tags: `Tags`.
        features: starts, ends: int32 (B, T).
        units: int32 (B, T), of `unit_starts`.
        span_starts, span_ends, span_types: int32 (B, K); -1 for unused places.
    """
    first, last = _unit_extents(features, units)  # (B, U) each
    shared = (first[:, :, None] < span_ends[:, None]) & (last[:, :, None] > span_starts[:, None])  # (B, U, K)
    shared = tf.pad(shared, [[0, 0], [0, 0], [0, 1]])  # a place for texts without any span
    which = tf.where(tf.reduce_any(shared, 2), tf.argmax(shared, 2, output_type=tf.int32), -1)  # (B, U)
    outside = tf.fill([tf.shape(which)[0], 1], -1)
    begins = which != tf.concat([outside, which[:, :-1]], axis=1)
    ends = which != tf.concat([which[:, 1:], outside], axis=1)
    types = tf.gather(tf.pad(span_types, [[0, 0], [0, 1]]), tf.maximum(which, 0), batch_dims=1)  # (B, U)
    types = tf.maximum(types, 0)
    tag = tf.where(
        begins,
        tf.where(ends, tf.gather(tags.of_type("S"), types), tf.gather(tags.of_type("B"), types)),
        tf.where(ends, tf.gather(tags.of_type("E"), types), tf.gather(tags.of_type("I"), types)),
    )
    tag = tf.where(which >= 0, tag, tags.outside)  # (B, U)
    unit_of_token = tf.maximum(tf.cumsum(units, axis=1) - 1, 0)  # (B, T)
    tag = tf.pad(tag, [[0, 0], [0, 1]])  # texts without a unit
    return tf.gather(tag, unit_of_token, batch_dims=1) * units


def decoded(outputs, units, num_tags, crf):
    """The best tags int32 (B, T), 0 outside of units, and the probability of every tag (B, T, C)."""
    if crf:
        best, probabilities = (
            crf_viterbi(outputs, units, num_tags)[0],
            crf_marginals(outputs, units, num_tags),
        )
    else:
        best, probabilities = tf.argmax(outputs, -1, output_type=tf.int32), tf.nn.softmax(outputs, -1)
    return tf.cast(best, tf.int32) * units, probabilities


def spans_of_tags(tags, best, probabilities, units, features) -> dict:
    """The spans that the tags spell: dense tensors of K places, as many as the text with most spans has.

    A span ends where the type changes, or a tag says so; an I that nothing began begins one.

    Args:
        tags: `Tags`.
        best: int32 (B, T).
        probabilities: float (B, T, C).
        units: int32 (B, T).
        features: starts, ends (B, T), context string (B,).
    Returns:
        start, end int32 (B, K), label, text string (B, K), score float (B, K): the mean probability of the
        tags; count int32 (B,).
    """
    first, last = _unit_extents(features, units)  # (B, U)
    is_unit = tf.sequence_mask(tf.reduce_sum(units, 1), tf.shape(first)[1])  # (B, U)
    best = _of_units(best, units)  # (B, U)
    score = tf.gather(_of_units(probabilities, units), best, batch_dims=2)
    types = tf.where(is_unit, tf.gather(tags.type_of, best), -1)
    before = tf.pad(types[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
    closed = tf.pad(tf.gather(tags.ends, best)[:, :-1], [[0, 0], [1, 0]])
    begins = (types >= 0) & (tf.gather(tags.begins, best) | (types != before) | closed)
    count = tf.reduce_sum(tf.cast(begins, tf.int32), axis=1)  # (B,)
    shape = tf.stack([tf.size(count), tf.reduce_max(tf.concat([[0], count], 0))])  # (B, K)
    place = shape[1] * tf.range(shape[0])[:, None] + tf.cumsum(tf.cast(begins, tf.int32), axis=1) - 1
    place = tf.where(types >= 0, place, -1)  # (B, U), of the span among all; -1: of none

    def of_spans(combine, values):
        return tf.reshape(combine(values, place, shape[0] * shape[1]), shape)

    is_span = tf.range(shape[1])[None] < count[:, None]
    start = of_spans(tf.math.unsorted_segment_sum, tf.where(begins, first, 0))
    end = tf.where(is_span, of_spans(tf.math.unsorted_segment_max, last), 0)
    kind = of_spans(tf.math.unsorted_segment_sum, tf.where(begins, types, 0))
    return {
        "start": start,
        "end": end,
        "label": tf.where(is_span, tf.gather(tf.constant(tags.types), kind), ""),
        "score": of_spans(tf.math.unsorted_segment_mean, score),
        "text": _stretches(features["context"], start, end),
        "count": count,
    }


def _white_space_before(texts):
    """int32 (B, 1 + N): how many of the first 0, 1, ... N characters of string (B,) are white space."""
    characters = tf.strings.unicode_decode(texts, "UTF-8", errors="replace").to_tensor(0)  # (B, N)
    is_space = tf.reduce_any(characters[:, :, None] == tf.constant(_WHITE_SPACE), axis=2)
    return tf.pad(tf.cumsum(tf.cast(is_space, tf.int32), axis=1), [[0, 0], [1, 0]])


def _stretches(texts, start, end):
    """string (B, K): the characters of string (B,) from start to end, int32 (B, K) each."""
    characters = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")  # (B, characters)
    first = tf.cast(characters.row_starts(), tf.int32)[:, None]
    places = tf.ragged.range(tf.reshape(first + start, [-1]), tf.reshape(first + end, [-1]))
    stretches = tf.strings.unicode_encode(tf.gather(characters.flat_values, places), "UTF-8")
    return tf.reshape(stretches, tf.shape(start))


def _of_units(values, units):
    """(B, T, ...) -> (B, U, ...): the values of the first pieces, one behind the other."""
    return tf.ragged.boolean_mask(values, units > 0).to_tensor()


def _unit_extents(features, units):
    """int32 (B, U) twice: where every unit begins, and where its last piece ends; -1 where there is none."""
    places = tf.broadcast_to(tf.range(tf.shape(units)[1])[None], tf.shape(units))
    places = _of_units(places, units)  # (B, U), of the first pieces
    count, length = tf.reduce_sum(units, 1), tf.reduce_sum(features["padding_mask"], 1)  # (B,)
    # A unit ends with the piece before the next unit's first one, the last unit before [SEP].
    is_inner = tf.range(tf.shape(places)[1])[None] + 1 < count[:, None]
    behind = tf.where(is_inner, tf.concat([places[:, 1:], places[:, :1]], axis=1), length[:, None] - 1)
    last = tf.gather(features["ends"], tf.maximum(behind - 1, 0), batch_dims=1)
    is_unit = tf.sequence_mask(count, tf.shape(places)[1])
    return tf.gather(features["starts"], places, batch_dims=1), tf.where(is_unit, last, -1)
