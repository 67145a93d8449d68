"""Rows of text -> batches for `fit`, as a `tf.data` pipeline.

    rows ──► shuffle ──► window of 64 batches ──► features in graph ──► sort by length ──► batches, shuffled

A batch is as long as its longest text, and because a window is sorted before it is cut, its texts are
almost of one length: on SST-2 that removes most of the padding. An epoch has four windows or more, so that
batches are composed anew in every epoch. Every window but the last is a whole number of batches, so an epoch
has ceil(rows / batch_size) batches, as if nothing had been sorted. Text becomes ids anew in every epoch: the
in-graph tokeniser is far faster than a training step.
"""

from collections.abc import Iterator

import tensorflow as tf

from keras_bert.data.readers import rows_from
from keras_bert.errors import DataError
from keras_bert.features import FEATURES

WINDOW_BATCHES = 64
SHUFFLE_ROWS = 100_000


def open_source(source, task, **reading):
    """A function that opens `source` and yields (location, row), as often as it is called.

    Args:
        source: what `Bert.dataset` takes.
        task: Task. Its column names are looked for.
        **reading: `columns`, and for a file `encoding` and `delimiter`, as `data.readers.read_rows`.
    """
    wanted = (*task.columns, task.label_columns[0])
    optional = (*task.optional_columns, *task.label_columns[1:])
    if isinstance(source, Iterator):
        source = list(source)  # an iterator can be read once, the rows are read in every epoch

    def rows():
        again = _dataset_rows(source) if isinstance(source, tf.data.Dataset) else source
        return rows_from(again, wanted=wanted, optional=optional, **reading)

    return rows


def _dataset_rows(dataset):
    """Rows of a `tf.data.Dataset` of dicts of scalars, or of dicts of equally long vectors."""
    for element in dataset.as_numpy_iterator():
        if not isinstance(element, dict):
            raise DataError(
                f"The dataset yields {type(element).__name__}", expected="dicts of strings by column name"
            )
        batched = any(getattr(value, "ndim", 0) for value in element.values())
        columns = element if batched else {name: [value] for name, value in element.items()}
        for values in zip(*columns.values(), strict=True):
            decoded = (
                value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values
            )
            yield dict(zip(columns, decoded, strict=True))


class Rows:
    """The checked rows of one source, read again whenever they are iterated.

    Args:
        open_rows: function without arguments -> iterator of (location, row).
        task: Task. Checks the rows and says which columns they have.

    Raises:
        DataError: no row, or a row that the task refuses. Every row is checked once here, before training
            starts, so that a mistake in the last line costs seconds, not an epoch.
    """

    def __init__(self, open_rows, task):
        self.open_rows, self.task = open_rows, task
        self.count, optional = 0, set()
        for where, row in open_rows():
            task.check_row(row, where)
            self.count += 1
            optional.update(name for name in task.optional_columns if row.get(name))
        if not self.count:
            raise DataError("There is no row", expected="one row or more")
        self.text_columns = (*task.columns, *(name for name in task.optional_columns if name in optional))

    def __iter__(self):
        targets = self.task.target_columns()
        for where, row in self.open_rows():
            checked = self.task.check_row(row, where)
            texts = {name: checked.get(name) or "" for name in self.text_columns}
            yield {**texts, **{name: checked[name] for name in targets}}

    def signature(self) -> dict:
        """`tf.TensorSpec`s of one row."""
        texts = {name: tf.TensorSpec((), tf.string) for name in self.text_columns}
        return {
            **texts,
            **{
                name: tf.TensorSpec(shape, dtype)
                for name, (dtype, shape) in self.task.target_columns().items()
            },
        }


def batches(rows: Rows, tokenizer, batch_size: int, *, training: bool, seed: int = 0) -> tf.data.Dataset:
    """Batches of (features, targets, sample weights) for `fit` and `evaluate`.

    Args:
        rows: Rows.
        tokenizer: `InGraphTokenizer`.
        batch_size: int. GLOBAL batch size: under a tf.distribute strategy it is split over the replicas.
        training: bool. Shuffled anew every epoch; otherwise in the order of the rows.
        seed: int. Order of the rows and of the batches.
    Returns:
        `tf.data.Dataset` of known cardinality.
    """
    check_batch_size(batch_size)
    task, signature = rows.task, rows.signature()

    def encode(columns):
        texts = {name: columns[name] for name in rows.text_columns}
        features = task.features(texts, tokenizer)
        return (features, *task.targets(columns, features))

    steps = -(-rows.count // batch_size)
    dataset = tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=signature)
    if training:
        buffer = min(rows.count, SHUFFLE_ROWS)
        window = batch_size * max(1, min(WINDOW_BATCHES, steps // 4))
        dataset = dataset.shuffle(buffer, seed=seed, reshuffle_each_iteration=True)
        dataset = dataset.batch(window).map(encode, num_parallel_calls=tf.data.AUTOTUNE)
        seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(
            2, drop_remainder=True
        )
        dataset = tf.data.Dataset.zip(dataset, seeds).flat_map(
            lambda window, window_seed: _cut(window, batch_size, window_seed)
        )
    else:
        dataset = dataset.batch(batch_size).map(encode, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(tf.data.AUTOTUNE)


def check_batch_size(batch_size):
    """Raises DataError unless it is a whole number of 1 or more."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise DataError(
            f"The batch size is {batch_size!r}", where="batch_size", expected="an integer of 1 or more"
        )


def _cut(window, batch_size, seed):
    """One window of encoded rows -> batches of rows of nearly equal length, in random order."""
    lengths = tf.reduce_sum(window[0]["padding_mask"], axis=1)  # (W,)
    order = tf.argsort(lengths, stable=True)
    num_batches = -(-tf.size(lengths) // batch_size)
    batch_order = tf.random.experimental.stateless_shuffle(tf.range(num_batches), seed=seed)

    def batch(index):
        chosen = order[index * batch_size : (index + 1) * batch_size]
        longest = tf.reduce_max(tf.gather(lengths, chosen))
        features, *targets = tf.nest.map_structure(lambda tensor: tf.gather(tensor, chosen), window)
        return (trim(features, longest), *targets)

    return tf.data.Dataset.from_tensor_slices(batch_order).map(batch)


def trim(features: dict, length) -> dict:
    """Features (B, T) cut to their first `length` tokens; features without the axis T as they are."""
    return {
        name: tensor[:, :length] if "T" in FEATURES[name].shape else tensor
        for name, tensor in features.items()
    }
