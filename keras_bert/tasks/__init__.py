"""The tasks, by name. One file each; a new task is one file and one line here.

The table holds `module:class` as text, so that the names are known without importing TensorFlow.
"""

import importlib

from keras_bert.errors import UsageError

TASKS = {
    "classification": "keras_bert.tasks.classification:Classification",
    "fill_mask": "keras_bert.tasks.fill_mask:FillMask",
    "multi_label": "keras_bert.tasks.multi_label:MultiLabel",
    "multi_task": "keras_bert.tasks.multi_task:MultiTask",
    "multiple_choice": "keras_bert.tasks.multiple_choice:MultipleChoice",
    "pretraining": "keras_bert.tasks.pretraining:Pretraining",
    "question_answering": "keras_bert.tasks.question_answering:QuestionAnswering",
    "regression": "keras_bert.tasks.regression:Regression",
    "similarity": "keras_bert.tasks.similarity:Similarity",
    "tagging": "keras_bert.tasks.tagging:Tagging",
}
# Those that `keras-bert finetune` trains, on rows; pretraining has a verb of its own.
FROM_ROWS = tuple(name for name in TASKS if name != "pretraining")


def task_class(name: str):
    """The class of the task called `name`."""
    if name not in TASKS:
        raise UsageError(f"There is no task {name!r}", expected=f"one of {', '.join(sorted(TASKS))}")
    module, _, attribute = TASKS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
