"""What the training step does to the one optimizer it is given: gradients come to it summed and clipped."""

import contextvars

# What the rate is multiplied by while a step is applied: 0 where nothing may be learnt of it.
rate_factor = contextvars.ContextVar("rate_factor", default=None)


def iterations_of(optimizer):
    """The variable that counts the steps; a `LossScaleOptimizer` leaves its own where it is."""
    return getattr(optimizer, "inner_optimizer", optimizer)._iterations


def attach(optimizer):
    """Corrects one optimizer: gradients come to it summed and clipped."""
    import tensorflow as tf

    if hasattr(optimizer, "_clip_summed"):
        return
    clip, rate = optimizer._clip_gradients, optimizer._get_current_learning_rate

    # What Keras accumulates it clips itself, once, where it is applied; not each part of it.
    accumulates = bool(optimizer.gradient_accumulation_steps)

    def clip_summed(gradients, squares, go_on):
        norm = None if accumulates else optimizer.global_clipnorm
        factor = 1.0 if norm is None else norm / tf.maximum(tf.sqrt(tf.reduce_sum(squares)), norm)
        # 0 * NaN is NaN: what is not finite is left out, not multiplied away.
        factor = tf.where(go_on, factor, 0.0)
        gradients = [tf.math.multiply_no_nan(g, tf.cast(factor, g.dtype)) for g in gradients]
        return gradients if norm is not None or accumulates else clip(gradients)

    def current_rate():
        factor = rate_factor.get()
        return rate() if factor is None else rate() * factor

    optimizer._clip_summed = clip_summed
    if not accumulates:
        optimizer._clip_gradients = lambda gradients: gradients
    optimizer._all_reduce_sum_gradients = list  # they are summed already
    optimizer._get_current_learning_rate = current_rate
