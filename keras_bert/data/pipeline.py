"""Rows of text -> batches for `fit`, as a `tf.data` pipeline.

    rows ──► shuffle ──► batch ──► features in graph

Batches are random in training: rows of like length, in batches of their own, would save padding, and learn
worse, because what is alike in length is alike in more. The training step leaves padding out instead, see
`layers/real_tokens.py`. Text becomes ids anew in every epoch: the in-graph tokeniser is far faster than a
training step.

A task that reads long texts in windows has more sequences than rows: they are counted once, and an epoch has
ceil(sequences / batch_size) batches.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from keras_bert.data.readers import rows_from
from keras_bert.data.task_rows import task_rows
from keras_bert.errors import DataError

SHUFFLE_ROWS = 100_000
SHUFFLE_SEQUENCES = 10_000
ROWS_AT_ONCE = 64  # of long texts, whose windows are made together
ROWS_HANDED_OVER = 256  # from Python to TensorFlow at once; one by one they take 0.2 ms each


def open_source(source, task, **reading):
    """A function that opens `source` and yields (location, row), as often as it is called.

    Args:
        source: what `Bert.dataset` takes.
        task: Task. Its column names are looked for.
        **reading: `columns`, and for a file `encoding` and `delimiter`, as `data.readers.read_rows`.
    """
    labels = 1 if task.labels_required else 0
    wanted = (*task.columns, *task.list_columns, *task.label_columns[:labels])
    optional = (*task.optional_columns, *task.training_columns, *task.label_columns[labels:])
    if isinstance(source, Iterator):
        source = list(source)  # an iterator can be read once, the rows are read in every epoch

    def rows():
        again = _dataset_rows(source) if isinstance(source, tf.data.Dataset) else source
        if task.row_kind:
            return task_rows(again, task.row_kind, wanted=wanted, optional=optional, **reading)
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
            optional.update(
                name for name in (*task.optional_columns, *task.training_columns) if row.get(name)
            )
        if not self.count:
            raise DataError("There is no row", expected="one row or more")
        in_order = (*task.optional_columns, *task.training_columns)
        self.text_columns = (*task.columns, *(name for name in in_order if name in optional))

    def checked(self):
        """Yields every row as the task's `check_row` leaves it, with all its columns."""
        for where, row in self.open_rows():
            checked = self.task.check_row(row, where)
            yield {**checked, **{name: checked.get(name) or "" for name in self.text_columns}}

    def __iter__(self):
        names = self.signature()
        return ({name: row[name] for name in names} for row in self.checked())

    def texts_of(self, rows: list) -> dict:
        """The columns of checked rows that are to be answered, as `predict` takes them."""
        names = (*self.text_columns, *self.task.list_columns)
        return {name: [r[name] for r in rows] for name in names if name not in self.task.training_columns}

    def signature(self) -> dict:
        """`tf.TensorSpec`s of one row."""
        targets = self.task.target_columns().items()
        return {
            **{name: tf.TensorSpec((), tf.string) for name in self.text_columns},
            **{name: tf.TensorSpec((None,), tf.string) for name in self.task.list_columns},
            **{name: tf.TensorSpec(shape, dtype) for name, (dtype, shape) in targets},
        }


def batches(rows: Rows, tokenizer, batch_size: int, *, training: bool, seed: int = 0) -> tf.data.Dataset:
    """Batches of (features, targets, sample weights) for `fit` and `evaluate`.

    Args:
        rows: Rows.
        tokenizer: `InGraphTokenizer`.
        batch_size: int. GLOBAL batch size: under a tf.distribute strategy it is split over the replicas.
        training: bool. Shuffled anew every epoch; otherwise in the order of the rows.
        seed: int. Order of the rows.
    Returns:
        `tf.data.Dataset` of known cardinality.
    """
    check_batch_size(batch_size)
    dataset = _dataset_of(rows)
    if training:
        buffer = min(rows.count, SHUFFLE_ROWS)
        if buffer == rows.count:  # all are in memory anyway: no epoch but the first one waits for them
            dataset = dataset.cache()
        dataset = dataset.shuffle(buffer, seed=seed, reshuffle_each_iteration=True)
    if rows.task.reads_windows:
        steps = -(-_num_sequences(rows, tokenizer) // batch_size)
        dataset = _batches_of_windows(dataset, rows, tokenizer, batch_size, seed if training else None)
    else:
        steps = -(-rows.count // batch_size)
        dataset = _encoded(dataset, rows, tokenizer, batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(tf.data.AUTOTUNE)


def _dataset_of(rows) -> tf.data.Dataset:
    """One element a row: a dict of its columns."""
    signature = rows.signature()
    if any(None in spec.shape for spec in signature.values()):  # lists, which have no common length
        return tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=signature)

    def handed_over():
        one_by_one = iter(rows)
        while some := list(itertools.islice(one_by_one, ROWS_HANDED_OVER)):
            yield {
                # Strings as objects: NumPy's own would lose zeros at the end, and be as long as the longest.
                name: np.array([row[name] for row in some], object if spec.dtype == tf.string else None)
                for name, spec in signature.items()
            }

    several = {name: tf.TensorSpec((None, *spec.shape), spec.dtype) for name, spec in signature.items()}
    return tf.data.Dataset.from_generator(handed_over, output_signature=several).unbatch()


def _encoded(dataset, rows, tokenizer, count) -> tf.data.Dataset:
    """(features, targets, sample weights) of `count` rows at a time."""
    task, signature = rows.task, rows.signature()
    names = (*rows.text_columns, *task.list_columns)

    @tf.autograph.experimental.do_not_convert
    def encode(columns):
        features = task.features({name: columns[name] for name in names}, tokenizer)
        targets = task.targets(columns, features)
        return ({name: features[name] for name in task.inputs}, *targets)

    # Lists, such as the spans of a row, have no common length.
    ragged = any(None in spec.shape for spec in signature.values())
    batched = dataset.ragged_batch(count) if ragged else dataset.batch(count)
    return batched.map(encode, num_parallel_calls=tf.data.AUTOTUNE)


def _batches_of_windows(dataset, rows, tokenizer, batch_size, seed) -> tf.data.Dataset:
    """Batches of sequences, of which a row may have several; shuffled where there is a seed."""
    # Two windows of a text do not follow one another in training.
    dataset = _encoded(dataset, rows, tokenizer, ROWS_AT_ONCE).unbatch()
    if seed is not None:
        dataset = dataset.shuffle(SHUFFLE_SEQUENCES, seed=seed, reshuffle_each_iteration=True)
    padding = tf.nest.map_structure(lambda spec: tf.zeros((), spec.dtype), dataset.element_spec)
    padding[0]["token_ids"] = tf.constant(tokenizer.pad_id, tf.int32)
    return dataset.padded_batch(batch_size, padding_values=padding)


def _num_sequences(rows, tokenizer) -> int:
    """Sequences of all rows together."""
    dataset = _dataset_of(rows)
    counts = _encoded(dataset, rows, tokenizer, ROWS_AT_ONCE).map(
        lambda features, *_: tf.shape(features["token_ids"])[0]
    )
    return int(counts.reduce(0, lambda total, count: total + count))


def check_batch_size(batch_size):
    """Raises DataError unless it is a whole number of 1 or more."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise DataError(
            f"The batch size is {batch_size!r}", where="batch_size", expected="an integer of 1 or more"
        )
