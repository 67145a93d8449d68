"""`Crf`: a linear chain over the tags of a text, and what is asked of it: likelihood, best path, marginals.

    score(y) = start[y_1] + sum_t logits[t, y_t] + sum_t transitions[y_(t-1), y_t] + end[y_last]

The chain runs over the units of a row, the places where its mask is 1, in their order. They need not be
neighbours: between them lie pieces that go on with a word, around them [CLS], [SEP] and padding.

One letter beyond those of `keras_bert.layers`: C here are tags.
"""

import keras
import numpy as np
from keras import ops

from keras_bert.layers import kernels

# Added to what `allowed` forbids. So low that exp() of it is 0 in float32 (from -104 on): a path that keeps
# to the rules loses no probability to others. Finite: no -inf - -inf makes NaN. Within float16 (65504)
# several times over, for a TFLite file whose weights are of 16 bits. A legal path never adds it: no digit of
# its score is lost.
PENALTY = -1e4


@keras.saving.register_keras_serializable(package="keras_bert")
class Crf(keras.layers.Layer):
    """The weights of a linear-chain CRF, put beside the logits that they score.

        output = concat([logits, transitions, start, end], axis=1), the weights once for every row

    A CRF's loss and its decoding both need the logits and these weights. In one tensor everything that a
    loss, a metric or an exported graph wants is in the model's output: `CrfLoss` holds no layer, so that
    `compile`, `fit` and saving as `.keras` need nothing special, and the rows of a batch may lie on different
    replicas. `unpack` takes it apart. It costs C + 2 rows of length C; nothing is summed up before it is
    asked for, and the mask is given there.

    New weights are 0: an untrained CRF is the softmax of every unit by itself.

    Args:
        num_tags: int. Tags C.
        allowed: None or (transitions, start, end): nested lists of 0 and 1 of the shapes (C, C), (C,) and
            (C,). What is 0 is forbidden, in training as in decoding: for BIO, I-X after anything but B-X and
            I-X, and at the start. `PENALTY` does that: a rule is broken only where that would gain as much.
        learning_rate_factor: float. The weights learn faster than the others by this factor, with any
            optimizer. At BERT's rates of about 2e-5 they would else stay where they are. What is stored is
            the effective weight divided by it.
    Call arguments:
        logits: float tensor (B, T, C).
    Returns:
        float32 tensor (B, T + C + 2, C), whatever the encoder's precision.
    Raises:
        ValueError: `allowed` of other shapes or entries, or without a tag to start or to end with.
    Reference: Lafferty et al. 2001; Lample et al. 2016, https://arxiv.org/abs/1603.01360, section 2.2.
    """

    def __init__(self, num_tags, allowed=None, learning_rate_factor=100.0, **kwargs):
        # float32: a sum over a whole text in bfloat16 has no digits left.
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.num_tags = num_tags
        self.allowed = None if allowed is None else [np.asarray(part).tolist() for part in allowed]
        self.learning_rate_factor = learning_rate_factor
        self._penalties = _penalties(num_tags, self.allowed)

    def build(self, logits_shape):
        if logits_shape[-1] != self.num_tags:
            raise ValueError(
                f"The logits must have `num_tags` entries. Received: num_tags={self.num_tags}, "
                f"logits of shape {tuple(logits_shape)}"
            )
        tags = self.num_tags
        self.transitions = self.add_weight((tags, tags), initializer="zeros", name="transitions")
        self.start = self.add_weight((tags,), initializer="zeros", name="start")
        self.end = self.add_weight((tags,), initializer="zeros", name="end")

    def call(self, logits):
        rows = [self.transitions, ops.expand_dims(self.start, 0), ops.expand_dims(self.end, 0)]
        weights = ops.concatenate(rows, axis=0)  # (C + 2, C)
        # Its value is factor * weights, its gradient that of the weights: a norm that gradients are clipped
        # by does not see the factor.
        weights = weights + ops.stop_gradient(weights * (self.learning_rate_factor - 1.0))
        weights = weights + ops.convert_to_tensor(self._penalties, weights.dtype)
        each = ops.broadcast_to(weights, (ops.shape(logits)[0], self.num_tags + 2, self.num_tags))
        return ops.concatenate([logits, each], axis=1)  # (B, T + C + 2, C)

    def compute_output_shape(self, logits_shape):
        batch, length, tags = logits_shape
        return (batch, None if length is None else length + tags + 2, tags)

    def get_config(self):
        return {
            **super().get_config(),
            "num_tags": self.num_tags,
            "allowed": self.allowed,
            "learning_rate_factor": self.learning_rate_factor,
        }


def _penalties(num_tags, allowed):
    """float32 array (C + 2, C) of 0 and `PENALTY`, in the order of a `Crf`'s weights."""
    if allowed is None:
        return np.zeros((num_tags + 2, num_tags), "float32")
    shapes = ((num_tags, num_tags), (num_tags,), (num_tags,))
    if tuple(np.shape(part) for part in allowed) != shapes:
        raise ValueError(
            f"`allowed` must be (transitions, start, end) of shapes {shapes}. Received: shapes "
            f"{tuple(np.shape(part) for part in allowed)}"
        )
    rules = np.concatenate([np.reshape(part, (-1, num_tags)) for part in allowed])  # (C + 2, C)
    if not np.isin(rules, (0, 1)).all() or not rules[-2:].any(axis=1).all():
        raise ValueError(
            "`allowed` must be of 0 and 1, and let some tag be the first and some the last. "
            f"Received: allowed={allowed}"
        )
    return np.where(rules == 0, PENALTY, 0.0).astype("float32")


def unpack(outputs, num_tags):
    """The parts of a `Crf`'s output, in the order of the arguments of the functions below.

    Args:
        outputs: float tensor (B, T + C + 2, C).
        num_tags: int. Tags C.
    Returns:
        logits (B, T, C), transitions (B, C, C), start (B, C), end (B, C).
    """
    tags = num_tags
    return outputs[:, : -tags - 2], outputs[:, -tags - 2 : -2], outputs[:, -2], outputs[:, -1]


def crf_viterbi(outputs, mask, num_tags):
    """`viterbi` of a `Crf`'s output."""
    logits, *weights = unpack(outputs, num_tags)
    return viterbi(logits, mask, *weights)


def crf_marginals(outputs, mask, num_tags):
    """`marginals` of a `Crf`'s output."""
    logits, *weights = unpack(outputs, num_tags)
    return marginals(logits, mask, *weights)


def crf_log_likelihood(logits, tags, mask, transitions, start, end):
    """The logarithm of the probability of a path: its score less that of all paths together.

    Args:
        logits: float tensor (B, T, C).
        tags: int tensor (B, T). What it says outside of the mask does not matter.
        mask: int or bool tensor (B, T), 1 for the units.
        transitions: float tensor (C, C) or (B, C, C); row: the tag before, column: the tag after.
        start, end: float tensors (C,) or (B, C).
    Returns:
        float32 tensor (B,); 0 for a row without a unit, whose only path is the empty one.
    """
    logits, transitions, start, end = _float32(logits, transitions, start, end)
    is_unit = ops.cast(mask, "bool")
    last, _ = _forward(logits, is_unit, transitions, start)
    log_likelihood = _path_score(logits, tags, is_unit, transitions, start, end) - _log_sum_exp(last + end, 1)
    return ops.where(ops.any(is_unit, axis=1), log_likelihood, 0.0)


def viterbi(logits, mask, transitions, start, end):
    """The path of the highest score. Of equal ones that with the lower tag, from the last unit on.

    Args: as `crf_log_likelihood`.
    Returns:
        tags: int32 tensor (B, T), 0 outside of the mask.
        score: float32 tensor (B,); 0 for a row without a unit.
    """
    logits, transitions, start, end = _float32(logits, transitions, start, end)
    is_unit = ops.cast(mask, "bool")
    every_tag = ops.expand_dims(ops.arange(logits.shape[-1], dtype="int32"), 0)  # (1, C)

    def step(best, place):
        emission, unit, follows = place
        candidates = ops.expand_dims(best, 2) + transitions  # (B, C, C)
        arrival, came_from = _max_and_where(candidates)  # (B, C)
        arrival = ops.where(follows, arrival, start)
        # A place that is no unit hands its tag on, so that the way back passes through it.
        return ops.where(unit, arrival + emission, best), ops.where(unit, came_from, every_tag)

    best, came_from = kernels.scan(step, ops.zeros_like(logits[:, 0]), _by_time(logits, is_unit))
    score, last = _max_and_where(best + end)  # (B,)

    def step_back(tag, came_from):
        is_tag = ops.equal(every_tag, ops.expand_dims(tag, 1))  # (B, C)
        return ops.sum(ops.where(is_tag, came_from, 0), axis=1), tag

    _, tags = kernels.scan(step_back, last, came_from, reverse=True)  # (T, B)
    score = ops.where(ops.any(is_unit, axis=1), score, 0.0)
    return ops.where(is_unit, ops.transpose(tags), 0), score


def marginals(logits, mask, transitions, start, end):
    """The probability of every tag at every unit, over all paths.

    Args: as `crf_log_likelihood`.
    Returns:
        float32 tensor (B, T, C): sums to 1 over the tags of a unit, 0 outside of the mask.
    """
    logits, transitions, start, end = _float32(logits, transitions, start, end)
    is_unit = ops.cast(mask, "bool")
    transitions_back = ops.swapaxes(transitions, -1, -2)

    def step_back(beta, place):
        emission, unit, _ = place
        before = _log_sum_exp(ops.expand_dims(emission + beta, 2) + transitions_back, 1)
        return ops.where(unit, before, beta), beta

    _, alphas = _forward(logits, is_unit, transitions, start)
    last = ops.zeros_like(logits[:, 0]) + end
    _, betas = kernels.scan(step_back, last, _by_time(logits, is_unit), reverse=True)  # (T, B, C)
    probabilities = ops.softmax(ops.transpose(alphas + betas, (1, 0, 2)), axis=-1)
    return ops.where(ops.expand_dims(is_unit, 2), probabilities, 0.0)


def _forward(logits, is_unit, transitions, start):
    """The score of all paths up to each unit that end there with each tag.

    Returns:
        Of the last unit (B, C), and of every place (T, B, C): outside of the mask that of the unit before.
    """

    def step(alpha, place):
        emission, unit, follows = place
        arrival = ops.where(follows, _log_sum_exp(ops.expand_dims(alpha, 2) + transitions, 1), start)
        alpha = ops.where(unit, arrival + emission, alpha)
        return alpha, alpha

    return kernels.scan(step, ops.zeros_like(logits[:, 0]), _by_time(logits, is_unit))


def _by_time(logits, is_unit):
    """What a scan sees of a place: its logits (B, C); is it a unit, is it one after the first (B, 1)."""
    follows = ops.cumsum(ops.cast(is_unit, "int32"), axis=1) > 1  # (B, T)
    flags = [ops.expand_dims(ops.transpose(flag), 2) for flag in (is_unit, follows)]  # (T, B, 1)
    return ops.transpose(logits, (1, 0, 2)), *flags


def _path_score(logits, tags, is_unit, transitions, start, end):
    """The score of the path of these tags: float32 (B,)."""
    num_tags, length = logits.shape[-1], ops.shape(logits)[1]
    emissions = ops.sum(_one_hot(tags, num_tags, is_unit) * logits, axis=(1, 2))  # (B,)
    # Neighbours on the path are neighbours once the units are moved to the front, in their order.
    place = ops.expand_dims(ops.arange(length, dtype="int32"), 0)  # (1, T)
    order = ops.argsort(ops.where(is_unit, place, place + length), axis=1)  # (B, T)
    count = ops.sum(ops.cast(is_unit, "int32"), axis=1, keepdims=True)  # (B, 1)
    path = _one_hot(ops.take_along_axis(tags, order, axis=1), num_tags, place < count)  # (B, T, C)
    steps = ops.einsum("btc,btd->bcd", path[:, :-1], path[:, 1:])  # (B, C, C): how often each was taken
    last = ops.expand_dims(ops.cast(ops.equal(place, count - 1), "float32"), 2)  # (B, T, 1)
    ends = ops.sum(path[:, 0] * start, axis=1) + ops.sum(ops.sum(path * last, axis=1) * end, axis=1)
    return emissions + ops.sum(steps * transitions, axis=(1, 2)) + ends


def _one_hot(tags, num_tags, mask):
    """float32 (B, T, C), all 0 outside of the mask."""
    return ops.one_hot(tags, num_tags, dtype="float32") * ops.expand_dims(ops.cast(mask, "float32"), 2)


def _log_sum_exp(x, axis):
    """log(sum(exp(x))) of finite numbers.

    Unlike `ops.logsumexp` it does not ask which are finite, for which TFLite has no operation.
    """
    top = ops.stop_gradient(ops.max(x, axis=axis, keepdims=True))
    return ops.log(ops.sum(ops.exp(x - top), axis=axis)) + ops.squeeze(top, axis)


def _max_and_where(x):
    """The maximum along axis 1 and, int32, the first place where it is.

    Not by `ops.argmax`: Keras looks at the bits of signed zeros, for which TFLite has no operation.
    """
    size = x.shape[1]
    place = ops.reshape(ops.arange(size, dtype="int32"), (1, size) + (1,) * (len(x.shape) - 2))
    top = ops.max(x, axis=1, keepdims=True)
    # Of NaN the last place: it stays a tag.
    return ops.squeeze(top, 1), ops.min(ops.where(ops.equal(x, top), place, size - 1), axis=1)


def _float32(*tensors):
    return [ops.cast(tensor, "float32") for tensor in tensors]
