"""Classification of one text or a pair of texts into one of C classes."""

import re

import keras
import numpy as np

from keras_bert.errors import DataError
from keras_bert.evaluation import scores
from keras_bert.layers import Classifier
from keras_bert.tasks.base import Task, class_names, number_in, weight_of
from keras_bert.tasks.windows import mean_of_windows, of_windows, window_features
from keras_bert.training.losses import SparseCrossentropy
from keras_bert.training.model import BertModel

_TINY = np.finfo("float32").tiny


class Classification(Task):
    """One label for every text or pair of texts.

    Args:
        labels: sequence of str. The class names; their order is the order of the logits.
        max_length: int. Longest sequence of pieces, special tokens included.
        stride: int or None. A longer text is read in windows, so many pieces from one to the next, and its
            logits are their mean. None: it is truncated.
        values: sequence of float or None. What every class is worth, such as -1, 0 and 1 of a sentiment:
            answers then have the `value` to expect.
    Raises:
        DataError: fewer than two labels, or one twice.
    """

    name = "classification"
    columns = ("text",)
    optional_columns = ("text_pair",)
    label_columns = ("label", "sample_weight")
    architecture = "BertForSequenceClassification"
    main_score = "accuracy"
    edge_kind = "text_classifier"
    edge_outputs = ("scores",)

    def __init__(self, labels, max_length: int = 128, stride=None, values=None):
        super().__init__(max_length)
        self.stride = None if stride is None else number_in(stride, "stride", 1)
        self.reads_windows = stride is not None
        self._labels = class_names(labels, at_least=2)
        self.values = None if values is None else _numbers(values, len(self._labels))
        self._index = {label: i for i, label in enumerate(self._labels)}

    @property
    def labels(self):
        return self._labels

    def settings(self):
        more = {name: value for name in ("stride", "values") if (value := getattr(self, name)) is not None}
        return {**super().settings(), "labels": list(self._labels), **more}

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
        return {**row, "label": self._index[label], "sample_weight": weight_of(row, where)}

    def features(self, columns, tokenizer):
        texts = (columns["text"], columns.get("text_pair"))
        if self.stride is None:
            return tokenizer.features(*texts, max_length=self.max_length)
        return window_features(*texts, tokenizer, self.max_length, self.stride)

    def target_columns(self):
        return {"label": ("int32", ()), "sample_weight": ("float32", ())}

    def targets(self, row, features):
        if self.stride is None:
            return row["label"], row["sample_weight"]  # (B,), (B,)
        return of_windows(row["label"], row["sample_weight"], features)  # (W,), (W,)

    def head(self, encoder, config):
        classifier = Classifier(len(self._labels), config.head_dropout, name="classifier")
        logits = classifier(encoder.output["pooled_output"])  # (B, C)
        return BertModel(encoder.input, logits, name=self.name).with_defaults(
            loss=SparseCrossentropy,
            metrics=lambda: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )

    def answer(self, outputs, features):
        import tensorflow as tf

        outputs = mean_of_windows(outputs, features)  # (B, C)
        probabilities = tf.nn.softmax(outputs, axis=-1)  # (B, C)
        value = {} if self.values is None else {"value": tf.linalg.matvec(probabilities, self.values)}
        best = tf.argmax(outputs, axis=-1, output_type=tf.int32)  # (B,)
        return {
            "label": tf.gather(tf.constant(self._labels), best),
            "score": tf.reduce_max(probabilities, axis=-1),
            "scores": probabilities,
            **value,
        }

    def completed(self, answer, features):
        import tensorflow as tf

        # Logits up to a constant of each sequence, which a softmax and a mean over windows leave out.
        return self.answer(tf.math.log(tf.maximum(answer["scores"], _TINY)), features)

    def rows(self, answer):
        rows = [
            {"label": label.decode("utf-8"), "score": float(score), "scores": [float(p) for p in row]}
            for label, score, row in zip(answer["label"], answer["score"], answer["scores"], strict=True)
        ]
        for row, value in zip(rows, answer.get("value", ()), strict=False):
            row["value"] = float(value)
        return rows

    def badness(self, gold, answer):
        right = self._index[answer["label"]] == gold["label"]
        return 0.0 if right else 1.0 - answer["scores"][gold["label"]]

    def expected(self, gold):
        return self._labels[gold["label"]]

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


def _numbers(values, count) -> list[float]:
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count:
        raise DataError(
            f"The values are {values!r}", where="values", expected=f"{count} numbers, one a label"
        )
    return numbers


def _label_of(row: dict, where: str) -> str:
    label = row.get("label")
    if label is None or (isinstance(label, str) and not label.strip()):
        raise DataError(
            "The row has no label", where=where, expected="a class name in the label column",
            remedy="add the label or remove the row",
        )  # fmt: skip
    if isinstance(label, float | np.floating) and float(label).is_integer():
        label = int(label)  # as pandas has the whole numbers of a column in which a row lacked one
    if isinstance(label, bool) or not isinstance(label, (str, int, np.integer)):
        raise DataError(f"The label is {label!r}", where=where, expected="a text or an integer")
    return str(label).strip()
