"""`CrfLoss`: how improbable the true tags of a text are, as a whole."""

import keras
from keras import ops

from keras_bert.layers.crf import crf_log_likelihood, unpack
from keras_bert.training.losses import GlobalMean


@keras.saving.register_keras_serializable(package="keras_bert")
class CrfLoss(GlobalMean):
    """Negative log-likelihood of the true path, on the output of a `Crf`, as a mean over units.

        loss = sum over rows of weight * -log_likelihood / sum of the weights

    The units are where `sample_weight` is above 0; the weight of a row is the mean of its units'. By units
    and not by rows: where the transitions are 0 it is the cross-entropy of the units, so it asks for the same
    learning rate; a long text counts for its many units, and rows of padding count for nothing.

    Args:
        reduction: str. What the total is, see `GlobalMean`.
    A row may be a window of a longer text, of whose chain it is a part: its first unit then does not begin
    the chain, or its last does not end it, and `start` or `end` say nothing of it. The target of any unit
    tells: C more than the tag, the number of tags, where the chain comes from another row; 2 C more where it
    goes on in one; 3 C both.

    Call arguments:
        y_true: int tensor (B, T). Tags; outside of the units anything.
        y_pred: float tensor (B, T + C + 2, C). The output of `Crf`.
        sample_weight: float tensor (B, T); or (B,) or None, where every place is a unit.
    Returns:
        float32 scalar.
    """

    def __init__(self, reduction="mean_with_sample_weight", name="crf", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred, mask=None):
        """Negative log-likelihoods (B,)."""
        tags = y_pred.shape[-1]
        logits, transitions, start, end = unpack(y_pred, tags)
        mask = ops.ones_like(y_true, dtype="bool") if mask is None else ops.cast(mask, "bool")
        beyond = ops.max(ops.where(mask, y_true // tags, 0), axis=1, keepdims=True)  # (B, 1): 0, 1, 2 or 3
        start = ops.where(beyond % 2 == 1, 0.0, start)
        end = ops.where(beyond >= 2, 0.0, end)
        return -crf_log_likelihood(logits, y_true % tags, mask, transitions, start, end)

    def weighted_sum(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = ops.cast(y_true, "int32"), ops.convert_to_tensor(y_pred)
        if sample_weight is None:
            return ops.sum(self.call(y_true, y_pred))
        weights = ops.cast(sample_weight, "float32")
        if len(weights.shape) == 1:
            return ops.sum(self.call(y_true, y_pred) * weights)
        is_unit = weights > 0  # (B, T)
        count = ops.sum(ops.cast(is_unit, "float32"), axis=1)
        row_weights = ops.divide_no_nan(ops.sum(weights, axis=1), count)  # (B,)
        return ops.sum(self.call(y_true, y_pred, is_unit) * row_weights)
