"""The tasks, by name. One file each; a new task is one file and one line here.

The table holds `module:class` as text, so that the names are known without importing TensorFlow.
"""

import importlib

from keras_bert.errors import UsageError

TASKS = {
    "classification": "keras_bert.tasks.classification:Classification",
    "pretraining": "keras_bert.tasks.pretraining:Pretraining",
}


def task_class(name: str):
    """The class of the task called `name`."""
    if name not in TASKS:
        raise UsageError(f"There is no task {name!r}", expected=f"one of {', '.join(sorted(TASKS))}")
    module, _, attribute = TASKS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
