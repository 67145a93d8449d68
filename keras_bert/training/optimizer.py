"""`AdamW` as BERT is trained with it: biases and normalisations are not decayed, and that is saved."""

import keras
from keras import ops

from keras_bert.training.updates import NOT_DECAYED, BertUpdates, in_float32


@keras.saving.register_keras_serializable(package="keras_bert")
class AdamW(BertUpdates, keras.optimizers.AdamW):
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
        layer_decay: float in (0, 1] or None. Lower layers learn slower by this factor a layer; see
            `BertUpdates`.
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

    def _scalars(self, rate, correction_1, correction_2):
        # rate * m / c1 / (sqrt(v / c2) + epsilon) = (rate r / c1) * m / (sqrt(v) + epsilon r), r = sqrt(c2)
        root = ops.sqrt(correction_2)
        # TensorFlow's op takes powers of the betas for corrections of its own: with 0 there are none.
        betas = (0.0, in_float32(self.beta_1), in_float32(self.beta_2))
        shared = (ops.convert_to_tensor(each, "float32") for each in betas)
        return rate, rate * root / correction_1, self.epsilon * root, *shared

    def update_step(self, gradient, variable, learning_rate):
        dtype, index = variable.dtype, self._get_variable_index(variable)
        rate, update_rate, epsilon, *betas = self._of_step(learning_rate)
        decay, gradient = self._own_decay(index), ops.cast(gradient, dtype)
        if decay:
            # Not multiplied by 1 - rate * decay: so near 1 float32 has no digits left for the difference.
            self.assign_sub(variable, variable * self._own_rate(index, rate * decay, dtype))
        rate, epsilon = self._own_rate(index, update_rate, dtype), ops.cast(epsilon, dtype)
        # In fewer digits the op's 0.999 is 1, and the second moment stays 0. `dtype` is TensorFlow's own.
        has_digits = keras.backend.standardize_dtype(dtype) in ("float32", "float64")
        if keras.backend.backend() == "tensorflow" and has_digits and not self.amsgrad:
            self._apply_adam_tensorflow(index, variable, gradient, rate, epsilon, betas)
            return
        momentum, velocity = self._update_moments(index, gradient)
        if self.amsgrad:
            largest = self._velocity_hats[index]
            self.assign(largest, ops.maximum(largest, velocity))
            velocity = largest
        self.assign_sub(variable, rate * momentum / (ops.sqrt(velocity) + epsilon))

    def _apply_adam_tensorflow(self, index, variable, gradient, rate, epsilon, betas):
        """The same update as one op over the memory of the weights instead of twelve."""
        import tensorflow as tf

        def handle(any_variable):
            return (any_variable.value if isinstance(any_variable, keras.Variable) else any_variable).handle

        power, beta_1, beta_2 = (tf.cast(each, gradient.dtype) for each in betas)
        tf.raw_ops.ResourceApplyAdam(
            var=handle(variable),
            m=handle(self._momentums[index]),
            v=handle(self._velocities[index]),
            beta1_power=power,
            beta2_power=power,
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=epsilon,
            grad=gradient,
        )
