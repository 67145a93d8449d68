"""The registry of tasks, and the contract each keeps."""

import json

import pytest

from keras_bert.errors import UsageError
from keras_bert.tasks import TASKS, task_class
from keras_bert.tasks.base import Task


def test_an_unknown_task_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match="no task 'foretelling'.*classification"):
        task_class("foretelling")


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_filed_under_its_own_name(name):
    assert task_class(name).name == name


@pytest.mark.parametrize("name", TASKS)
def test_a_task_keeps_the_whole_contract(name):
    kind = task_class(name)
    assert issubclass(kind, Task)
    required = ["features", "head", "answer", "rows"]
    # What learns from records, not from labelled rows, reads them itself.
    rows = ["check_row", "target_columns", "targets", "scores", "badness"]
    if not kind.learns_from_rows:
        rows = ["dataset"]
    elif kind.parts is not Task.parts:  # its rows are those of its parts
        rows = ["dataset", "parts"]
    required += rows
    assert [method for method in required if getattr(kind, method) is getattr(Task, method)] == []
    assert kind.columns and kind.main_score and bool(kind.label_columns) == kind.learns_from_rows
    json.dumps([kind.columns, kind.optional_columns, kind.label_columns])
