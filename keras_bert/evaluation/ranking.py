"""Correlations by scipy's definitions, and how well a search finds what it should, in NumPy."""

import numpy as np


def pearson(x, y) -> float:
    """Correlation of two series (n,); NaN where one is constant or has a value that is not finite."""
    x, y = (_centred(series) for series in _series(x, y))
    spread = np.sqrt((x @ x) * (y @ y))
    return float(np.clip(x @ y / spread, -1.0, 1.0)) if spread > 0 else float("nan")


def spearman(x, y) -> float:
    """Correlation of the ranks of two series (n,), equal values sharing the mean of theirs.

    NaN where one series is constant or has a NaN.
    """
    x, y = _series(x, y)
    if np.isnan(x).any() or np.isnan(y).any():
        return float("nan")
    return pearson(_ranks(x), _ranks(y))


def _series(x, y):
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise ValueError(
            f"`x` and `y` must be two series of one length. Received: shapes {x.shape} and {y.shape}"
        )
    return x, y


def _centred(x):
    """Deviations from the mean, the largest 1: products of tiny and of huge ones stay in range."""
    if not np.isfinite(x).all():
        return np.full_like(x, np.nan)
    if (x == x[0]).all():  # its mean may differ in the last bit
        return np.zeros_like(x)
    x = x / np.abs(x).max()
    x = x - x.mean()
    return x / np.abs(x).max()


def _ranks(x):
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)  # the highest rank of each value
    return (last - (counts - 1) / 2)[place]


def retrieval_scores(similarities, relevant, k=(1, 5, 10)) -> dict:
    """How high the texts that answer a query stand among all.

    Args:
        similarities: float array-like (Q, N). Of every query to every text.
        relevant: sequence of Q non-empty sets of int. The texts that answer each query.
        k: sequence of int.
    Returns:
        `mrr`: mean of 1 / rank of the first relevant text; `accuracy_at_<k>`: share of the queries with one
        among the first k. Of equally similar texts the earlier column stands higher, whether relevant or not.
    Raises:
        ValueError: not one row a query, a NaN, a query without a relevant text or with one that is no column.
    """
    ranks = first_ranks(similarities, relevant)
    scores = {"mrr": float((1 / ranks).mean())}
    return {**scores, **{f"accuracy_at_{n}": float((ranks <= n).mean()) for n in k}}


def first_ranks(similarities, relevant) -> np.ndarray:
    """int (Q,): the rank, from 1, of the first relevant text of every query; as `retrieval_scores`."""
    similarities = np.asarray(similarities)
    if similarities.ndim != 2 or len(similarities) != len(relevant) or not len(relevant):
        raise ValueError(
            "`similarities` must have a row for every query of `relevant`. Received: shape "
            f"{similarities.shape}, {len(relevant)} queries"
        )
    return np.array([_first_rank(i, *row) for i, row in enumerate(zip(similarities, relevant, strict=True))])


def _first_rank(query: int, row, texts) -> int:
    """Rank, from 1, of the highest relevant text in a stable descending order."""
    columns = np.array(sorted(texts), np.int64)
    if not len(columns) or columns[0] < 0 or columns[-1] >= len(row) or np.isnan(row).any():
        raise ValueError(
            "Every query needs relevant texts among the columns and similarities that are numbers. Received: "
            f"relevant[{query}]={texts}, {len(row)} columns, {np.count_nonzero(np.isnan(row))} of them NaN"
        )
    best = columns[np.argmax(row[columns])]  # the first of equal ones
    return 1 + np.count_nonzero(row > row[best]) + np.count_nonzero(row[:best] == row[best])
