"""Classification of one text or a pair of texts into one of C classes."""

import re

import keras
import numpy as np

from keras_bert.errors import DataError
from keras_bert.evaluation import scores
from keras_bert.layers import Classifier
from keras_bert.tasks.base import Task
from keras_bert.training.losses import SparseCrossentropy
from keras_bert.training.model import BertModel


class Classification(Task):
    """One label for every text or pair of texts.

    Args:
        labels: sequence of str. The class names; their order is the order of the logits.
        max_length: int. Longest sequence of pieces, special tokens included.
    Raises:
        DataError: fewer than two labels, or one twice.
    """

    name = "classification"
    columns = ("text",)
    optional_columns = ("text_pair",)
    label_columns = ("label", "sample_weight")
    architecture = "BertForSequenceClassification"
    main_score = "accuracy"

    def __init__(self, labels, max_length: int = 128):
        super().__init__(max_length)
        if isinstance(labels, str):
            raise DataError(f"The labels are one text: {labels!r}", where="labels", expected="class names")
        self._labels = tuple(str(label) for label in labels)
        if len(set(self._labels)) != len(self._labels):
            raise DataError("A label is named twice", where="labels", expected="distinct class names")
        if len(self._labels) < 2:
            raise DataError(
                f"Classification needs two classes or more, there is {len(self._labels)}",
                where="labels", expected="two or more distinct labels in the training data",
                remedy="check the label column, or name all classes with --labels=a,b (Python: labels=[...])",
            )  # fmt: skip
        self._index = {label: i for i, label in enumerate(self._labels)}

    @property
    def labels(self):
        return self._labels

    def settings(self):
        return {**super().settings(), "labels": list(self._labels)}

    @classmethod
    def settings_from_rows(cls, rows):
        found = dict.fromkeys(_label_of(row, where) for where, row in rows)
        # "10" after "2": classes that are numbers keep the order of numbers.
        numeric = all(re.fullmatch(r"-?\d+", label) for label in found)
        return {"labels": sorted(found, key=int if numeric else str)}

    def check_row(self, row, where):
        label = _label_of(row, where)
        if label not in self._index:
            shown = ", ".join(repr(name) for name in self._labels[:20])
            raise DataError(
                f"Unknown label {label!r}", where=where, expected=f"one of {shown}",
                remedy="correct the label, or name all classes with --labels=a,b (Python: labels=[...])",
            )  # fmt: skip
        return {**row, "label": self._index[label], "sample_weight": _weight_of(row, where)}

    def features(self, columns, tokenizer):
        return tokenizer.features(columns["text"], columns.get("text_pair"), max_length=self.max_length)

    def target_columns(self):
        return {"label": ("int32", ()), "sample_weight": ("float32", ())}

    def targets(self, row, features):
        return row["label"], row["sample_weight"]  # (B,), (B,)

    def head(self, encoder, config):
        classifier = Classifier(
            len(self._labels), config.head_dropout, config.initializer_range, name="classifier"
        )
        logits = classifier(encoder.output["pooled_output"])  # (B, C)
        return BertModel(encoder.input, logits, name=self.name).with_defaults(
            loss=SparseCrossentropy,
            metrics=lambda: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )

    def answer(self, outputs, features):
        import tensorflow as tf

        probabilities = tf.nn.softmax(outputs, axis=-1)  # (B, C)
        best = tf.argmax(outputs, axis=-1, output_type=tf.int32)  # (B,)
        return {
            "label": tf.gather(tf.constant(self._labels), best),
            "score": tf.reduce_max(probabilities, axis=-1),
            "scores": probabilities,
        }

    def rows(self, answer):
        return [
            {"label": label.decode("utf-8"), "score": float(score), "scores": [float(p) for p in row]}
            for label, score, row in zip(answer["label"], answer["score"], answer["scores"], strict=True)
        ]

    def scores(self, gold, answers):
        expected = np.array([row["label"] for row in gold])
        given = np.array([self._index[row["label"]] for row in answers])
        matrix = scores.confusion_matrix(expected, given, len(self._labels))
        return {
            "accuracy": scores.accuracy(expected, given),
            "macro_f1": scores.macro_f1(expected, given, len(self._labels)),
            "matthews_correlation": scores.matthews_correlation(expected, given),
            "confusion": matrix.tolist(),
        }


def _label_of(row: dict, where: str) -> str:
    label = row.get("label")
    if label is None or (isinstance(label, str) and not label.strip()):
        raise DataError(
            "The row has no label", where=where, expected="a class name in the label column",
            remedy="add the label or remove the row",
        )  # fmt: skip
    if isinstance(label, bool) or not isinstance(label, (str, int, np.integer)):
        raise DataError(f"The label is {label!r}", where=where, expected="a text or an integer")
    return str(label).strip()


def _weight_of(row: dict, where: str) -> float:
    given = row.get("sample_weight")
    if given is None or given == "":
        return 1.0
    try:
        weight = float(given)
    except (TypeError, ValueError):
        weight = np.nan
    if not np.isfinite(weight) or weight < 0:
        raise DataError(f"The sample weight is {given!r}", where=where, expected="a number of 0 or more")
    return weight
