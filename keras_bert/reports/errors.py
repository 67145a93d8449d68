"""The worst answers of an evaluation, for a reader to learn from."""

import json

import numpy as np

from keras_bert.files.atomic import atomic_file

MOST = 100


def worst_answers(task, gold: list[dict], answers: list[dict], most: int = MOST) -> list[dict]:
    """The rows that were answered worst, the worst first; none that was answered right.

    Args:
        task: Task.
        gold: list of dict. Checked rows, as `Bert.answered` gives them.
        answers: list of dict. Of `predict`.
        most: int.
    Returns:
        list of dict of JSON values: row (from 1), badness (0 to 1 or more), the text columns, expected,
        answer.
    """
    badness = np.array([task.badness(row, answer) for row, answer in zip(gold, answers, strict=True)])
    order = np.argsort(-badness, kind="stable")[:most]
    texts = (*task.columns, *task.list_columns, *task.optional_columns)
    return [
        {
            "row": int(i) + 1,
            "badness": round(float(badness[i]), 4),
            **{name: gold[i][name] for name in texts if name in gold[i]},
            "expected": task.expected(gold[i]),
            "answer": {name: value for name, value in answers[i].items() if "embedding" not in name},
        }
        for i in order
        if badness[i] > 0
    ]


def write_worst(path, answered: dict):
    """Writes `worst_answers`, one JSON object a line.

    Args:
        path: str or path.
        answered: {name: (task, gold, answers)}. Those of several files, or of a task's parts, are named as
            `file` and follow one another; the name of a single one may be None.
    """
    with atomic_file(path) as stage, stage.open("w", encoding="utf-8") as file:
        for name, (task, gold, answers) in answered.items():
            named = {} if name is None else {"file": name}
            for row in worst_answers(task, gold, answers):
                file.write(json.dumps({**named, **row}, ensure_ascii=False) + "\n")
