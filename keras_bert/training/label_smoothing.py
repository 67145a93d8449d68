"""A task's loss with smoothed labels."""

from keras_bert.errors import UsageError
from keras_bert.training.losses import SparseCrossentropy


def smoothed(model, task, label_smoothing: float) -> dict:
    """The task's loss with smoothed labels, as `compile` takes it; {} leaves it as it is."""
    if not label_smoothing:
        return {}
    loss = model.default_loss()
    losses = loss if isinstance(loss, dict) else {None: loss}
    # Where a row may have fewer choices or places than others, those that are not there are no classes.
    whole = task.row_kind not in ("choices", "answers")
    known = whole and all(isinstance(one, SparseCrossentropy) for one in losses.values())
    if not 0 < label_smoothing < 1 or not known:
        raise UsageError(
            f"The label smoothing is {label_smoothing}", where="label_smoothing",
            expected="a number below 1, for tasks with the cross-entropy of classes that every row has",
        )  # fmt: skip
    for one in losses.values():
        one.label_smoothing = label_smoothing
    return {"loss": loss, "loss_weights": model.default_loss_weights}
