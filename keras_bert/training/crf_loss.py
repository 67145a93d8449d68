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
        logits, *weights = unpack(y_pred, y_pred.shape[-1])
        mask = ops.ones_like(y_true, dtype="bool") if mask is None else mask
        return -crf_log_likelihood(logits, y_true, mask, *weights)

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
