import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from keras_bert.evaluation.scores import precision_recall_f1
from keras_bert.evaluation.thresholds import best_thresholds

GOLDEN = json.loads(lzma.decompress(Path(__file__).with_name("golden_ranking.json.xz").read_bytes()))


def column(values):
    return np.array(values)[:, None]


def f1_at(threshold, labels, probabilities):
    return precision_recall_f1(labels, (probabilities >= threshold).astype(int)).f1


def test_the_best_threshold_reaches_the_best_f1_of_scikit_learn():
    assert len(GOLDEN["thresholds"]) == 1000
    for case in GOLDEN["thresholds"]:
        labels, probabilities = column(case["labels"]), column(case["probabilities"])
        threshold = best_thresholds(labels, probabilities)
        assert f1_at(threshold, labels, probabilities)[0] == pytest.approx(case["f1"], rel=0, abs=1e-9), case


def test_of_equally_good_middles_the_one_nearest_to_a_half_is_taken():
    rng = np.random.default_rng(0)
    for _ in range(300):
        labels = rng.integers(2, size=(8, 1))
        probabilities = rng.integers(9, size=(8, 1)) / 8
        if not labels.any():
            continue
        levels = np.unique(probabilities)
        middles = np.concatenate([[min(0.5, levels[0])], (levels[:-1] + levels[1:]) / 2])
        f1 = np.array([f1_at(middle, labels, probabilities)[0] for middle in middles])
        best = middles[f1 == f1.max()]
        (threshold,) = best_thresholds(labels, probabilities)
        assert threshold in best and abs(threshold - 0.5) == np.abs(best - 0.5).min()


def test_every_label_has_a_threshold_of_its_own():
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]])
    probabilities = np.array([[0.3, 0.9, 0.8], [0.2, 0.8, 0.1], [0.1, 0.1, 0.2]])
    np.testing.assert_allclose(best_thresholds(labels, probabilities), [0.15, 0.85, 0.5])


def test_a_label_that_never_applies_keeps_a_half():
    np.testing.assert_array_equal(best_thresholds(np.zeros((3, 2), int), np.full((3, 2), 0.9)), [0.5, 0.5])
    np.testing.assert_array_equal(best_thresholds(np.zeros((0, 2), int), np.zeros((0, 2))), [0.5, 0.5])


def test_a_label_that_always_applies_is_always_given():
    labels = np.ones((3, 2), int)
    probabilities = np.array([[0.2, 0.7], [0.3, 0.8], [0.9, 0.9]])
    np.testing.assert_array_equal(best_thresholds(labels, probabilities), [0.2, 0.5])


def test_neighbouring_floats_are_told_apart():
    low = 0.3
    for _ in range(3):  # their mean rounds now up, now down
        high = np.nextafter(low, 1)
        (threshold,) = best_thresholds(column([0, 1]), column([low, high]))
        assert low < threshold <= high
        low = high


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([[1, 0]], [[0.5]], r"one shape \(n, C\). Received: shapes \(1, 2\) and \(1, 1\)"),
        ([1, 0], [0.5, 0.1], r"Received: shapes \(2,\) and \(2,\)"),
        ([[2]], [[0.5]], r"must be 0 or 1 .* Received: labels=\[2\]"),
        ([[1]], [[float("nan")]], "1 probabilities NaN"),
    ],
)
def test_what_has_no_threshold_is_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        best_thresholds(labels, probabilities)
