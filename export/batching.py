"""Joining requests in the graph, for servers and loaders that do not join them by themselves.

Calls that come within `TIMEOUT_MICROS` of one another are answered as one batch of up to `MAX_BATCH` rows.
"""

import tensorflow as tf

MAX_BATCH, TIMEOUT_MICROS, MAX_ENQUEUED = 32, 2000, 1000
THREADS = 2  # batches at a time; each uses all cores within an operation


def joined(function, specs: dict):
    """A function of named tensors that joins what several callers ask at once.

    A request of more rows than a batch has is answered by itself: cut in two, its parts might come back
    unequally wide.

    Args:
        function: from dict of tensors to dict of tensors, the batch first in all of them. What it takes must
            be equally long in every other axis whoever asks.
        specs: dict of `tf.TensorSpec` by name. What it takes.
    Returns:
        Function from dict to dict. In an axis whose length depends on the rows, an answer may be as long as
        the longest of those joined.
    """
    order, shapes = list(specs), {}

    @tf.nondifferentiable_batch_function(
        THREADS, MAX_BATCH, TIMEOUT_MICROS, max_enqueued_batches=MAX_ENQUEUED, autograph=False,
        enable_large_batch_splitting=False,
    )  # fmt: skip
    def join(*tensors):
        answer = function(dict(zip(order, tensors, strict=True)))
        shapes.update({name: tensor.shape for name, tensor in answer.items()})
        return tuple(answer.values())

    def run(tensors):
        flat = [tensors[name] for name in order]
        rows = tf.shape(flat[0])[0]
        answers = tf.cond(
            (rows > 0) & (rows <= MAX_BATCH),
            lambda: tuple(join(*flat)),
            lambda: tuple(function(tensors).values()),
        )
        answer = dict(zip(shapes, answers, strict=True))
        return {name: tf.ensure_shape(tensor, shapes[name]) for name, tensor in answer.items()}

    return run


def joined_ids(function, specs: dict, max_length: int):
    """`joined` of a function of token_ids and segment_ids (B, T) and length (B,), of whatever T.

    Args:
        function, specs: as there.
        max_length: int. What is longer is truncated.
    Returns:
        Function from dict to dict; per-token answers are as long as the request.
    """

    def trimmed(tensors):
        longest = tf.maximum(1, tf.reduce_max(tensors["width"]))
        ids = {name: tensors[name][:, :longest] for name in ("token_ids", "segment_ids")}
        return function({**ids, "length": tensors["length"]})

    join = joined(trimmed, {**specs, "width": specs["length"]})

    def run(tensors):
        batch, width = tf.unstack(tf.shape(tensors["token_ids"]))
        width = tf.clip_by_value(width, 1, max_length)
        ids = {name: _of_length(tensors[name], max_length) for name in ("token_ids", "segment_ids")}
        # Not trimmed to the length: padding has answers too, and the same as alone.
        length = tf.minimum(tensors["length"], width)  # what a neighbour is longer by is none of its own
        answer = join({**ids, "length": length, "width": tf.fill([batch], width)})
        is_fixed = {name: t.shape.rank < 2 or t.shape[1] is not None for name, t in answer.items()}
        return {n: tensor if is_fixed[n] else _of_length(tensor, width) for n, tensor in answer.items()}

    return run


def _of_length(tensor, length):
    """(B, T, ...) -> (B, length, ...): cut, or filled with zeros."""
    tensor = tensor[:, :length]
    missing = length - tf.shape(tensor)[1]
    return tf.pad(tensor, [[0, 0], [0, missing], *[[0, 0]] * (tensor.shape.rank - 2)])
