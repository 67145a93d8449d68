"""How sure a score is: the percentile interval of scores of resampled rows."""

from collections.abc import Callable

import numpy as np


def bootstrap_interval(
    score_fn: Callable,
    labels,
    predictions,
    seed: int,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """The interval that holds the score of most resamples of the rows.

    Rows are drawn with replacement, as many as there are, and scored; the interval leaves out equal shares
    of the lowest and the highest scores. Resamples without a score (NaN: say, a correlation of constants)
    do not count.

    Args:
        score_fn: function (labels, predictions) -> float, such as `scores.macro_f1`.
        labels: array or list, one entry a row.
        predictions: array or list, one entry a row.
        seed: int. The same seed draws the same rows.
        resamples: int. Number of resamples.
        confidence: float in (0, 1). Share of the resamples in the interval.

    Returns:
        `(low, high)`; both NaN where no resample has a score.

    Raises:
        ValueError: no rows, or lists of different length.

    Reference: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    rows = len(labels)
    if not rows or rows != len(predictions):
        raise ValueError(
            "`labels` and `predictions` must have one entry a row. Received: "
            f"{rows} labels, {len(predictions)} predictions"
        )
    if resamples < 1 or not 0 < confidence < 1:
        raise ValueError(
            "`resamples` must be positive and `confidence` between 0 and 1. Received: "
            f"resamples={resamples}, confidence={confidence}"
        )
    rng = np.random.default_rng(seed)
    scores = np.empty(resamples)
    for i in range(resamples):
        drawn = rng.integers(rows, size=rows)
        scores[i] = score_fn(_take(labels, drawn), _take(predictions, drawn))
    scores = scores[~np.isnan(scores)]
    if not len(scores):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(scores, (tail, 1 - tail))
    return float(low), float(high)


def _take(values, indices: np.ndarray):
    """Chosen rows of an array, or of a list whose entries are no numbers (spans, texts)."""
    if isinstance(values, np.ndarray):
        return values[indices]
    return [values[i] for i in indices]
