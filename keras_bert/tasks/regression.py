"""Regression: one number for a text or a pair of texts."""

import keras
import numpy as np

from keras_bert.errors import UsageError
from keras_bert.evaluation.ranking import pearson, spearman
from keras_bert.layers import Classifier
from keras_bert.tasks.base import Task, number_of, weight_of
from keras_bert.training.losses import RowLoss
from keras_bert.training.model import BertModel


class Regression(Task):
    """A score, such as how alike two sentences are, learnt by the mean squared error.

    The error is counted in deviations of the training scores, so that scores of any size are learnt alike
    (a loss of 1 is that of always answering the mean); what is answered are the scores themselves.

    Args:
        max_length: int. Longest sequence of pieces, special tokens included.
        mean, deviation: float. Of the training scores. `finetune` takes them from the training file; saved
            with the model.
    Raises:
        UsageError: `mean` or `deviation` is no number, or one whose square float32 does not have.
    """

    name = "regression"
    columns = ("text",)
    optional_columns = ("text_pair",)
    label_columns = ("score", "sample_weight")
    architecture = "BertForSequenceClassification"
    problem_type = "regression"
    main_score = "pearson"

    def __init__(self, max_length: int = 128, mean=0.0, deviation=1.0):
        super().__init__(max_length)
        for name, value, least in (("mean", mean, -1e15), ("deviation", deviation, 1e-15)):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not least <= value <= 1e15:
                raise UsageError(
                    f"The {name} of the scores is {value!r}", where=name,
                    expected=f"a number from {least:g} to 1e15", remedy="multiply the scores by some factor",
                )  # fmt: skip
        self.mean, self.deviation = float(mean), float(deviation)

    def settings(self):
        return {**super().settings(), "mean": self.mean, "deviation": self.deviation}

    @classmethod
    def settings_from_rows(cls, rows):
        scores = np.array([number_of(row, "score", where) for where, row in rows])
        if not scores.size:
            return {}  # reading the rows for training says that there are none
        mean, deviation = float(scores.mean()), float(scores.std())
        # Scores that are all the same have none but what the sum was rounded by.
        return {"mean": mean, "deviation": deviation if deviation > 1e-9 * abs(mean) else 1.0}

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
        regressor = Classifier(
            1, config.head_dropout, mean=self.mean, deviation=self.deviation, name="classifier"
        )
        score = regressor(encoder.output["pooled_output"])  # (B, 1)
        return BertModel(encoder.input, score, name=self.name).with_defaults(
            loss=lambda: RowLoss(keras.losses.MeanSquaredError()),
            loss_weights=self.deviation**-2,
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
