"""Multi-label classification: any number of the C labels for one text or pair."""

import keras
import numpy as np

from keras_bert.data.columns import shortened
from keras_bert.data.label_lists import listed_labels
from keras_bert.errors import DataError
from keras_bert.evaluation import scores
from keras_bert.evaluation.thresholds import best_thresholds
from keras_bert.layers import Classifier
from keras_bert.tasks.base import Task, class_names, weight_of
from keras_bert.training.losses import RowLoss
from keras_bert.training.model import BertModel


class MultiLabel(Task):
    """The labels of a text whose probability passes the label's threshold.

    A row's `labels` are a list, JSON written as text, or names with commas between them; an empty list says
    that none applies.

    Args:
        labels: sequence of str. The class names; their order is the order of the logits.
        max_length: int. Longest sequence of pieces, special tokens included.
        thresholds: sequence of float or None. One a label; None means 0.5. `keras-bert finetune` chooses
            them on the evaluation file, for the best F1 of each label.
    Raises:
        DataError: no label, one twice, or other than one threshold a label.
    """

    name = "multi_label"
    columns = ("text",)
    optional_columns = ("text_pair",)
    label_columns = ("labels", "sample_weight")
    architecture = "BertForSequenceClassification"
    problem_type = "multi_label_classification"
    edge_kind = "text_classifier"
    edge_outputs = ("scores",)
    main_score = "micro_f1"

    def __init__(self, labels, max_length: int = 128, thresholds=None):
        super().__init__(max_length)
        self._labels = class_names(labels, at_least=1)
        self._index = {label: i for i, label in enumerate(self._labels)}
        self.thresholds = [0.5] * len(self._labels) if thresholds is None else [float(t) for t in thresholds]
        if len(self.thresholds) != len(self._labels) or not all(0 <= t <= 1 for t in self.thresholds):
            raise DataError(
                f"The thresholds are {shortened(thresholds)}", where="thresholds",
                expected=f"{len(self._labels)} numbers from 0 to 1",
            )  # fmt: skip

    @property
    def labels(self):
        return self._labels

    def settings(self):
        return {**super().settings(), "labels": list(self._labels), "thresholds": self.thresholds}

    @classmethod
    def settings_from_rows(cls, rows):
        found = {label for where, row in rows for label in listed_labels(row.get("labels"), where)}
        return {"labels": sorted(found)}

    def check_row(self, row, where):
        indicators = np.zeros(len(self._labels), np.int32)
        for label in listed_labels(row.get("labels"), where):
            if label not in self._index:
                raise DataError(
                    f"Unknown label {label!r}", where=where, expected=f"of {', '.join(self._labels[:20])}",
                    remedy="correct the label, or name all classes with --labels=a,b (Python: labels=[...])",
                )  # fmt: skip
            indicators[self._index[label]] = 1
        return {**row, "labels": indicators, "sample_weight": weight_of(row, where)}

    def features(self, columns, tokenizer):
        return tokenizer.features(columns["text"], columns.get("text_pair"), max_length=self.max_length)

    def target_columns(self):
        return {"labels": ("int32", (len(self._labels),)), "sample_weight": ("float32", ())}

    def targets(self, row, features):
        return row["labels"], row["sample_weight"]  # (B, C), (B,)

    def head(self, encoder, config):
        classifier = Classifier(len(self._labels), config.head_dropout, name="classifier")
        logits = classifier(encoder.output["pooled_output"])  # (B, C)
        return BertModel(encoder.input, logits, name=self.name).with_defaults(
            loss=lambda: RowLoss(keras.losses.BinaryCrossentropy(from_logits=True)),
            metrics=lambda: [keras.metrics.BinaryAccuracy(name="label_accuracy", threshold=0.0)],
        )

    def answer(self, outputs, features):
        import tensorflow as tf

        return {"scores": tf.sigmoid(outputs)}  # (B, C)

    def completed(self, answer, features):
        return {"scores": answer["scores"]}

    def rows(self, answer):
        return [
            {
                "labels": [
                    name
                    for name, p, least in zip(self._labels, row, self.thresholds, strict=True)
                    if p >= least
                ],
                "scores": [float(p) for p in row],
            }
            for row in answer["scores"]
        ]

    def badness(self, gold, answer):
        return len({*self.expected(gold)} ^ {*answer["labels"]})

    def expected(self, gold):
        return [name for name, has in zip(self._labels, gold["labels"], strict=True) if has]

    def scores(self, gold, answers):
        expected = np.array([row["labels"] for row in gold])
        given = np.array([[name in row["labels"] for name in self._labels] for row in answers]).astype(int)
        by_class = scores.precision_recall_f1(expected, given)
        return {
            "micro_f1": scores.micro_f1(expected, given),
            "macro_f1": scores.macro_f1(expected, given),
            "exact_match": scores.accuracy(expected, given),
            "types": {
                name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
                for name, p, r, f, n in zip(self._labels, *by_class, strict=True)
            },
        }

    def tuned(self, gold, answers):
        expected = np.array([row["labels"] for row in gold])
        probabilities = np.array([row["scores"] for row in answers])
        return {"thresholds": [float(t) for t in best_thresholds(expected, probabilities)]}
