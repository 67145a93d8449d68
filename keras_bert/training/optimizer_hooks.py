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
    all_reduce = optimizer._all_reduce_sum_gradients

    # What Keras accumulates it clips itself, once, where it is applied; not each part of it. So it does with
    # the norm or the size of single gradients, which it has unscaled by then.
    by_norm = bool(optimizer.global_clipnorm) and not optimizer.gradient_accumulation_steps

    def clip_summed(gradients, squares, go_on):
        factor = 1.0
        if by_norm:
            norm = optimizer.global_clipnorm * (optimizer.loss_scale_factor or 1.0)
            factor = norm / tf.maximum(tf.sqrt(tf.reduce_sum(squares)), norm)
        # 0 * NaN is NaN: what is not finite is left out, not multiplied away.
        factor = tf.where(go_on, factor, 0.0)
        return [tf.math.multiply_no_nan(g, tf.cast(factor, g.dtype)) for g in gradients]

    def current_rate():
        return rate() if rate_factor.get() is None else rate() * rate_factor.get()

    def is_ours() -> bool:  # and not a loop of the user's own, which hands over what is neither
        return rate_factor.get() is not None

    optimizer._clip_summed = clip_summed
    optimizer._clip_gradients = lambda given: given if by_norm and is_ours() else clip(given)
    optimizer._all_reduce_sum_gradients = lambda given: list(given) if is_ours() else all_reduce(given)
    optimizer._get_current_learning_rate = current_rate
