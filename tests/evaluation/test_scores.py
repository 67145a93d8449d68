import json
from pathlib import Path

import numpy as np
import pytest

from keras_bert.evaluation.scores import (
    accuracy,
    confusion_matrix,
    macro_f1,
    matthews_correlation,
    micro_f1,
    precision_recall_f1,
)

CASES = json.loads(Path(__file__).with_name("golden_scores.json").read_text())["cases"]
WITH_IDS = [case for case in CASES if "confusion" in case]


def by_name(cases):
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


@by_name(CASES)
def test_every_score_equals_scikit_learn(case):
    labels, predictions, num_classes = case["labels"], case["predictions"], case["num_classes"]
    close = {"rtol": 0, "atol": 1e-12}
    scores = precision_recall_f1(labels, predictions, num_classes)
    for name in ("precision", "recall", "f1", "support"):
        np.testing.assert_allclose(getattr(scores, name), case[name], **close)
    np.testing.assert_allclose(accuracy(labels, predictions), case["accuracy"], **close)
    np.testing.assert_allclose(macro_f1(labels, predictions), case["macro_f1"], **close)
    np.testing.assert_allclose(macro_f1(labels, predictions, num_classes), case["macro_f1_of_all"], **close)
    np.testing.assert_allclose(micro_f1(labels, predictions), case["micro_f1"], **close)


@by_name(WITH_IDS)
def test_the_confusion_matrix_and_its_correlation_equal_scikit_learn(case):
    labels, predictions, num_classes = case["labels"], case["predictions"], case["num_classes"]
    np.testing.assert_array_equal(confusion_matrix(labels, predictions, num_classes), case["confusion"])
    np.testing.assert_allclose(
        matthews_correlation(labels, predictions), case["matthews"], rtol=0, atol=1e-12
    )


def test_rows_of_the_confusion_matrix_are_the_labels():
    np.testing.assert_array_equal(confusion_matrix([0, 0, 1], [1, 1, 1]), [[0, 2], [0, 1]])


def test_a_class_that_never_occurs_lowers_the_macro_f1_only_when_asked_for():
    assert macro_f1([0, 2], [0, 2]) == 1.0
    assert macro_f1([0, 2], [0, 2], num_classes=4) == 0.5


def test_booleans_and_numpy_integers_are_ids():
    assert accuracy(np.array([True, False]), np.array([1, 0], "uint8")) == 1.0


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1], [0], "one shape"),
        ([], [], "no rows"),
        ([0.0, 1.0], [0, 1], "must be integers"),
        ([0, -1], [0, 1], "ids from 0"),
        ([[0, 2]], [[0, 1]], "indicators"),
    ],
)
def test_what_cannot_be_scored_is_refused(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        precision_recall_f1(labels, predictions)


def test_too_few_classes_are_refused():
    with pytest.raises(ValueError, match="num_classes=2, id 2"):
        confusion_matrix([0, 2], [0, 1], num_classes=2)


def test_indicators_have_no_confusion_matrix():
    with pytest.raises(ValueError, match="needs class ids"):
        confusion_matrix([[0, 1]], [[0, 1]])
