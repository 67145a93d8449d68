"""The rows that show a converter which values activations have, so that 8 bits can be laid over them."""

import functools

import numpy as np

from keras_bert.data.pipeline import Rows, open_source
from keras_bert.errors import DataError, UsageError
from keras_bert.export.asking import batches_of, features_of, padded, row_of, sequences_of
from keras_bert.tasks.base import rows_by_part

MIN_ROWS, MAX_ROWS = 50, 200
BATCH_SIZE = 32


def calibration_calls(bert, source, names: dict, reading=None):
    """Example calls of static signatures, of rows taken evenly from the user's.

    Args:
        bert: `Bert` with a task.
        source: what `bert.dataset` takes.
        names: dict of int to str. The signature of each length, the longest first.
        reading: dict or None. `columns`, `encoding`, `delimiter`, as `Bert.dataset`.
    Returns:
        Function without arguments: yields the inputs of a call, dict of NumPy arrays, or with several
        signatures (name, inputs).
    Raises:
        DataError: too few rows, or all of one class.
        UsageError: the task has no rows.
    """
    if not bert.task.learns_from_rows:
        raise UsageError(
            f"The task {bert.task.name} has no rows to calibrate with", where="calibration_file",
            expected="a task that learns from rows", remedy="use dynamic_int8",
        )  # fmt: skip
    sources = rows_by_part(bert.task, source, "calibration_file", DataError)
    calls = []
    for part, rows in sources.items():
        asked = bert if part is None else bert.part(part)
        columns = _columns(asked.task, rows, MAX_ROWS // len(sources), reading or {})
        calls += [call for length, name in names.items() for call in _calls(asked, columns, length, name)]
    return functools.partial(_yielded, calls, with_names=len(names) > 1)


def _columns(task, source, count, reading) -> dict:
    """The texts of `count` rows by column."""
    rows = Rows(open_source(source, task, **reading), task)
    checked = list(rows.checked())
    if len(checked) < MIN_ROWS:
        raise _refused(
            f"There are {len(checked)} rows", f"{MIN_ROWS} or more, of all kinds that will be asked"
        )
    classes = [row.get(task.label_columns[0]) for row in checked]
    if all(isinstance(one, str | int) for one in classes) and len(set(classes)) == 1:
        raise _refused(f"All rows have the label {classes[0]!r}", "rows of every class")
    evenly = np.unique(np.linspace(0, len(checked) - 1, count).astype(int))
    return rows.texts_of([checked[i] for i in evenly])


def _calls(bert, columns, length, name):
    task = bert.task.resized(length)
    for texts in batches_of(columns, (BATCH_SIZE,)):
        sequences = sequences_of(padded(features_of(task, texts, bert.answerer.tokenizer), length))
        for i in range(len(sequences["token_ids"])):
            yield name, row_of(sequences, i)


def _yielded(calls, with_names):
    for name, inputs in calls:
        yield (name, inputs) if with_names else inputs


def _refused(what, expected) -> DataError:
    return DataError(what, where="calibration_file", expected=expected)
