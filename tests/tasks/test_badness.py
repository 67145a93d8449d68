"""The file of errors begins with the worst: how bad an answer is, from right to as wrong as can be."""

import numpy as np
import pytest

from keras_bert.tasks.classification import Classification
from keras_bert.tasks.fill_mask import FillMask
from keras_bert.tasks.multi_label import MultiLabel
from keras_bert.tasks.multiple_choice import MultipleChoice
from keras_bert.tasks.question_answering import QuestionAnswering
from keras_bert.tasks.regression import Regression
from keras_bert.tasks.similarity import Similarity
from keras_bert.tasks.tagging import Tagging


def span(start, end, label):
    return {"start": start, "end": end, "label": label}


CASES = {
    "classification": (
        Classification(["no", "yes"]),
        {"label": 1},
        [
            {"label": "yes", "scores": [0.4, 0.6]},
            {"label": "no", "scores": [0.6, 0.4]},
            {"label": "no", "scores": [0.9, 0.1]},
        ],
        [0, 0.6, 0.9],
    ),
    "fill_mask": (
        FillMask(),
        {"label": "a warm"},
        [{"pieces": [["a", "x"], ["warm", "x"]]}, {"pieces": [["a", "x"], ["x", "warm"]]}, {"pieces": []}],
        [0, 0.5, 1],
    ),
    "multi_label": (
        MultiLabel(["a", "b"]),
        {"labels": np.array([1, 0])},
        [{"labels": ["a"]}, {"labels": ["a", "b"]}, {"labels": ["b"]}],
        [0, 1, 2],
    ),
    "multiple_choice": (
        MultipleChoice(),
        {"label": 0},
        [{"choice": 0, "scores": [0.6, 0.4]}, {"choice": 1, "scores": [0.3, 0.7]}],
        [0, 0.7],
    ),
    "question_answering": (
        QuestionAnswering(),
        {"answers": [{"text": "warm film", "start": 0}]},
        [{"answer": "warm film"}, {"answer": "film"}, {"answer": "cold"}],
        [0, 1 / 3, 1],
    ),
    "regression": (
        Regression(), {"score": 2.0}, [{"score": 2.0}, {"score": 1.5}, {"score": 4.0}], [0, 0.5, 2],
    ),
    "similarity": (
        Similarity(score_range=(0, 5)),
        {"score": 5.0},
        [{"score": 1.0}, {"score": 0.5}, {"score": -1.0}],
        [0, 0.5, 2],
    ),
    "similarity of partners": (
        Similarity(objective="in_batch_negatives"),
        {"score": 0.0},
        [{"score": 1.0}, {"score": 0.25}],
        [0, 0.75],
    ),
    "tagging": (
        Tagging(["PER", "LOC"]),
        {"spans": [(0, 4, "PER"), (8, 10, "LOC")]},
        [
            {"spans": [span(0, 4, "PER"), span(8, 10, "LOC")]},
            {"spans": [span(0, 4, "PER")]},
            {"spans": [span(0, 4, "LOC")]},
        ],
        [0, 1 / 3, 1],
    ),
    "tagging of nothing": (
        Tagging(["PER"]), {"spans": []}, [{"spans": []}, {"spans": [span(0, 4, "PER")]}], [0, 1],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("task", "gold", "answers", "expected"), CASES.values(), ids=CASES)
def test_an_answer_is_as_bad_as_it_is_far_from_the_right_one(task, gold, answers, expected):
    assert [task.badness(gold, answer) for answer in answers] == pytest.approx(expected)
