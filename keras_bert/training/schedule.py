"""Learning-rate schedules."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_bert")
class WarmupLinear(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from 0 to `peak`, then linear decay to 0 at `total_steps`.

        rate(t) = peak * t / warmup_steps                                   t <  warmup_steps
        rate(t) = peak * (total_steps - t) / (total_steps - warmup_steps)   t >= warmup_steps

    Args:
        peak: float. The highest rate (BERT fine-tuning: 2e-5 to 5e-5).
        total_steps: int. Optimizer steps of the whole run: epochs times batches.
        warmup_steps: int. Steps of the warm-up (BERT: a tenth of the total).
    Raises:
        ValueError: the warm-up is longer than the run, or a count is negative.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, appendix A.2.
    """

    def __init__(self, peak, total_steps, warmup_steps=0):
        if total_steps < 1 or not 0 <= warmup_steps <= total_steps:
            raise ValueError(
                "`warmup_steps` must lie between 0 and `total_steps`, and `total_steps` must be positive. "
                f"Received: warmup_steps={warmup_steps}, total_steps={total_steps}"
            )
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = step / max(self.warmup_steps, 1)
        falling = (self.total_steps - step) / max(self.total_steps - self.warmup_steps, 1)
        return self.peak * ops.clip(ops.where(step < self.warmup_steps, rising, falling), 0.0, 1.0)

    def get_config(self):
        return {"peak": self.peak, "total_steps": self.total_steps, "warmup_steps": self.warmup_steps}
