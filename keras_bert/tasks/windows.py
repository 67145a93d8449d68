"""Long texts as overlapping windows: their features, and what is said of a text from what was said of them.

Letters: B rows, W windows of all rows, T tokens, L tokens of a whole text.
"""

import tensorflow as tf

from keras_bert.text.in_graph_sequence import padded
from keras_bert.text.sequence import room_for_pieces


def window_features(texts, text_pair, tokenizer, max_length, stride) -> dict:
    """The windows of string tensors (B,): features (W, T), and `row` (W,), whose each is.

    Args:
        texts: string (B,). Cut into windows; of pairs the part that every window repeats.
        text_pair: string (B,) or None. Of pairs what is cut into windows.
        tokenizer: `InGraphTokenizer`.
        max_length, stride: int. Of a window, and pieces from one to the next.
    """
    windows = tokenizer.windows(texts, text_pair, max_length=max_length, stride=stride)
    return {
        **padded(windows["token_ids"], windows["segment_ids"], tokenizer.pad_id),
        "starts": windows["starts"].to_tensor(0),
        "ends": windows["ends"].to_tensor(0),
        "sequence_ids": windows["sequence_ids"].to_tensor(-1),
        "row": windows["row"],
    }


def of_windows(values, weights, features):
    """A row's value and weight for each of its windows, (B,) -> (W,) twice; they share the weight."""
    row = features["row"]
    count = tf.math.unsorted_segment_sum(tf.ones_like(row, tf.float32), row, tf.shape(values)[0])
    return tf.gather(values, row), tf.gather(weights / count, row)


def mean_of_windows(outputs, features):
    """(W, C) -> (B, C): the mean of each row's windows; what it was given where there are no rows."""
    return tf.math.segment_mean(outputs, features["row"]) if "row" in features else outputs


def seen_best(features, max_length, stride):
    """bool (W, T): the pieces that no other window of their text sees with more text around them.

    Every piece of a text is that of one window. What two windows share is cut in the middle (Devlin's
    "maximum context" of SQuAD, of the nearer edge).

    Args:
        features: of `window_features` of single texts.
        max_length, stride: int. As there.
    """
    row, room = features["row"], room_for_pieces(max_length, is_pair=False)
    shared = room - min(room, stride)
    is_first, is_last = _first_and_last(row)
    length = tf.reduce_sum(features["padding_mask"], axis=1) - 2  # (W,), pieces
    begin = tf.where(is_first, 0, shared // 2)[:, None]
    end = tf.where(is_last, length, length - (shared - shared // 2))[:, None]
    place = tf.range(tf.shape(features["token_ids"])[1])[None] - 1  # behind [CLS]
    return (place >= begin) & (place < end)


def joined_features(features, chosen) -> dict:
    """The features of whole texts, as if a window had held [CLS], the text and [SEP].

    Args:
        features: of `window_features`, and `context` (B,).
        chosen: bool (W, T), as `seen_best`.
    Returns:
        token_ids, starts, ends, padding_mask (B, L), and context (B,).
    """
    whole = {name: _joined(features[name], features, chosen) for name in ("token_ids", "starts", "ends")}
    length = 2 + tf.math.unsorted_segment_sum(
        tf.reduce_sum(tf.cast(chosen, tf.int32), axis=1), features["row"], tf.shape(features["context"])[0]
    )
    mask = tf.sequence_mask(length, tf.shape(whole["token_ids"])[1], dtype=tf.int32)
    return {**whole, "padding_mask": mask, "context": features["context"]}


def joined_outputs(outputs, features, chosen):
    """(W, T + X, C) -> (B, L + X, C): every token's from the window that is chosen for it.

    X are rows that every window has behind its tokens, as `Crf` puts them.
    """
    tokens = tf.shape(features["token_ids"])[1]
    behind = tf.boolean_mask(outputs[:, tokens:], _first_and_last(features["row"])[0])
    return tf.concat([_joined(outputs[:, :tokens], features, chosen), behind], axis=1)


def over_windows(values, padding_mask, chosen):
    """(B, L) of `joined_features` -> (W, T): where a piece is chosen its value, 0 elsewhere."""
    pieces = tf.boolean_mask(values[:, 1:-1], padding_mask[:, 2:] > 0)  # one more than these is [SEP]
    return tf.scatter_nd(tf.where(chosen), pieces, tf.shape(chosen, tf.int64))


def beyond(features):
    """int32 (W,): 1 where a window's text has begun in another, plus 2 where it goes on in another."""
    is_first, is_last = _first_and_last(features["row"])
    return tf.where(is_first, 0, 1) + tf.where(is_last, 0, 2)


def _joined(values, features, chosen):
    """(W, T, ...) -> (B, L, ...): what is chosen of each text in a row; 0 for [CLS] and [SEP]."""
    pieces = tf.RaggedTensor.from_value_rowids(
        tf.ragged.boolean_mask(values, chosen),
        tf.cast(features["row"], tf.int64),
        nrows=tf.shape(features["context"], tf.int64)[0],
    )
    pieces = pieces.merge_dims(1, 2).to_tensor()  # (B, L - 2, ...)
    return tf.pad(pieces, [[0, 0], [1, 1], *[[0, 0]] * (values.shape.rank - 2)])


def _first_and_last(row):
    """bool (W,) twice: whether a window is the first one of its text, and whether the last."""
    other = row[1:] != row[:-1]
    edge = tf.ones_like(row[:1], tf.bool)
    return tf.concat([edge, other], 0), tf.concat([other, edge], 0)
