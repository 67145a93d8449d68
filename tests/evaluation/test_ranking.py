import json
import lzma
import math
from pathlib import Path

import numpy as np
import pytest

from keras_bert.evaluation.ranking import pearson, retrieval_scores, spearman

GOLDEN = json.loads(lzma.decompress(Path(__file__).with_name("golden_ranking.json.xz").read_bytes()))


def close(expected):
    return pytest.approx(expected, rel=0, abs=1e-9, nan_ok=True)


def test_correlations_equal_scipy():
    cases = GOLDEN["correlations"]
    assert len(cases) == 1000 and 50 < sum(math.isnan(case["pearson"]) for case in cases) < 500
    for case in cases:
        assert pearson(case["x"], case["y"]) == close(case["pearson"]), case
        assert spearman(case["x"], case["y"]) == close(case["spearman"]), case


def test_ranks_of_one_right_text_equal_scikit_learn():
    assert len(GOLDEN["retrieval"]) == 1000
    for case in GOLDEN["retrieval"]:
        scores = retrieval_scores(case["similarities"], [{text} for text in case["right"]], k=(1, 2, 3))
        assert scores["mrr"] == close(case["mrr"])
        for k, share in case["hits"].items():
            assert scores[f"accuracy_at_{k}"] == close(share)


def test_a_line_correlates_fully():
    assert pearson([1, 2, 3], [10, 20, 30]) == pytest.approx(1.0)
    assert pearson([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert spearman([1, 2, 3], [1, 10, 1000]) == pytest.approx(1.0)


def test_equal_values_share_their_mean_rank():
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4
    assert spearman([1, 2, 2, 5], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_a_constant_has_no_correlation():
    constant = [0.1, 0.1, 0.1]  # whose mean is not 0.1 in floating point
    for correlation in (pearson, spearman):
        assert math.isnan(correlation(constant, [1, 2, 3])) and math.isnan(correlation([1, 2, 3], constant))
        assert math.isnan(correlation([1.0], [2.0]))


def test_what_is_not_a_number_spreads():
    for correlation in (pearson, spearman):
        assert math.isnan(correlation([1.0, float("nan"), 3.0], [1, 2, 3]))
    assert math.isnan(pearson([1.0, float("inf"), 3.0], [1, 2, 3]))
    assert spearman([1.0, float("inf"), 3.0], [1, 3, 2]) == pytest.approx(1.0)


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1]), ([], []), ([[1, 2]], [[1, 2]])])
def test_two_series_of_one_length_are_needed(x, y):
    for correlation in (pearson, spearman):
        with pytest.raises(ValueError, match="two series of one length. Received: shapes"):
            correlation(x, y)


def test_the_first_relevant_text_counts():
    similarities = np.array([[0.9, 0.1, 0.5, 0.3], [0.4, 0.3, 0.2, 0.1]])
    scores = retrieval_scores(similarities, [{1, 3}, {0, 3}], k=(1, 3))
    assert scores == {"mrr": pytest.approx((1 / 3 + 1) / 2), "accuracy_at_1": 0.5, "accuracy_at_3": 1.0}


def test_of_equal_texts_the_earlier_column_stands_higher():
    similarities = [[0.5, 0.5, 0.5]]
    assert [1 / retrieval_scores(similarities, [{text}])["mrr"] for text in range(3)] == pytest.approx(
        [1, 2, 3]
    )
    assert retrieval_scores(similarities, [{2, 1}])["mrr"] == 0.5


def test_ranks_equal_those_of_a_stable_sort():
    rng = np.random.default_rng(0)
    for _ in range(300):
        similarities = rng.integers(4, size=(3, 7)) / 4
        relevant = [set(rng.choice(7, size=rng.integers(1, 4), replace=False).tolist()) for _ in range(3)]
        ranks = [
            1 + min(sorted(range(7), key=lambda text, row=row: -row[text]).index(text) for text in texts)
            for row, texts in zip(similarities, relevant, strict=True)
        ]
        scores = retrieval_scores(similarities, relevant, k=(2,))
        assert scores["mrr"] == close(np.mean([1 / rank for rank in ranks]))
        assert scores["accuracy_at_2"] == close(np.mean([rank <= 2 for rank in ranks]))


@pytest.mark.parametrize(
    ("similarities", "relevant", "message"),
    [
        ([[0.1, 0.2]], [{0}, {1}], r"a row for every query .* Received: shape \(1, 2\), 2 queries"),
        (np.zeros((0, 3)), [], r"Received: shape \(0, 3\), 0 queries"),
        ([0.1, 0.2], [{0}, {1}], r"Received: shape \(2,\), 2 queries"),
        ([[0.1, 0.2]], [set()], r"Received: relevant\[0\]=set\(\), 2 columns"),
        ([[0.1, 0.2]], [{2}], r"Received: relevant\[0\]=\{2\}, 2 columns"),
        ([[0.1, 0.2]], [{-1}], r"Received: relevant\[0\]=\{-1\}, 2 columns"),
        ([[0.1, float("nan")]], [{0}], "2 columns, 1 of them NaN"),
    ],
)
def test_what_cannot_be_ranked_is_refused(similarities, relevant, message):
    with pytest.raises(ValueError, match=message):
        retrieval_scores(similarities, relevant)
