"""Learning-rate schedules: a linear warm-up, then one of four ways down."""

import inspect
import math
import numbers

import keras
from keras import ops

from keras_bert.errors import UsageError


class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """Base of the schedules: they differ in `shape`, the way from `peak` down to `end`.

        rate(t) = peak * t / warmup_steps                        t <  warmup_steps
        rate(t) = peak * shape(x) + end * (1 - shape(x))         t >= warmup_steps
        x = min(1, (total_steps - t) / (total_steps - warmup_steps)), the share of the way that is left

    Steps are subtracted as integers, so the rates are right in float32 for runs of any length.

    Args:
        peak: float. The highest rate (BERT: 1e-4 to pretrain, 2e-5 to 5e-5 to fine-tune).
        total_steps: int. Optimizer steps of the whole run: epochs times batches.
        warmup_steps: int. Steps in which the rate rises from 0 (BERT: 10,000, or a tenth of the total).
        end: float. The rate at `total_steps` and after.
    Raises:
        ValueError: the warm-up is longer than the run, a count is negative or no whole number, or `end` does
            not lie between 0 and `peak`.
    """

    def __init__(self, peak, total_steps, warmup_steps=0, end=0.0):
        total_steps, warmup_steps = _count("total_steps", total_steps), _count("warmup_steps", warmup_steps)
        if total_steps < 1 or not 0 <= warmup_steps <= total_steps:
            raise ValueError(
                "`warmup_steps` must lie between 0 and `total_steps`, and `total_steps` must be positive. "
                f"Received: warmup_steps={warmup_steps}, total_steps={total_steps}"
            )
        if not 0 <= end <= peak < math.inf:
            raise ValueError(
                f"`end` must lie between 0 and `peak`, and be finite. Received: end={end}, peak={peak}"
            )
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.end = end

    def shape(self, left, gone):
        """From 1 to 0, as the share of the way that is `left` goes from 1 to 0 and that `gone` from 0 to 1.

        Both are float32 tensors, and each is exact where 1 minus the other has lost its digits.
        """
        raise NotImplementedError

    @property
    def way(self):
        """Steps of the way down, which ends at `total_steps`."""
        return max(self.total_steps - self.warmup_steps, 1)

    def __call__(self, step):
        step = ops.minimum(ops.cast(step, "int32"), self.total_steps)
        rising = ops.cast(step, "float32") / max(self.warmup_steps, 1)
        to_go = ops.minimum(self.total_steps - step, self.way)
        left, gone = (ops.cast(steps, "float32") / self.way for steps in (to_go, self.way - to_go))
        high = self.shape(left, gone)
        # Both ends exact: peak - end is not a float32 where peak and end are.
        falling = self.peak * high + self.end * (1.0 - high)
        return ops.where(step < self.warmup_steps, self.peak * rising, falling)

    def get_config(self):
        names = ("peak", "total_steps", "warmup_steps", "end")
        return {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable(package="keras_bert")
class WarmupLinear(Warmup):
    """Linear warm-up from 0 to `peak`, then a straight line down to `end` at `total_steps`.

        shape(x) = x

    Google's first code let the line begin at step 0, so that the rate jumped down where the warm-up ended;
    this form, without the jump, is the paper's and everyone's since.

    Args: those of `Warmup`.
    Reference: Devlin et al. 2018, https://arxiv.org/abs/1810.04805, appendix A.2.
    """

    def shape(self, left, gone):
        return left


@keras.saving.register_keras_serializable(package="keras_bert")
class WarmupPolynomial(Warmup):
    """Linear warm-up, then a polynomial down to `end` at `total_steps`.

        shape(x) = x ** power

    Args:
        power: float above 0. 1 is a straight line, 0.5 (with which LAMB was published) falls late, 2 early.
        Others: those of `Warmup`.
    Reference: You et al. 2019, https://arxiv.org/abs/1904.00962, section 4.
    """

    def __init__(self, peak, total_steps, warmup_steps=0, power=1.0, end=0.0):
        super().__init__(peak, total_steps, warmup_steps, end)
        if not 0 < power < math.inf:
            raise ValueError(f"`power` must be positive and finite. Received: power={power}")
        self.power = power

    def shape(self, left, gone):
        return ops.power(left, self.power)

    def get_config(self):
        return {**super().get_config(), "power": self.power}


@keras.saving.register_keras_serializable(package="keras_bert")
class WarmupCosine(Warmup):
    """Linear warm-up, then half a cosine down to `end` at `total_steps`.

        shape(x) = (1 + cos(pi (1 - x))) / 2

    Args: those of `Warmup`.
    Reference: Loshchilov and Hutter 2016, https://arxiv.org/abs/1608.03983, section 3, without restarts.
    """

    def shape(self, left, gone):
        # The same by the half angle: 1 + cos() has no digits left in float32 in the last steps of a run.
        return ops.square(ops.sin(math.pi / 2 * left))


@keras.saving.register_keras_serializable(package="keras_bert")
class WarmupStableDecay(Warmup):
    """Linear warm-up, then `peak`, then down to `end` within the last `decay_steps`.

        shape(x) = 1 - sqrt(1 - x), x = min(1, (total_steps - t) / decay_steps)

    A run can be continued from any step before the decay as if it had been planned longer.

    Args:
        decay_steps: int or None. None means a tenth of `total_steps`, at least 1.
        Others: those of `Warmup`.
    Raises:
        ValueError: also where warm-up and decay are together longer than the run.
    Reference: Hu et al. 2024, https://arxiv.org/abs/2404.06395, section 4; the form of the decay from
    Hägele et al. 2024, https://arxiv.org/abs/2405.18392, section 3, who found it better than a line.
    """

    def __init__(self, peak, total_steps, warmup_steps=0, decay_steps=None, end=0.0):
        super().__init__(peak, total_steps, warmup_steps, end)
        longest = self.total_steps - self.warmup_steps
        if decay_steps is None:
            decay_steps = min(max(round(self.total_steps / 10), 1), max(longest, 1))
        elif not 1 <= (decay_steps := _count("decay_steps", decay_steps)) <= max(longest, 1):
            raise ValueError(
                "`decay_steps` must be positive and fit behind the warm-up. Received: "
                f"decay_steps={decay_steps}, total_steps={total_steps}, warmup_steps={warmup_steps}"
            )
        self.decay_steps = decay_steps

    @property
    def way(self):
        return self.decay_steps

    def shape(self, left, gone):
        # 1 - sqrt(1 - x), without the subtraction of nearly equal numbers in the last steps.
        return left / (1.0 + ops.sqrt(gone))

    def get_config(self):
        return {**super().get_config(), "decay_steps": self.decay_steps}


SCHEDULES = {
    "linear": WarmupLinear,
    "polynomial": WarmupPolynomial,
    "cosine": WarmupCosine,
    "stable_decay": WarmupStableDecay,
}


def schedule(name, peak, total_steps, warmup_steps=0, **settings):
    """A schedule by name.

    Args:
        name: str. A key of `SCHEDULES`.
        peak, total_steps, warmup_steps: as `Warmup`.
        **settings: `end`; `power` of a polynomial; `decay_steps` of stable_decay.
    Returns:
        `Warmup`.
    Raises:
        UsageError: an unknown name, or a setting that this schedule lacks.
        ValueError: as the schedule.
    """
    if name not in SCHEDULES:
        what = f"There is no schedule {name!r}"
        raise UsageError(what, where="schedule", expected=f"one of {', '.join(SCHEDULES)}")
    known = list(inspect.signature(SCHEDULES[name]).parameters)[3:]
    for setting in settings:
        if setting not in known:
            what = f"The schedule {name!r} has no setting {setting!r}"
            raise UsageError(what, where=setting, expected=f"one of {', '.join(known)}")
    return SCHEDULES[name](peak, total_steps, warmup_steps, **settings)


def _count(name, value):
    if not isinstance(value, numbers.Real) or value % 1:
        raise ValueError(f"`{name}` must be a whole number. Received: {name}={value}")
    return int(value)
