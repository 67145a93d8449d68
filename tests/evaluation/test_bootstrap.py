import math

import numpy as np
import pytest

from keras_bert.evaluation.bootstrap import bootstrap_interval
from keras_bert.evaluation.scores import accuracy


def coin(rows: int, right: float):
    labels = np.zeros(rows, int)
    predictions = np.ones(rows, int)
    predictions[: int(rows * right)] = 0
    return labels, predictions


def test_the_same_seed_gives_the_same_interval():
    labels, predictions = coin(200, 0.8)
    intervals = {bootstrap_interval(accuracy, labels, predictions, seed, 50) for seed in (1, 1, 2)}
    assert len(intervals) == 2


def test_the_interval_of_an_accuracy_is_the_binomial_one():
    labels, predictions = coin(400, 0.8)
    low, high = bootstrap_interval(accuracy, labels, predictions, seed=0)
    margin = 1.96 * math.sqrt(0.8 * 0.2 / 400)
    assert low == pytest.approx(0.8 - margin, abs=0.006)
    assert high == pytest.approx(0.8 + margin, abs=0.006)


def test_more_confidence_is_a_wider_interval():
    labels, predictions = coin(100, 0.8)
    narrow = bootstrap_interval(accuracy, labels, predictions, 0, confidence=0.5)
    wide = bootstrap_interval(accuracy, labels, predictions, 0, confidence=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_labels_and_predictions_are_drawn_together():
    labels = np.arange(50)
    assert bootstrap_interval(accuracy, labels, labels, seed=0, resamples=20) == (1.0, 1.0)


def test_lists_of_anything_can_be_resampled():
    gold = [[{"start": 0}], [], [{"start": 3}, {"start": 5}]]

    def exact(gold, predicted):
        return float(np.mean([one == other for one, other in zip(gold, predicted, strict=True)]))

    assert bootstrap_interval(exact, gold, gold, seed=0, resamples=20) == (1.0, 1.0)


def test_resamples_without_a_score_do_not_count():
    def score(labels, predictions):
        return float("nan") if len(set(labels.tolist())) == 1 else 0.5

    assert bootstrap_interval(score, np.array([0, 1]), np.array([0, 1]), 0, 50) == (0.5, 0.5)
    never = bootstrap_interval(score, np.array([0, 0]), np.array([0, 1]), 0, 50)
    assert all(math.isnan(end) for end in never)


@pytest.mark.parametrize(("labels", "predictions"), [([], []), ([1], [1, 2])])
def test_lists_that_do_not_match_are_refused(labels, predictions):
    with pytest.raises(ValueError, match="one entry a row"):
        bootstrap_interval(accuracy, labels, predictions, seed=0)


def test_nonsense_settings_are_refused():
    with pytest.raises(ValueError, match="resamples=0"):
        bootstrap_interval(accuracy, [1], [1], seed=0, resamples=0)
    with pytest.raises(ValueError, match="confidence=95"):
        bootstrap_interval(accuracy, [1], [1], seed=0, confidence=95)
