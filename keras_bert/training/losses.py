"""Losses, on logits, in float32, as means over the GLOBAL batch.

Stock Keras takes the mean over what one replica sees and then the mean of the replicas, which is another
number as soon as the replicas see unequal weights or unequal numbers of rows. A `GlobalMean` divides its sum
by a total that it is told (`known_totals`): training/distribution.py adds it up over all replicas and all
micro-batches. Told nothing, it divides by its own, which is right where there is one replica.
"""

import contextlib
import contextvars

import keras
from keras import ops

from keras_bert.layers import kernels

_totals = contextvars.ContextVar("totals", default=None)


@contextlib.contextmanager
def known_totals(totals: dict):
    """Within it the losses divide by these totals.

    Args:
        totals: dict from the id of a `GlobalMean` to the float32 scalar it divides by.
    """
    token = _totals.set(totals)
    try:
        yield
    finally:
        _totals.reset(token)


class GlobalMean(keras.losses.Loss):
    """A loss that is one mean over all replicas: sum of weight * value, over a total.

    The total is the sum of the weights with `reduction="mean_with_sample_weight"`, BERT's masked-LM loss;
    with `"sum_over_batch_size"`, Keras' default, the number of values, whatever their weights.

    Subclasses implement `call(y_true, y_pred)`, which returns one value for each entry of `y_true`.
    """

    def __call__(self, y_true, y_pred, sample_weight=None):
        with keras.name_scope(self.name):
            total = self.divisor(self.total(y_true, sample_weight))
            return ops.divide_no_nan(self.weighted_sum(y_true, y_pred, sample_weight), total)

    def divisor(self, own_total):
        """The total that is known, or these rows' own."""
        known = (_totals.get() or {}).get(id(self))
        return own_total if known is None else known

    def weighted_sum(self, y_true, y_pred, sample_weight=None):
        """Sum of weight * value over these rows: a float32 scalar."""
        values = ops.cast(self.call(y_true, y_pred), "float32")
        if sample_weight is not None:
            # Of labels (B, 1), as Keras makes them of a pandas column, the values may be (B,).
            values = values * ops.reshape(row_weights(y_true, sample_weight), ops.shape(values))
        return ops.sum(values)

    def total(self, y_true, sample_weight=None):
        """What this loss divides by where there is nothing but these rows: a float32 scalar."""
        if self.reduction == "sum":
            return ops.ones((), "float32")
        if self.reduction == "mean_with_sample_weight" and sample_weight is not None:
            return ops.sum(row_weights(y_true, sample_weight))
        return ops.cast(ops.prod(ops.convert_to_tensor(ops.shape(y_true), "int32")), "float32")

    def counted(self, y_true, sample_weight=None):
        """The total without what weighs nothing, such as the rows of another part."""
        if self.reduction != "sum_over_batch_size" or sample_weight is None:
            return self.total(y_true, sample_weight)
        return ops.sum(ops.cast(row_weights(y_true, sample_weight) > 0, "float32"))


def row_weights(y_true, sample_weight):
    """float32 weights of the shape of `y_true`, of weights that may be one a row."""
    return ops.broadcast_to(of_rank(sample_weight, len(y_true.shape)), ops.shape(y_true))


def of_rank(sample_weight, rank: int):
    """float32 weights with axes of length 1 put behind them, or taken away there, until they have `rank`."""
    weights = ops.cast(sample_weight, "float32")
    while len(weights.shape) < rank:
        weights = ops.expand_dims(weights, -1)
    while len(weights.shape) > rank and weights.shape[-1] == 1:
        weights = ops.squeeze(weights, -1)
    return weights


@keras.saving.register_keras_serializable(package="keras_bert")
class SparseCrossentropy(GlobalMean):
    """Cross-entropy of integer labels against logits.

        loss = sum of weight * (logsumexp(logits) - logits[label]) / total

    A label outside [0, C) is refused by the data pipeline, never clamped here.

    Args:
        reduction: str. What the total is, see `GlobalMean`.
        label_smoothing: float in [0, 1). Of the target's probability so much is spread evenly over all
            classes.
    Call arguments:
        y_true: int tensor (B,) or (B, M).
        y_pred: float tensor (B, C) or (B, M, C). Logits.
        sample_weight: float tensor like `y_true`, or (B,), or None.
    Returns:
        float32 scalar.
    """

    def __init__(self, reduction="sum_over_batch_size", label_smoothing=0.0, name="crossentropy", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        logits = ops.cast(y_pred, "float32")
        values = kernels.crossentropy(y_true, logits)
        if not self.label_smoothing:
            return values
        even = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)  # of all classes alike
        return (1 - self.label_smoothing) * values + self.label_smoothing * even

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="keras_bert")
class RowLoss(GlobalMean):
    """Any loss of Keras as a mean over the global batch: what `compile` makes of a loss that is not ours.

    Args:
        loss: `keras.losses.Loss`, or what `keras.losses.get` knows.
    Call arguments: those of the loss; weights of a row (B,) count for all its values.
    """

    def __init__(self, loss, name=None, reduction=None):
        inner = keras.losses.get(loss)
        if not isinstance(inner, keras.losses.Loss):  # a function (y_true, y_pred) -> values
            super().__init__(name=name or getattr(inner, "__name__", "loss"), reduction=reduction or "mean")
        else:
            super().__init__(name=name or inner.name, reduction=reduction or inner.reduction)
        self.inner = inner

    def weighted_sum(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        if len(y_pred.shape) == len(y_true.shape) + 1 and y_pred.shape[-1] == 1:
            y_true = ops.expand_dims(y_true, -1)
        call = self.inner.call if isinstance(self.inner, keras.losses.Loss) else self.inner
        values = ops.cast(call(ops.cast(y_true, y_pred.dtype), y_pred), "float32")
        if not len(values.shape) and self.reduction != "sum":  # a mean already: of every row so much
            values = ops.broadcast_to(values, ops.shape(y_true)[:1])
        if sample_weight is not None:
            values = values * of_rank(sample_weight, len(values.shape))
        every_value = self.reduction == "sum" or self._ignored is not None
        return ops.sum(values if every_value else _mean_of_rows(values))

    @property
    def _ignored(self):
        """The label whose entries Keras leaves out of the mean, or None."""
        return getattr(self.inner, "_fn_kwargs", {}).get("ignore_class")

    def total(self, y_true, sample_weight=None):
        if self.reduction == "sum":
            return ops.ones((), "float32")
        if self._ignored is not None:
            counts = ops.cast(ops.not_equal(y_true, ops.cast(self._ignored, y_true.dtype)), "float32")
            weighs = self.reduction == "mean_with_sample_weight" and sample_weight is not None
            return ops.sum(counts * row_weights(y_true, sample_weight) if weighs else counts)
        if self.reduction == "mean_with_sample_weight" and sample_weight is not None:
            return ops.sum(_mean_of_rows(ops.cast(sample_weight, "float32")))
        return ops.cast(ops.shape(y_true)[0], "float32")

    def get_config(self):
        inner = self.inner
        if not isinstance(inner, keras.losses.Loss):
            inner = keras.saving.get_registered_name(inner)
        return {**super().get_config(), "loss": keras.saving.serialize_keras_object(inner)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "loss": keras.saving.deserialize_keras_object(config["loss"])})


def _mean_of_rows(values):
    """(B, ...) -> (B,)."""
    axes = tuple(range(1, len(values.shape)))
    return ops.mean(values, axis=axes) if axes else values
