"""The thresholds that serve a score best, by trying every one that makes a difference."""

import numpy as np


def best_thresholds(labels, probabilities) -> np.ndarray:
    """For every label the threshold with the best F1 of that label.

    A label is given where its probability is at least the threshold.

    Args:
        labels: int array-like (n, C), 1 where the label applies.
        probabilities: float array-like (n, C).
    Returns:
        float64 (C,): in the middle between two probabilities that occur (below all of them: 0.5 or the lowest
        one), of equally good ones the nearest to 0.5; 0.5 for a label that never applies.
    Raises:
        ValueError: different shapes, labels other than 0 and 1, or a NaN.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, np.float64)
    if labels.ndim != 2 or labels.shape != probabilities.shape:
        raise ValueError(
            "`labels` and `probabilities` must be of one shape (n, C). Received: shapes "
            f"{labels.shape} and {probabilities.shape}"
        )
    if not np.isin(labels, (0, 1)).all() or np.isnan(probabilities).any():
        raise ValueError(
            "`labels` must be 0 or 1 and `probabilities` numbers. Received: "
            f"labels={np.unique(labels)}, {np.count_nonzero(np.isnan(probabilities))} probabilities NaN"
        )
    return np.array([_best(*columns) for columns in zip(labels.T, probabilities.T, strict=True)])


def _best(labels, probabilities) -> float:
    """The best threshold of one label, (n,) and (n,)."""
    if not labels.any():
        return 0.5
    levels, place = np.unique(probabilities, return_inverse=True)
    hits = np.bincount(place, weights=labels, minlength=len(levels))[::-1].cumsum()[::-1]
    named = np.bincount(place, minlength=len(levels))[::-1].cumsum()[::-1]  # rows at or above each level
    f1 = 2 * hits / (named + labels.sum())
    middles = (levels[:-1] + levels[1:]) / 2
    middles = np.where(middles > levels[:-1], middles, levels[1:])  # neighbours have no float between them
    thresholds = np.concatenate([[min(0.5, levels[0])], middles])
    best = np.flatnonzero(f1 == f1.max())
    return float(thresholds[best[np.argmin(np.abs(thresholds[best] - 0.5))]])
