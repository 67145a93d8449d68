"""Long texts as overlapping windows: their features, and what is said of a text from what was said of them.

Letters: B rows, W windows of all rows, T tokens.
"""

import tensorflow as tf


def window_features(texts, text_pair, tokenizer, max_length, stride) -> dict:
    """The windows of string tensors (B,): features (W, T), and `row` (W,), whose each is.

    Args:
        texts: string (B,). Cut into windows; of pairs the part that every window repeats.
        text_pair: string (B,) or None. Of pairs what is cut into windows.
        tokenizer: `InGraphTokenizer`.
        max_length, stride: int. Of a window, and pieces from one to the next.
    """
    windows = tokenizer.windows(texts, text_pair, max_length=max_length, stride=stride)
    ids = windows["token_ids"]
    return {
        "token_ids": ids.to_tensor(tokenizer.pad_id),
        "segment_ids": windows["segment_ids"].to_tensor(0),
        "padding_mask": tf.ones_like(ids).to_tensor(0),
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
