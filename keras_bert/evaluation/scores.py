"""Scores of class predictions over a whole file, in NumPy, by scikit-learn's definitions.

Labels and predictions are int class ids (n,); where a row may have several classes, they are indicator
arrays (n, C) of 0 and 1. A ratio whose denominator is zero is 0: the precision of a class that was never
predicted, the recall of a class that never occurs, the F1 of a class with neither, the correlation of a
constant (scikit-learn's `zero_division=0`).
"""

from typing import NamedTuple

import numpy as np


class ClassScores(NamedTuple):
    """Scores of each class, float64 (C,); `support` int64 (C,) counts its rows."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def accuracy(labels, predictions) -> float:
    """Share of rows predicted exactly; of indicator rows, those with every class right."""
    labels, predictions = _pair(labels, predictions)
    right = labels == predictions
    return float(np.mean(right if right.ndim == 1 else right.all(axis=1)))


def confusion_matrix(labels, predictions, num_classes: int | None = None) -> np.ndarray:
    """Counts, int64 (C, C): rows are the labels, columns the predictions.

    Args:
        labels: int array-like (n,).
        predictions: int array-like (n,).
        num_classes: int. C; None means the highest id that occurs, plus one.
    """
    labels, predictions = _ids(labels, predictions, "confusion_matrix")
    size = _num_classes(labels, predictions, num_classes)
    flat = np.bincount(labels * size + predictions, minlength=size * size)
    return flat.reshape(size, size).astype(np.int64)


def precision_recall_f1(labels, predictions, num_classes: int | None = None) -> ClassScores:
    """Precision, recall, F1 and support of each class.

    Args:
        labels: int array-like, ids (n,) or indicators (n, C).
        predictions: as `labels`.
        num_classes: int. C, for ids; None means the highest id that occurs, plus one.
    """
    hits, predicted, actual = _counts(labels, predictions, num_classes)
    f1 = _ratio(2 * hits, predicted + actual)
    return ClassScores(_ratio(hits, predicted), _ratio(hits, actual), f1, actual)


def macro_f1(labels, predictions, num_classes: int | None = None) -> float:
    """Mean of the classes' F1.

    Args:
        labels: int array-like, ids (n,) or indicators (n, C).
        predictions: as `labels`.
        num_classes: int. The mean is over the ids 0 to `num_classes - 1`, a class that never occurs
            counting 0 (scikit-learn's `labels=range(C)`). None means, for ids, over the classes that occur
            as label or prediction (scikit-learn's default). Indicators have C classes either way.
    """
    hits, predicted, actual = _counts(labels, predictions, num_classes)
    f1 = _ratio(2 * hits, predicted + actual)
    if num_classes is None and np.ndim(labels) == 1:
        f1 = f1[predicted + actual > 0]
    return float(f1.mean())


def micro_f1(labels, predictions) -> float:
    """F1 of the counts of all classes together; for ids it equals the accuracy."""
    hits, predicted, actual = _counts(labels, predictions, None)
    return float(_ratio(2 * hits.sum(), predicted.sum() + actual.sum()))


def matthews_correlation(labels, predictions) -> float:
    """Matthews correlation of two classes, and its generalisation R_K to more.

    Reference: Gorodkin 2004, https://doi.org/10.1016/j.compbiolchem.2004.09.006
    """
    matrix = confusion_matrix(labels, predictions).astype(np.float64)
    actual, predicted, rows = matrix.sum(axis=1), matrix.sum(axis=0), matrix.sum()
    covariance = matrix.trace() * rows - actual @ predicted
    spread = (rows**2 - actual @ actual) * (rows**2 - predicted @ predicted)
    return float(covariance / np.sqrt(spread)) if spread else 0.0


def _pair(labels, predictions) -> tuple[np.ndarray, np.ndarray]:
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.ndim not in (1, 2):
        raise ValueError(
            "`labels` and `predictions` must be of one shape, (rows,) or (rows, classes). Received: "
            f"labels of shape {labels.shape}, predictions of shape {predictions.shape}"
        )
    if not len(labels):
        raise ValueError("There are no rows to score. Received: labels of shape " + str(labels.shape))
    for name, values in (("labels", labels), ("predictions", predictions)):
        if values.dtype.kind not in "iub":
            raise ValueError(f"`{name}` must be integers. Received: {name} of dtype {values.dtype}")
        if values.min() < 0 or (values.ndim == 2 and values.max() > 1):
            expected = "ids from 0" if values.ndim == 1 else "indicators, 0 or 1"
            raise ValueError(
                f"`{name}` must be {expected}. Received: values {values.min()} to {values.max()}"
            )
    return labels.astype(np.int64), predictions.astype(np.int64)


def _ids(labels, predictions, score: str) -> tuple[np.ndarray, np.ndarray]:
    labels, predictions = _pair(labels, predictions)
    if labels.ndim != 1:
        raise ValueError(f"`{score}` needs class ids (rows,). Received: labels of shape {labels.shape}")
    return labels, predictions


def _num_classes(labels: np.ndarray, predictions: np.ndarray, num_classes: int | None) -> int:
    needed = int(max(labels.max(), predictions.max())) + 1
    if num_classes is not None and num_classes < needed:
        raise ValueError(
            f"`num_classes` must exceed every id. Received: num_classes={num_classes}, id {needed - 1}"
        )
    return needed if num_classes is None else num_classes


def _counts(labels, predictions, num_classes: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (C,) of each class that are right, that are predicted, that are labelled so."""
    labels, predictions = _pair(labels, predictions)
    if labels.ndim == 2:
        return (labels & predictions).sum(axis=0), predictions.sum(axis=0), labels.sum(axis=0)
    size = _num_classes(labels, predictions, num_classes)
    hits = np.bincount(labels[labels == predictions], minlength=size)
    return hits, np.bincount(predictions, minlength=size), np.bincount(labels, minlength=size)


def _ratio(numerator, denominator) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator != 0)
