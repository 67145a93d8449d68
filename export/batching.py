"""Joining requests in the graph, for servers and loaders that do not join them by themselves.

Calls that come within `TIMEOUT_MICROS` of one another are answered as one batch of up to `MAX_BATCH` rows.
A batch is as wide as its longest row, so that only requests of like size are joined: a sentence that waits
for company is not padded to a page.
"""

import functools
import uuid

import tensorflow as tf

MAX_BATCH, TIMEOUT_MICROS, MAX_ENQUEUED = 32, 2000, 1000
THREADS = 1  # of each size; a batch uses all cores within an operation
# What is joined with what: sizes up to the first, up to the second, and so on. A word has some five bytes.
BYTES, TOKENS = (64, 128, 256, 512, 1024), (16, 32, 64, 128, 256)


def joined(function, specs: dict):
    """A function of named tensors that joins what several callers ask at once.

    A request of more rows than a batch has is answered by itself: cut in two, its parts might come back
    unequally wide.

    Args:
        function: from dict of tensors to dict of tensors, the batch first in all of them.
        specs: dict of `tf.TensorSpec` by name. What it takes: strings (B,).
    Returns:
        Function from dict to dict. In an axis whose length depends on the rows, an answer may be as long as
        the longest of those joined.
    """
    joins = [_join(function, specs) for _ in range(len(BYTES) + 1)]

    def run(tensors):
        lengths = tf.add_n([tf.strings.length(tensors[name]) for name in specs])  # (B,)
        return _chosen(joins, BYTES, tf.reduce_max(lengths), tf.size(lengths), function, tensors)

    return run


def joined_ids(function, specs: dict, max_length: int):
    """`joined` of a function of token_ids and segment_ids (B, T) and length (B,), of whatever T.

    Args:
        function, specs: as there.
        max_length: int. What is longer is truncated.
    Returns:
        Function from dict to dict; per-token answers are as long as the request.
    """
    widths = [*(width for width in TOKENS if width < max_length), max_length]
    joins = [_join_ids(function, specs, width) for width in widths]

    def run(tensors):
        batch, width = tf.unstack(tf.shape(tensors["token_ids"]))
        width = tf.clip_by_value(width, 1, max_length)
        ids = {name: _of_length(tensors[name], width) for name in ("token_ids", "segment_ids")}
        # Not trimmed to the length: padding has answers too, and the same as alone.
        length = tf.minimum(tensors["length"], width)  # what a neighbour is longer by is none of its own
        return _chosen(joins, widths[:-1], width, batch, function, {**ids, "length": length})

    return run


def _chosen(joins, bounds, size, rows, function, tensors):
    """What the join for this size answers; for no rows, and more than a batch has, the function itself."""
    is_batch = (rows > 0) & (rows <= MAX_BATCH)
    choice = tf.searchsorted(tf.constant(bounds, tf.int32, [len(bounds)]), [size])[0]
    branches = [functools.partial(branch, tensors) for branch in (*joins, function)]
    return tf.switch_case(tf.where(is_batch, choice, len(joins)), branches)


def _join(function, specs):
    """Function from dict to dict whose calls, whoever makes them, become one call of `function`."""
    shapes = {}
    # TensorFlow joins whatever has one name in a graph: other sizes, other signatures.
    name = f"join_{uuid.uuid4().hex}"

    @tf.nondifferentiable_batch_function(
        THREADS, MAX_BATCH, TIMEOUT_MICROS, max_enqueued_batches=MAX_ENQUEUED, autograph=False,
        enable_large_batch_splitting=False,
    )  # fmt: skip
    def join(*tensors):
        answer = function(dict(zip(specs, tensors, strict=True)))
        shapes.update({name: tensor.shape for name, tensor in answer.items()})
        return tuple(answer.values())

    def run(tensors):
        with tf.name_scope(name):
            answers = join(*(tensors[name] for name in specs))
        each = zip(shapes.items(), answers, strict=True)
        return {name: tf.ensure_shape(answer, shape) for (name, shape), answer in each}

    return run


def _join_ids(function, specs, longest):
    """`_join` of ids of up to `longest` tokens; an answer of every token is as long as its request."""

    def trimmed(tensors):
        width = tf.maximum(1, tf.reduce_max(tensors["width"]))
        ids = {name: tensors[name][:, :width] for name in ("token_ids", "segment_ids")}
        return function({**ids, "length": tensors["length"]})

    join = _join(trimmed, {**specs, "width": specs["length"]})

    def run(tensors):
        batch, width = tf.unstack(tf.shape(tensors["token_ids"]))
        ids = {name: _of_length(tensors[name], longest) for name in ("token_ids", "segment_ids")}
        answer = join({**ids, "length": tensors["length"], "width": tf.fill([batch], width)})
        is_fixed = {name: t.shape.rank < 2 or t.shape[1] is not None for name, t in answer.items()}
        return {n: tensor if is_fixed[n] else _of_length(tensor, width) for n, tensor in answer.items()}

    return run


def _of_length(tensor, length):
    """(B, T, ...) -> (B, length, ...): cut, or filled with zeros."""
    tensor = tensor[:, :length]
    missing = length - tf.shape(tensor)[1]
    return tf.pad(tensor, [[0, 0], [0, missing], *[[0, 0]] * (tensor.shape.rank - 2)])
