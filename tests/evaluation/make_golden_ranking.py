"""Writes golden_ranking.json.xz: 1,000 random cases each of scipy's correlations, and of scikit-learn's ranks
of the one right text and best F1 over all thresholds.

Run it where both are installed (they are no dependency of the tests; written with scipy 1.17.1 and
scikit-learn 1.9.1):
    python tests/evaluation/make_golden_ranking.py
"""

import json
import lzma
import warnings
from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn import metrics


def correlations(rng):
    """Few distinct values, so that ties and constants are common; in some cases far from 1."""
    rows = int(rng.integers(2, 13))
    spread = int(rng.choice([1, 2, 4, 100]))
    x, y = (
        rng.integers(spread, size=rows),
        rng.integers(spread, size=rows) + rng.integers(2) * rng.integers(9),
    )
    if rng.random() < 0.3:
        y = x + rng.integers(2, size=rows)
    scale = float(rng.choice([0.1, 1.0, 1e-160, 1e150, -3.0]))
    x, y = (x * scale).tolist(), (y * 0.1).tolist()
    values = stats.pearsonr(x, y).statistic, stats.spearmanr(x, y).statistic
    return {"x": x, "y": y, "pearson": float(values[0]), "spearman": float(values[1])}


def retrieval(rng):
    """Similarities that differ, one right text a query: its reciprocal rank is the average precision."""
    queries, texts = int(rng.integers(1, 6)), int(rng.integers(4, 9))
    similarities = np.stack([rng.permutation(texts) for _ in range(queries)]) - 3
    right = rng.integers(texts, size=queries)
    hits = {
        k: float(metrics.top_k_accuracy_score(right, similarities, k=k, labels=range(texts)))
        for k in (1, 2, 3)
    }
    mrr = metrics.label_ranking_average_precision_score(np.eye(texts)[right], similarities)
    return {"similarities": similarities.tolist(), "right": right.tolist(), "mrr": float(mrr), "hits": hits}


def threshold(rng):
    rows = int(rng.integers(1, 16))
    labels = rng.integers(2, size=rows)
    labels[0] = 1
    levels = int(rng.choice([3, 10, 1000]))
    probabilities = (
        np.clip(rng.integers(levels + 1, size=rows) + labels * levels // 4, 0, levels) / levels
    ).tolist()
    precision, recall, _ = metrics.precision_recall_curve(labels, probabilities)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    return {"labels": labels.tolist(), "probabilities": probabilities, "f1": float(f1.max())}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    document = {"scipy": scipy.__version__, "scikit-learn": sklearn.__version__}
    for name, case in (("correlations", correlations), ("retrieval", retrieval), ("thresholds", threshold)):
        document[name] = [case(rng) for _ in range(1000)]
    text = json.dumps(document, separators=(",", ":")) + "\n"
    Path(__file__).with_name("golden_ranking.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))
