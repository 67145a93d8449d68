"""What BERT's weights are before training, and how to leave that out where they are given anyway."""

import contextlib
import contextvars

import keras

from keras_bert.layers.kernels import unset

_blank = contextvars.ContextVar("blank", default=False)


@contextlib.contextmanager
def blank_weights():
    """Within it weights begin with no value: drawing random ones for BERT-base takes longer than loading."""
    before = _blank.set(True)
    try:
        yield
    finally:
        _blank.reset(before)


@keras.saving.register_keras_serializable(package="keras_bert")
class TruncatedNormal(keras.initializers.TruncatedNormal):
    """A normal distribution cut at two standard deviations, as BERT's weights begin.

    Args:
        stddev: float. BERT: 0.02.
        seed: int or None.
    """

    def __init__(self, stddev=0.02, seed=None):
        super().__init__(stddev=stddev, seed=seed)

    def __call__(self, shape, dtype=None):
        return unset(shape, dtype) if _blank.get() else super().__call__(shape, dtype)

    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "mean"}


@keras.saving.register_keras_serializable(package="keras_bert")
class HeadNormal(keras.initializers.VarianceScaling):
    """A normal distribution of deviation factor / sqrt(inputs), as the new heads of fine-tuning begin.

    BERT's own 0.02 makes logits that hardly differ, and an encoder that hears little from its head for the
    first tens of steps; measured in BUILD_NOTES ("How a new head begins").

    Args:
        factor: float above 0. The deviation of what is to be answered; of logits 1.
        seed: int or None.
    """

    def __init__(self, factor=1.0, seed=None):
        super().__init__(scale=factor**2, mode="fan_in", distribution="truncated_normal", seed=seed)
        self.factor = factor

    def get_config(self):
        return {"factor": self.factor, "seed": super().get_config()["seed"]}

    def __call__(self, shape, dtype=None):
        return unset(shape, dtype) if _blank.get() else super().__call__(shape, dtype)
