"""Multiple choice: which of several continuations or answers belongs to a text."""

import keras
import numpy as np
from keras import ops

from keras_bert.data.choices import checked_choices
from keras_bert.evaluation import scores
from keras_bert.heads import multiple_choice
from keras_bert.tasks.base import Task, weight_of
from keras_bert.training.losses import SparseCrossentropy
from keras_bert.training.model import BertModel

_NEVER = -1e4  # the logit of a choice that a row does not have


class MultipleChoice(Task):
    """One of the choices of every row, each of which is read together with the text.

    A row's `choices` are a list of str, rows may have different numbers of them; its `label` is the number
    of the right one from 0, its letter, or the choice itself.

    Args:
        max_length: int. Longest sequence of pieces of text and choice, special tokens included.
    """

    name = "multiple_choice"
    list_columns = ("choices",)
    label_columns = ("label", "sample_weight")
    architecture = "BertForMultipleChoice"
    main_score = "accuracy"
    row_kind = "choices"

    def check_row(self, row, where):
        choices, label = checked_choices(row, where)
        return {**row, "choices": choices, "label": label, "sample_weight": weight_of(row, where)}

    def features(self, columns, tokenizer):
        import tensorflow as tf

        choices = columns["choices"]
        choices = choices.to_tensor("") if isinstance(choices, tf.RaggedTensor) else choices  # (B, C)
        # A batch without any choice gets an empty one, for something has to be chosen.
        choices = tf.pad(choices, [[0, 0], [0, tf.cast(tf.shape(choices)[1] == 0, tf.int32)]])
        batch, count = tf.shape(choices)[0], tf.shape(choices)[1]
        texts = tf.repeat(columns["text"], count)  # (B*C,)
        flat = tokenizer.features(texts, tf.reshape(choices, [-1]), max_length=self.max_length)
        # A choice that a row does not have has no tokens, so that nothing of it is scored.
        flat["padding_mask"] *= tf.cast(tf.reshape(choices, [-1, 1]) != "", tf.int32)
        length = tf.shape(flat["token_ids"])[1]
        return {name: tf.reshape(ids, [batch, count, length]) for name, ids in flat.items()}  # (B, C, T)

    def target_columns(self):
        return {"label": ("int32", ()), "sample_weight": ("float32", ())}

    def targets(self, row, features):
        return row["label"], row["sample_weight"]  # (B,), (B,)

    def head(self, encoder, config):
        model = multiple_choice(encoder, config)
        is_there = ops.max(model.input["padding_mask"], axis=-1) > 0  # (B, C)
        logits = ops.where(is_there, model.output["logits"], _NEVER)
        return BertModel(model.input, logits, name=self.name).with_defaults(
            loss=SparseCrossentropy,
            metrics=lambda: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )

    def outputs(self, model, features):
        if len(features["token_ids"].shape) == 3:
            return super().outputs(model, features)
        # Ids alone: every row is one choice by itself, and its logit the answer.
        # One that is not there has no tokens: alone it is read as its first, and left out in `completed`.
        mask = features["padding_mask"]
        features = {**features, "padding_mask": ops.concatenate([ops.ones_like(mask[:, :1]), mask[:, 1:]], 1)}
        one = {name: ops.expand_dims(features[name], 1) for name in model.input}
        return super().outputs(model, one)  # (B, 1)

    def answer(self, outputs, features):
        import tensorflow as tf

        if len(features["token_ids"].shape) == 2:
            return {"score": outputs[:, 0]}
        return {
            "choice": tf.argmax(outputs, axis=-1, output_type=tf.int32),  # (B,)
            "scores": tf.nn.softmax(outputs, axis=-1),  # (B, C)
        }

    def completed(self, answer, features):
        is_there = ops.max(features["padding_mask"], axis=-1) > 0  # (B, C)
        logits = ops.reshape(answer["score"], ops.shape(is_there))
        return self.answer(ops.where(is_there, logits, _NEVER), features)

    def rows(self, answer):
        return [
            {"choice": int(choice), "scores": [float(p) for p in row]}
            for choice, row in zip(answer["choice"], answer["scores"], strict=True)
        ]

    def badness(self, gold, answer):
        return 0.0 if answer["choice"] == gold["label"] else 1.0 - answer["scores"][gold["label"]]

    def scores(self, gold, answers):
        expected = np.array([row["label"] for row in gold])
        return {"accuracy": scores.accuracy(expected, np.array([row["choice"] for row in answers]))}
