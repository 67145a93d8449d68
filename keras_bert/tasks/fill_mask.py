"""Fill-mask: the likeliest pieces for every [MASK] of a text."""

import keras
import numpy as np

from keras_bert.errors import DataError
from keras_bert.features import ENCODER_FEATURES
from keras_bert.heads import masked_lm
from keras_bert.tasks.base import Task, number_in, weight_of
from keras_bert.training.losses import SparseCrossentropy
from keras_bert.training.model import BertModel


class FillMask(Task):
    """The `top_k` likeliest pieces for each `[MASK]`, which counts where it is written in the text.

    A row's `label` are the right pieces, one for each mask, with blanks between them. Unlike `pretraining`
    it learns just these.

    Args:
        max_length: int. Longest sequence of pieces, special tokens included.
        top_k: int. How many pieces a mask is answered with.
        max_masks: int. Most masks of a text; further ones are not answered.
    """

    name = "fill_mask"
    label_columns = ("label", "sample_weight")
    architecture = "BertForMaskedLM"
    main_score = "accuracy"
    allow_special = ("[MASK]",)
    inputs = (*ENCODER_FEATURES, "mask_positions")

    def __init__(self, max_length: int = 128, top_k=5, max_masks=8):
        super().__init__(max_length)
        self.top_k, self.max_masks = number_in(top_k, "top_k", 1), number_in(max_masks, "max_masks", 1)
        self._vocabulary = None

    def settings(self):
        return {**super().settings(), "top_k": self.top_k, "max_masks": self.max_masks}

    def prepare(self, tokenizer):
        self._vocabulary = tokenizer.vocabulary
        self.top_k = min(self.top_k, len(self._vocabulary))

    def check_row(self, row, where):
        pieces = str(row.get("label") or "").split()
        unknown = [piece for piece in pieces if piece not in self._vocabulary]
        masks = row["text"].count("[MASK]")
        if not pieces or unknown or not len(pieces) == masks <= self.max_masks:
            raise DataError(
                f"{unknown[0]!r} is no piece of the vocabulary" if unknown
                else f"There are {masks} [MASK] in the text and {len(pieces)} pieces in the label",
                where=where, expected=f"a piece of the vocabulary for each [MASK], at most {self.max_masks}",
            )  # fmt: skip
        ids = [self._vocabulary.ids[piece] for piece in pieces]
        ids += [-1] * (self.max_masks - len(ids))
        return {**row, "label": " ".join(pieces), "mask_ids": ids, "sample_weight": weight_of(row, where)}

    def features(self, columns, tokenizer):
        return self.from_ids(tokenizer.features(columns["text"], max_length=self.max_length))

    def from_ids(self, features):
        import tensorflow as tf

        is_mask = tf.cast(features["token_ids"] == self._vocabulary.mask_id, tf.int32)
        is_mask *= features["padding_mask"]
        # Of equal values the first come first: the masks in their order, then places that mean nothing.
        _, places = tf.math.top_k(tf.pad(is_mask, [[0, 0], [0, self.max_masks]]), k=self.max_masks)
        places = tf.minimum(places, tf.maximum(tf.shape(is_mask)[1] - 1, 0))
        return {**features, "mask_positions": places}  # (B, M)

    def target_columns(self):
        return {"mask_ids": ("int32", (self.max_masks,)), "sample_weight": ("float32", ())}

    def targets(self, row, features):
        import tensorflow as tf

        # A mask may have been cut off with the end of its text.
        used = tf.sequence_mask(self._count(features), self.max_masks) & (row["mask_ids"] >= 0)
        weights = tf.cast(used, tf.float32) * row["sample_weight"][:, None]
        return tf.maximum(row["mask_ids"], 0), weights  # (B, M)

    def head(self, encoder, config):
        model = masked_lm(encoder, config, mask_positions=True)
        return BertModel(model.input, model.output["mlm_logits"], name=self.name).with_defaults(
            loss=lambda: SparseCrossentropy("mean_with_sample_weight"),
            weighted_metrics=lambda: [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )

    def logits(self, outputs, features):
        return {"mask_logits": outputs, "mask_positions": features["mask_positions"]}  # (B, M, V), (B, M)

    def answer(self, outputs, features):
        import tensorflow as tf

        scores, ids = tf.math.top_k(tf.nn.softmax(outputs, axis=-1), k=self.top_k)  # (B, M, k)
        count = self._count(features)  # (B,)
        # Slots without a mask read a place that depends on the rows beside this one.
        is_used = tf.cast(tf.sequence_mask(count, self.max_masks), tf.int32)[:, :, None]
        return {
            "pieces": tf.gather(tf.constant(self._vocabulary.pieces), ids * is_used),
            "piece_ids": ids * is_used,
            "scores": scores * tf.cast(is_used, scores.dtype),
            "count": count,
        }

    def completed(self, answer, features):
        import tensorflow as tf

        return {**answer, "pieces": tf.gather(tf.constant(self._vocabulary.pieces), answer["piece_ids"])}

    def rows(self, answer):
        rows = []
        for pieces, scores, count in zip(answer["pieces"], answer["scores"], answer["count"], strict=True):
            decoded = [[piece.decode("utf-8") for piece in best] for best in pieces[:count].tolist()]
            rows.append({"pieces": decoded, "scores": scores[:count].tolist()})
        return rows

    def badness(self, gold, answer):
        return 1.0 - self.scores([gold], [answer])["accuracy"]

    def scores(self, gold, answers):
        found = [
            (piece, best)
            for row, answer in zip(gold, answers, strict=True)
            for piece, best in zip(row["label"].split(), answer["pieces"], strict=False)
        ]
        total = sum(len(row["label"].split()) for row in gold)
        return {
            "accuracy": float(np.sum([piece == best[0] for piece, best in found]) / total),
            f"top_{self.top_k}_accuracy": float(np.sum([piece in best for piece, best in found]) / total),
        }

    def _count(self, features):
        """int32 (B,): masks of each text, at most `max_masks`."""
        import tensorflow as tf

        is_mask = (features["token_ids"] == self._vocabulary.mask_id) & (features["padding_mask"] > 0)
        return tf.minimum(tf.reduce_sum(tf.cast(is_mask, tf.int32), axis=1), self.max_masks)
