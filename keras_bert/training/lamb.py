"""`Lamb`: the optimizer of large batches, as it was published for BERT."""

import keras
from keras import ops

from keras_bert.training.updates import NOT_DECAYED, BertUpdates, matches, patterns

# Where one kernel of ours is several matrices of the published network, side by side: pattern, how many.
FUSED = ((r"/query_key_value/kernel$", 3),)


@keras.saving.register_keras_serializable(package="keras_bert")
class Lamb(BertUpdates, keras.optimizers.Lamb):
    """Adam whose step has, matrix by matrix, the length of the matrix itself times the rate.

        m = beta_1 m + (1 - beta_1) g            v = beta_2 v + (1 - beta_2) g^2
        u = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon) + decay * w
        w = w - rate * |w| / |u| * u

    The ratio |w| / |u| is 1 where either norm is 0, and for what `not_adapted` names. Query, key and value
    are one kernel here and three in every published BERT: each of the three has its own ratio.

    Keras' own form is another optimizer: its weight decay is applied beside u and is not part of |u|, biases
    and normalisations are adapted, and so is the fused kernel as a whole.

    Args:
        learning_rate: float or schedule.
        weight_decay: float or None.
        epsilon: float.
        not_decayed: sequence of str. Regular expressions searched in a variable's path; what matches is
            not decayed. Saved with the optimizer.
        not_adapted: sequence of str. The same for what has the ratio 1.
        layer_decay: float in (0, 1] or None. Lower layers learn slower by this factor a layer; see
            `BertUpdates`.
        global_clipnorm: float or None. Largest norm of all gradients together (BERT: 1.0).
        **kwargs: as `keras.optimizers.Lamb`.
    Reference: You et al. 2019, https://arxiv.org/abs/1904.00962, algorithm 2.
    """

    def __init__(
        self,
        learning_rate=1e-3,
        weight_decay=0.01,
        epsilon=1e-6,
        not_decayed=NOT_DECAYED,
        not_adapted=NOT_DECAYED,
        global_clipnorm=1.0,
        layer_decay=None,
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            epsilon=epsilon,
            not_decayed=not_decayed,
            global_clipnorm=global_clipnorm,
            layer_decay=layer_decay,
            **kwargs,
        )
        self.not_adapted = patterns("not_adapted", not_adapted)

    def build(self, variables):
        if not self.built:
            paths = [f"/{variable.path}" for variable in variables]
            self._matrices = [0 if matches(self.not_adapted, path) else _matrices_of(path) for path in paths]
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        dtype, index = variable.dtype, self._get_variable_index(variable)
        adapted = bool(self._matrices[index])
        rate, *corrections = self._of_step(learning_rate)
        rate, gradient = self._own_rate(index, rate, dtype, adapted), ops.cast(gradient, dtype)
        correction_1, correction_2 = (ops.cast(each, dtype) for each in corrections)
        momentum, velocity = self._update_moments(index, gradient)
        update = momentum / correction_1 / (ops.sqrt(velocity / correction_2) + self.epsilon)
        decay = self._own_decay(index)
        if decay:
            update = update + decay * variable
        if adapted:
            update = _scaled_to(variable, update, self._matrices[index])
        self.assign_sub(variable, rate * update)

    def get_config(self):
        return {**super().get_config(), "not_adapted": list(self.not_adapted)}


def _matrices_of(path):
    return next((number for pattern, number in FUSED if matches((pattern,), path)), 1)


def _scaled_to(variable, update, matrices):
    """The update, each of its matrices (equal parts of the last axis) as long as the variable's."""
    apart = (-1, matrices, variable.shape[-1] // matrices) if len(variable.shape) else (1, 1, 1)

    def norm(x):
        return ops.sqrt(ops.sum(ops.square(x), axis=(0, 2), keepdims=True))  # (1, matrices, 1)

    parts = ops.reshape(update, apart)  # (rows, matrices, columns of one)
    weight_norm, update_norm = norm(ops.reshape(variable, apart)), norm(parts)
    known = ops.logical_and(weight_norm > 0, update_norm > 0)
    ratio = ops.where(known, weight_norm / ops.where(known, update_norm, 1.0), 1.0)
    return ops.reshape(parts * ratio, variable.shape)
