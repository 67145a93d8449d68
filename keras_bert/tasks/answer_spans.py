"""Question answering as operations of the graph: where an answer stands in the windows, the best answers.

Letters: B questions, W windows of all questions, T tokens, N candidates.
"""

import tensorflow as tf

_NEVER = -1e9


def target_tokens(features, answer_starts, answer_ends):
    """int32 (W,) twice: the first and last token of the answer; 0, [CLS], where a window lacks some of it.

    Args:
        features: of `windows.window_features`.
        answer_starts, answer_ends: int32 (B,), in characters of the context; -1 where there is no answer.
    """
    start = tf.gather(answer_starts, features["row"])[:, None]  # (W, 1)
    end = tf.gather(answer_ends, features["row"])[:, None]
    in_context = features["sequence_ids"] == 1
    shares = in_context & (features["starts"] < end) & (features["ends"] > start)  # (W, T)
    first = tf.argmax(shares, axis=1, output_type=tf.int32)
    last = tf.shape(shares)[1] - 1 - tf.argmax(shares[:, ::-1], axis=1, output_type=tf.int32)
    # An answer that begins before the window, or goes on behind it, is only partly there.
    reaches = tf.reduce_any(in_context & (features["starts"] <= start) & (features["ends"] > start), axis=1)
    closes = tf.reduce_any(in_context & (features["starts"] < end) & (features["ends"] >= end), axis=1)
    whole = tf.reduce_any(shares, axis=1) & reaches & closes
    return tf.where(whole, first, 0), tf.where(whole, last, 0)


def best_answers(start_logits, end_logits, features, num_best, max_answer_length, null_threshold) -> dict:
    """The best stretches over all windows of each question.

    A stretch lies within the context of one window and has at most `max_answer_length` pieces; its logit is
    that of its first token as a start plus that of its last as an end.

    Returns:
        answer string, start, end int32, score float (B,): the best stretch, "" where `null_score` is above
        the threshold; its `score` is its probability among the candidates, and, with a threshold, no answer.
        null_score (B,): the least [CLS] logit of the windows minus the best stretch's.
        best_answer, best_start, best_end, best_score (B, N): the candidates; unused places have end 0.
    """
    row, context = features["row"], features["context"]
    num_rows = tf.shape(context)[0]
    logits, first, last = _best_of_windows(start_logits, end_logits, features, num_best, max_answer_length)
    starts = tf.gather(features["starts"], first, batch_dims=1)  # (W, N)
    ends = tf.gather(features["ends"], last, batch_dims=1)
    # All windows' candidates side by side: (B, windows * N), then the best N of them.
    logits, starts, ends = (
        tf.reshape(tf.RaggedTensor.from_value_rowids(x, row, num_rows).to_tensor(fill), [num_rows, -1])
        for x, fill in ((logits, _NEVER), (starts, 0), (ends, 0))
    )
    logits, places = tf.math.top_k(logits, k=num_best)  # (B, N)
    starts, ends = (tf.gather(x, places, batch_dims=1) for x in (starts, ends))
    # Windows overlap: the same stretch found twice counts once, with the better logit.
    same = (starts[:, :, None] == starts[:, None]) & (ends[:, :, None] == ends[:, None])
    earlier = tf.linalg.band_part(tf.ones([num_best, num_best], tf.int32), -1, 0) - tf.eye(
        num_best, dtype=tf.int32
    )
    is_real = (logits > _NEVER / 2) & ~tf.reduce_any(same & (earlier > 0), axis=2)
    starts, ends = tf.where(is_real, starts, 0), tf.where(is_real, ends, 0)
    null = tf.math.unsorted_segment_min(start_logits[:, 0] + end_logits[:, 0], row, num_rows)  # (B,)
    best = logits[:, 0]
    compared = tf.where(is_real, logits, _NEVER)
    if null_threshold is not None:
        compared = tf.concat([compared, null[:, None]], axis=1)
    scores = tf.nn.softmax(compared, axis=1)
    text = tf.strings.unicode_transcode(context, "UTF-8", "UTF-8", errors="replace")
    texts = tf.gather(text[:, None], tf.zeros_like(starts), batch_dims=1)  # (B, N)
    texts = tf.strings.substr(texts, starts, ends - starts, unit="UTF8_CHAR")
    # Where the context holds nothing there is no candidate either.
    null_score = tf.where(is_real[:, 0], null - best, -_NEVER)
    is_null = ~is_real[:, 0]
    if null_threshold is not None:
        is_null |= null_score > null_threshold
    return {
        "answer": tf.where(is_null, "", texts[:, 0]),
        "start": tf.where(is_null, 0, starts[:, 0]),
        "end": tf.where(is_null, 0, ends[:, 0]),
        "score": tf.where(is_null, scores[:, -1], scores[:, 0])
        if null_threshold is not None
        else scores[:, 0],
        "null_score": null_score,
        "best_answer": texts,
        "best_start": starts,
        "best_end": ends,
        "best_score": tf.where(is_real, scores[:, :num_best], 0.0),
    }


def _best_of_windows(start_logits, end_logits, features, num_best, max_answer_length):
    """(W, N) logit, first token, last token of the best stretches of every window."""
    in_context = features["sequence_ids"] == 1  # (W, T)
    start_logits, end_logits = (tf.where(in_context, x, _NEVER) for x in (start_logits, end_logits))
    length = tf.shape(in_context)[1]
    sizes = tf.minimum(max_answer_length, length)  # how many ends a start may have: A
    lasts = tf.range(length)[:, None] + tf.range(sizes)[None]  # (T, A)
    ends = tf.gather(end_logits, tf.minimum(lasts, length - 1), axis=1)  # (W, T, A)
    pairs = tf.where(lasts < length, start_logits[:, :, None] + ends, _NEVER)
    # There may be fewer pairs than candidates asked for.
    flat = tf.pad(tf.reshape(pairs, [-1, length * sizes]), [[0, 0], [0, num_best]], constant_values=_NEVER)
    logits, places = tf.math.top_k(flat, k=num_best)
    places = tf.minimum(places, length * sizes - 1)
    first = places // sizes
    return logits, first, tf.minimum(first + places % sizes, length - 1)
