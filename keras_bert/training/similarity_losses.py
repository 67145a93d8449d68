"""Losses over embeddings of pairs and triplets: y_pred float (B, C, D), the embeddings of a row's C texts."""

import keras
from keras import ops

from keras_bert.training.losses import GlobalMean

_TINY = 1e-12


def cosine(a, b):
    """Cosine of the angle between vectors (..., D) -> (...)."""
    lengths = ops.sqrt(ops.sum(ops.square(a), -1)) * ops.sqrt(ops.sum(ops.square(b), -1))
    return ops.sum(a * b, -1) / ops.maximum(lengths, _TINY)


@keras.saving.register_keras_serializable(package="keras_bert")
class InBatchNegatives(GlobalMean):
    """Every text must find its own partner among the partners of the batch, and the given negatives.

        loss = crossentropy(scale * cosine(text_i, partner_j), i)

    On several replicas a text sees the partners of its own replica.

    Args:
        scale: float. Cosines are multiplied by it: 20 is a temperature of 0.05.
    Call arguments:
        y_true: float (B,). Not looked at.
        y_pred: float (B, C, D): text, partner and, with C > 2, further texts that are no partner of any.
        sample_weight: float (B,) or None.
    Reference: Henderson et al. 2017, https://arxiv.org/abs/1705.00652, section 4.
    """

    def __init__(self, scale=20.0, name="in_batch_negatives", reduction="sum_over_batch_size", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)
        self.scale = scale

    def call(self, y_true, y_pred):
        vectors = ops.cast(y_pred, "float32")
        length = ops.sqrt(ops.sum(ops.square(vectors), -1, keepdims=True))
        vectors = vectors / ops.maximum(length, _TINY)
        width = ops.shape(vectors)[-1]
        others = ops.reshape(ops.transpose(vectors[:, 1:], (1, 0, 2)), (-1, width))  # ((C-1) B, D)
        scores = self.scale * ops.matmul(vectors[:, 0], ops.transpose(others))  # (B, (C-1) B)
        # As sums, which are 0 rows of a part of a batch that has none, where a cross-entropy has no classes.
        own = self.scale * ops.sum(vectors[:, 0] * vectors[:, 1], axis=-1)  # (B,)
        return ops.logsumexp(scores, axis=-1) - own

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable(package="keras_bert")
class CosineLoss(GlobalMean):
    """The squared difference of a pair's cosine and its score.

    Call arguments:
        y_true: float (B,). The score, -1 to 1.
        y_pred: float (B, 2, D).
        sample_weight: float (B,) or None.
    """

    def __init__(self, name="cosine", reduction="sum_over_batch_size", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        vectors = ops.cast(y_pred, "float32")
        return ops.square(cosine(vectors[:, 0], vectors[:, 1]) - ops.cast(y_true, "float32"))


@keras.saving.register_keras_serializable(package="keras_bert")
class TripletLoss(GlobalMean):
    """A text must be nearer to its partner than to the negative, by a margin of cosine distance.

        loss = max(0, margin + cosine(text, negative) - cosine(text, partner))

    Call arguments:
        y_true: float (B,). Not looked at.
        y_pred: float (B, 3, D): text, partner, negative.
        sample_weight: float (B,) or None.
    Reference: Schroff et al. 2015, https://arxiv.org/abs/1503.03832, equation 3, with cosine distances.
    """

    def __init__(self, margin=0.5, name="triplet", reduction="sum_over_batch_size", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)
        self.margin = margin

    def call(self, y_true, y_pred):
        text, partner, negative = ops.unstack(ops.cast(y_pred, "float32"), 3, axis=1)
        return ops.relu(self.margin + cosine(text, negative) - cosine(text, partner))

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}
