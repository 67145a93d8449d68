"""`AdamW` as BERT is trained with it: biases and normalisations are not decayed, and that is saved."""

import re

import keras
from keras import ops

# Matched against a variable's whole path ("block_0/output_layer_norm/gamma"), not only its last name as
# Keras does, where "layer_norm" never matches.
NOT_DECAYED = (r"/bias$", r"layer_norm/")


@keras.saving.register_keras_serializable(package="keras_bert")
class AdamW(keras.optimizers.AdamW):
    """Adam with decoupled weight decay, in the form of its paper.

        m = beta_1 m + (1 - beta_1) g            v = beta_2 v + (1 - beta_2) g^2
        w = w - rate * decay * w - rate * m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)

    Keras' own form adds epsilon before the bias correction of v, which is another, larger epsilon in the
    first steps; this form is the paper's and PyTorch's.

    Args:
        learning_rate: float or schedule.
        weight_decay: float. Applied to kernels and embeddings.
        epsilon: float.
        not_decayed: sequence of str. Regular expressions searched in a variable's path; what matches is
            not decayed. Saved with the optimizer.
        global_clipnorm: float or None. Largest norm of all gradients together (BERT: 1.0).
        **kwargs: as `keras.optimizers.AdamW`.
    Reference: Loshchilov and Hutter 2017, https://arxiv.org/abs/1711.05101, algorithm 2.
    """

    def __init__(
        self,
        learning_rate=2e-5,
        weight_decay=0.01,
        epsilon=1e-6,
        not_decayed=NOT_DECAYED,
        global_clipnorm=1.0,
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            epsilon=epsilon,
            global_clipnorm=global_clipnorm,
            **kwargs,
        )
        self.not_decayed = tuple(not_decayed)

    def build(self, variables):
        # Decided here, where Keras still hands over its own variables: later it passes TensorFlow's, which
        # do not know their path.
        self._decayed = {
            self._var_key(variable)
            for variable in variables
            if not any(re.search(pattern, f"/{variable.path}") for pattern in self.not_decayed)
        }
        super().build(variables)

    def _use_weight_decay(self, variable):
        return self._var_key(variable) in self._decayed and super()._use_weight_decay(variable)

    def apply(self, grads, trainable_variables=None):
        return super().apply([_dense(gradient) for gradient in grads], trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        dtype = variable.dtype
        rate, gradient = ops.cast(learning_rate, dtype), ops.cast(gradient, dtype)
        step = ops.cast(self.iterations + 1, dtype)
        correction_1 = 1 - ops.power(ops.cast(self.beta_1, dtype), step)
        correction_2 = ops.sqrt(1 - ops.power(ops.cast(self.beta_2, dtype), step))
        # rate * m / c1 / (sqrt(v) / c2 + epsilon) = (rate * c2 / c1) * m / (sqrt(v) + epsilon * c2)
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        if keras.backend.backend() == "tensorflow" and not self.amsgrad:
            _apply_adam_tensorflow(
                variable, momentum, velocity, gradient, rate / correction_1, correction_2, self
            )
            return
        self.assign_add(momentum, (gradient - momentum) * (1 - self.beta_1))
        self.assign_add(velocity, (ops.square(gradient) - velocity) * (1 - self.beta_2))
        if self.amsgrad:
            largest = self._velocity_hats[index]
            self.assign(largest, ops.maximum(largest, velocity))
            velocity = largest
        divisor = ops.sqrt(velocity) + self.epsilon * correction_2
        self.assign_sub(variable, rate * correction_2 / correction_1 * momentum / divisor)

    def get_config(self):
        return {**super().get_config(), "not_decayed": list(self.not_decayed)}


def _dense(gradient):
    """A gradient as one tensor.

    TensorFlow gives an embedding's gradient as one row for every token read, and Keras' global norm would
    count a token that occurs three times as three rows instead of their sum.
    """
    if not hasattr(gradient, "dense_shape"):
        return gradient
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)


def _apply_adam_tensorflow(variable, momentum, velocity, gradient, rate, correction_2, optimizer):
    """The same update as one op over the memory of the weights instead of twelve."""
    import tensorflow as tf

    def handle(any_variable):
        return (any_variable.value if isinstance(any_variable, keras.Variable) else any_variable).handle

    # The op takes beta powers to compute sqrt(1 - b2) / (1 - b1) itself; with both powers 0 that factor is 1.
    tf.raw_ops.ResourceApplyAdam(
        var=handle(variable),
        m=handle(momentum),
        v=handle(velocity),
        beta1_power=tf.zeros((), gradient.dtype),
        beta2_power=tf.zeros((), gradient.dtype),
        lr=rate * correction_2,
        beta1=tf.cast(optimizer.beta_1, gradient.dtype),
        beta2=tf.cast(optimizer.beta_2, gradient.dtype),
        epsilon=optimizer.epsilon * correction_2,
        grad=gradient,
    )
