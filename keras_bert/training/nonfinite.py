"""Where training stopped being finite, and that the user hears of it."""

import contextlib
import warnings


class Nonfinite:
    """What a training step notes of a loss or gradient that is not finite; training/sentinel.py reads it.

    Variables: step, the first step at which something was not finite, -1 where nothing was; finite, which of
    the gradients were finite then. Every replica writes the same into its own; out of sight of Keras, which
    would save them.

    Args:
        num_gradients: int.
    """

    def __init__(self, num_gradients: int):
        import tensorflow as tf

        own = {
            "trainable": False,
            "synchronization": tf.VariableSynchronization.ON_READ,
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }
        self.step = tf.Variable(-1, dtype=tf.int64, **own)
        self.finite = tf.Variable(tf.ones(num_gradients, tf.bool), **own)


@contextlib.contextmanager
def told_of(found: Nonfinite | None, for_good: bool):
    """Around a call that trains: what stopped an earlier one is forgotten, what stops this one is said.

    Args:
        found: `Nonfinite`, or None where Keras keeps watch.
        for_good: bool. Whether nothing is learnt in the rest of the call.
    """
    if found is not None:
        found.step.assign(-1)
    yield
    step = -1 if found is None else int(found.step.numpy())
    if step < 0:
        return
    said = (
        f"From step {step + 1:,} of this optimizer on"
        if for_good
        else f"In step {step + 1:,} of this optimizer"
    )
    more = ". `kb.Sentinel` among the callbacks would have ended training there" if for_good else ""
    warnings.warn(f"{said} nothing was learnt: the loss or a gradient was not finite{more}")
