"""`BertUpdates`: what BERT asks of any optimizer, whatever the direction of its step."""

import math
import re

import numpy as np
from keras import ops

# Searched in a variable's whole path ("/block_0/output_layer_norm/gamma"), not only in its last name as Keras
# does, where "layer_norm" never matches. The bias of a masked-language-model head is called "output_bias".
NOT_DECAYED = (r"bias$", r"layer_norm/")


class BertUpdates:
    """A mixin for Keras' optimizers: what is decayed, how fast each layer learns, dense gradients.

    All of it is decided at build from the variables' paths and saved in the config. `update_step` of a
    subclass changes its one variable and that one's slots, reads nothing else but the step, and creates
    nothing, so that it may be called within a `tf.cond` and for one replica at a time.

    A variable may have a `learning_rate_factor`: it learns as one would that is smaller by this factor and
    multiplied by it where it is used. Its layer sees to it that the gradient is that one's (`Classifier`).

    Args:
        not_decayed: sequence of str. Regular expressions searched in a variable's path with a slash before
            it; what matches is not decayed.
        layer_decay: float in (0, 1] or None. A variable of depth d learns with the rate times
            layer_decay ** (L + 1 - d): embeddings have depth 0, block_i has i + 1, the pooler and the heads
            have L + 1. L is one more than the highest block among the variables.
        *args, **kwargs: the optimizer's.
    Raises:
        ValueError: a pattern is no regular expression, `layer_decay` is out of range, or (at build) there is
            no block whose depth could be told.
    Reference of `layer_decay`: Howard and Ruder 2018, https://arxiv.org/abs/1801.06146, section 3.2; as here
    Clark et al. 2020, https://arxiv.org/abs/2003.10555, appendix.
    """

    def __init__(self, *args, not_decayed=NOT_DECAYED, layer_decay=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.not_decayed = patterns("not_decayed", not_decayed)
        if layer_decay is not None and not 0 < layer_decay <= 1:
            raise ValueError(
                f"`layer_decay` must be above 0 and at most 1, or None. Received: layer_decay={layer_decay}"
            )
        self.layer_decay = layer_decay

    def build(self, variables):
        # Decided here, where Keras still hands over its own variables: later it passes TensorFlow's, which
        # do not know their path.
        if not self.built:
            paths = [f"/{variable.path}" for variable in variables]
            self._decayed = [not matches(self.not_decayed, path) for path in paths]
            self._rate_scales = rate_scales(paths, self.layer_decay)
            self._factors = [getattr(variable, "learning_rate_factor", 1.0) for variable in variables]
        super().build(variables)

    def apply(self, grads, trainable_variables=None):
        return super().apply([dense(gradient) for gradient in grads], trainable_variables)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        # Here, once a step: in `update_step` it would be traced and run anew for every variable.
        super()._backend_update_step(grads, trainable_variables, self._of_step(learning_rate))

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        raise ValueError(
            "What `exclude_from_weight_decay` sets is lost when the optimizer is saved or copied. "
            "Give `not_decayed=[...]`, patterns for the paths of the variables, when it is made."
        )

    def _apply_weight_decay(self, variables):
        """Nothing: `update_step` decays its variable itself, with the variable's own rate."""

    def get_config(self):
        settings = {"not_decayed": list(self.not_decayed), "layer_decay": self.layer_decay}
        return {**super().get_config(), **settings}

    # For `update_step` of the subclasses.

    def _of_step(self, learning_rate):
        """What all variables share in this step, a tuple of float32 scalar tensors; see `_scalars`.

        Such a tuple is returned as it is: `update_step` gets it from `_backend_update_step`, and a mere
        rate from who calls it directly.
        """
        if isinstance(learning_rate, tuple):
            return learning_rate
        # Written as a power, 1 - 0.999^t keeps five digits of seven in float32 and none in bfloat16.
        step = ops.cast(self.iterations + 1, "float32")
        exponents = (_log(in_float32(beta)) * step for beta in (self.beta_1, self.beta_2))
        return self._scalars(ops.cast(learning_rate, "float32"), *(-ops.expm1(each) for each in exponents))

    def _scalars(self, rate, correction_1, correction_2):
        """`_of_step` from the rate, 1 - beta_1^t and 1 - beta_2^t of this step t."""
        return rate, correction_1, correction_2

    def _own_rate(self, index, rate, dtype, adapted=False):
        """The rate as that of the variable at `index`, a scalar tensor of its dtype.

        `adapted`: its step is as long as the variable, and so larger by the factor of itself.
        """
        scale = self._rate_scales[index] * (1.0 if adapted else self._factors[index])
        return ops.cast(rate if scale == 1.0 else rate * scale, dtype)

    def _own_decay(self, index):
        """The weight decay of the variable at `index` beside an update of Adam's size, a float."""
        return self.weight_decay / self._factors[index] if self.weight_decay and self._decayed[index] else 0.0

    def _update_moments(self, index, gradient):
        """Lets the gradient into both moments of the variable at `index`, and returns their variables."""
        momentum, velocity = self._momentums[index], self._velocities[index]
        self.assign_add(momentum, (gradient - momentum) * (1 - in_float32(self.beta_1)))
        self.assign_add(velocity, (ops.square(gradient) - velocity) * (1 - in_float32(self.beta_2)))
        return momentum, velocity


def patterns(name, given):
    """The regular expressions of a setting as a tuple of str, each checked."""
    # A single string would be searched as one pattern for each of its characters, and match everything.
    given = (given,) if isinstance(given, str) else tuple(given)
    for pattern in given:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise ValueError(
                f"`{name}` must hold regular expressions. Received: {pattern!r} ({error})"
            ) from error
    return given


def matches(given, path):
    """Whether one of the patterns is found in the path."""
    return any(re.search(pattern, path) for pattern in given)


def rate_scales(paths, layer_decay):
    """What the learning rate is multiplied by, a float for every path; see `BertUpdates`."""
    if layer_decay is None:
        return [1.0] * len(paths)
    blocks = [re.search(r"/block_(\d+)/", path) for path in paths]
    if not any(blocks):
        raise ValueError(
            "`layer_decay` needs variables of blocks, whose paths hold block_0/, block_1/, ... "
            f"Received: {', '.join(paths[:5])}{', ...' if len(paths) > 5 else ''}"
        )
    top = max(int(block[1]) for block in blocks if block) + 2  # L + 1
    depths = [
        int(block[1]) + 1 if block else 0 if "/embeddings/" in path else top
        for path, block in zip(paths, blocks, strict=True)
    ]
    return [layer_decay ** (top - depth) for depth in depths]


def dense(gradient):
    """A gradient as one tensor.

    TensorFlow gives an embedding's gradient as one row for every token read, and Keras' global norm would
    count a token that occurs three times as three rows instead of their sum.
    """
    if not hasattr(gradient, "dense_shape"):
        return gradient
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)


def in_float32(beta):
    """A beta as float32 knows it.

    Moments and their corrections must mean the same number: 1 - 0.999 differs by 1e-5 of itself.
    """
    return float(np.float32(beta))


def _log(beta):
    return math.log(beta) if beta else -math.inf
