"""Two regularisers of fine-tuning, as parts of the training step: R-Drop and adversarial embeddings.

TensorFlow backend only; training/distribution.py calls them for each replica.
"""

from keras import ops

from keras_bert.errors import UsageError
from keras_bert.layers.embeddings import embeddings_seen_by
from keras_bert.training.crf_loss import CrfLoss
from keras_bert.training.losses import SparseCrossentropy, of_rank, row_weights
from keras_bert.training.updates import dense


def check_regularisers(r_drop, adversarial, dropout_by_record, corrected):
    """Raises UsageError for values that cannot be, or cannot be together."""
    for name, value in (("r_drop", r_drop), ("adversarial", adversarial)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise UsageError(f"The value is {value!r}", where=name, expected="a number of 0 or more")
    if (r_drop or adversarial) and not corrected:
        raise UsageError("r_drop and adversarial need the TensorFlow backend", where="compile")
    if r_drop and dropout_by_record:
        raise UsageError(
            "With dropout by record both passes of R-Drop have the same masks", where="r_drop",
            remedy="use one of the two",
        )  # fmt: skip


def disagreement(model, y, first, second, sample_weight):
    """R-Drop's penalty: how far apart two passes with other dropout masks are; a share of the global mean.

        (KL(p || q) + KL(q || p)) / 2 of the class probabilities; of other outputs the squared difference

    Args:
        model: `BertModel`, compiled.
        y, sample_weight: as `fit` takes them.
        first, second: outputs of the two passes.
    Reference: Liang et al. 2021, https://arxiv.org/abs/2106.14448, equation 3.
    """
    share = 0.0
    for loss, weight, output, target, given in model.losses_of(y, sample_weight):
        a, b = (x if output is None else x[output] for x in (first, second))
        a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
        if isinstance(loss, CrfLoss):  # of the units' own logits; the CRF's weights behind them drop nothing
            a, b = (x[:, : ops.shape(target)[1]] for x in (a, b))
        if isinstance(loss, SparseCrossentropy | CrfLoss):
            p, q = ops.log_softmax(a, axis=-1), ops.log_softmax(b, axis=-1)
            values = 0.5 * ops.sum((ops.exp(p) - ops.exp(q)) * (p - q), axis=-1)
        else:
            values = ops.mean(ops.square(a - b), axis=tuple(range(1, len(a.shape))))
            target = values  # one value a row, whatever the target's shape
        if given is not None and len(of_rank(given, len(values.shape)).shape) <= len(values.shape):
            values = values * ops.reshape(row_weights(target, given), ops.shape(values))
        total = loss.divisor(loss.total(target, given))
        share = share + weight * ops.divide_no_nan(ops.sum(values), total)
    return share


def adversarial_gradients(model, loss_of, norm):
    """The gradients of the loss with the token embeddings pushed to where it grows fastest.

        r = norm * g / |g|, a row at a time; g = gradient of the loss by the embedded tokens

    Args:
        model: `BertModel`.
        loss_of: function without arguments: the loss of a training pass, a scalar.
        norm: float. Length of the push of a row.
    Reference: Miyato et al. 2017, https://arxiv.org/abs/1605.07725, equations 3 and 4.
    """
    import tensorflow as tf

    seen = []

    def watched(embedded):
        seen.append(embedded)
        return embedded

    # What the embeddings are is itself an intermediate result, so that it need not be watched.
    with tf.GradientTape() as tape, embeddings_seen_by(watched):
        loss = loss_of()
    [embedded] = seen
    gradient = tape.gradient(loss, embedded)
    length = tf.sqrt(tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32)), axis=[1, 2], keepdims=True))
    push = tf.math.divide_no_nan(norm * tf.cast(gradient, tf.float32), length)
    push = tf.stop_gradient(tf.cast(push, embedded.dtype))
    with tf.GradientTape() as tape, embeddings_seen_by(lambda embedded: embedded + push):
        loss = loss_of()
    return tape.gradient(loss, model.trainable_variables)


def added(gradients, more):
    """The sums of two lists of gradients, either of which may lack some."""
    return [
        b if a is None else a if b is None else dense(a) + dense(b)
        for a, b in zip(gradients, more, strict=True)
    ]
