"""Regression: one number for a text or a pair of texts."""

import keras
import numpy as np

from keras_bert.evaluation.ranking import pearson, spearman
from keras_bert.layers import Classifier
from keras_bert.tasks.base import Task, number_of, weight_of
from keras_bert.training.losses import RowLoss
from keras_bert.training.model import BertModel


class Regression(Task):
    """A score, such as how alike two sentences are, learnt by the mean squared error.

    Args:
        max_length: int. Longest sequence of pieces, special tokens included.
    """

    name = "regression"
    columns = ("text",)
    optional_columns = ("text_pair",)
    label_columns = ("score", "sample_weight")
    architecture = "BertForSequenceClassification"
    problem_type = "regression"
    main_score = "pearson"

    @property
    def saved_labels(self):
        return ("LABEL_0",)  # transformers takes the number of outputs from the number of names

    def check_row(self, row, where):
        return {**row, "score": number_of(row, "score", where), "sample_weight": weight_of(row, where)}

    def features(self, columns, tokenizer):
        return tokenizer.features(columns["text"], columns.get("text_pair"), max_length=self.max_length)

    def target_columns(self):
        return {"score": ("float32", ()), "sample_weight": ("float32", ())}

    def targets(self, row, features):
        return row["score"], row["sample_weight"]  # (B,), (B,)

    def head(self, encoder, config):
        regressor = Classifier(1, config.head_dropout, name="classifier")
        score = regressor(encoder.output["pooled_output"])  # (B, 1)
        return BertModel(encoder.input, score, name=self.name).with_defaults(
            loss=lambda: RowLoss(keras.losses.MeanSquaredError()),
            metrics=lambda: [keras.metrics.MeanAbsoluteError(name="mae")],
        )

    def answer(self, outputs, features):
        return {"score": outputs[:, 0]}  # (B,)

    def rows(self, answer):
        return [{"score": float(score)} for score in answer["score"]]

    def badness(self, gold, answer):
        return abs(gold["score"] - answer["score"])

    def scores(self, gold, answers):
        expected = np.array([row["score"] for row in gold])
        given = np.array([row["score"] for row in answers])
        return {
            "pearson": pearson(expected, given),
            "spearman": spearman(expected, given),
            "mae": float(np.abs(expected - given).mean()),
            "mse": float(np.square(expected - given).mean()),
        }
