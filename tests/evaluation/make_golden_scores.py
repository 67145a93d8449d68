"""Writes golden_scores.json: what scikit-learn gives for a few hundred rows and for the corner cases.

Run it where scikit-learn is installed (it is no dependency of the tests):
    python tests/evaluation/make_golden_scores.py
"""

import json
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn import metrics

CORNERS = {
    "all right": ([0, 1, 2, 1], [0, 1, 2, 1], 3),
    "all wrong": ([0, 0, 1], [1, 1, 0], 2),
    "one class only": ([1, 1, 1], [1, 1, 1], 2),
    "constant prediction": ([0, 1, 1, 0, 1], [1, 1, 1, 1, 1], 2),
    "constant labels": ([0, 0, 0, 0], [0, 1, 0, 2], 3),
    "a class that never occurs": ([0, 2, 2, 0], [0, 2, 0, 0], 4),
    "a class only predicted": ([0, 1, 1, 0], [0, 2, 1, 0], 3),
    "one row": ([1], [0], 2),
}


def random_cases(rng):
    for classes, rows in ((2, 200), (5, 300), (20, 60)):
        labels = rng.integers(classes, size=rows)
        predictions = np.where(rng.random(rows) < 0.6, labels, rng.integers(classes, size=rows))
        yield f"{classes} classes", labels.tolist(), predictions.tolist(), classes
    for classes, rows in ((6, 80), (3, 4)):
        labels = (rng.random((rows, classes)) < 0.3).astype(int)
        predictions = np.where(rng.random((rows, classes)) < 0.8, labels, 1 - labels)
        predictions[:, -1] = 0
        yield f"{classes} indicators", labels.tolist(), predictions.tolist(), classes


def golden(name, labels, predictions, classes) -> dict:
    indicators = isinstance(labels[0], list)
    chosen = {} if indicators else {"labels": list(range(classes))}
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predictions, zero_division=0, **chosen
    )
    scores = {
        "accuracy": metrics.accuracy_score(labels, predictions),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "macro_f1": metrics.f1_score(labels, predictions, average="macro", zero_division=0),
        "macro_f1_of_all": metrics.f1_score(labels, predictions, average="macro", zero_division=0, **chosen),
        "micro_f1": metrics.f1_score(labels, predictions, average="micro", zero_division=0),
    }
    if not indicators:
        scores["confusion"] = metrics.confusion_matrix(labels, predictions, **chosen).tolist()
        scores["matthews"] = metrics.matthews_corrcoef(labels, predictions)
    return {"name": name, "labels": labels, "predictions": predictions, "num_classes": classes, **scores}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    cases = [(name, *values) for name, values in CORNERS.items()]
    cases += random_cases(np.random.default_rng(0))
    document = {"scikit-learn": sklearn.__version__, "cases": [golden(*case) for case in cases]}
    Path(__file__).with_name("golden_scores.json").write_text(json.dumps(document) + "\n")
