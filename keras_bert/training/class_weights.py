"""Class weights: rare classes count more, by the weights of their rows."""

import numpy as np

from keras_bert.errors import UsageError


def with_class_weights(dataset, weights, task):
    """The batches with every row's (or token's) weight multiplied by that of its class.

    Args:
        dataset: `tf.data.Dataset` of (features, int targets (B,) or (B, T), sample weights).
        weights: dict of float by label; or "balanced": rows / (classes * rows of the class), whose mean over
            the rows is 1; or None, which changes nothing.
        task: Task. Its labels are the classes.
    Raises:
        UsageError: a task whose targets are no classes, an unknown label, or a weight below 0.
    """
    if weights is None:
        return dataset
    import tensorflow as tf

    spec = dataset.element_spec
    if task.labels is None or isinstance(spec[1], dict) or not spec[1].dtype.is_integer or len(spec) < 3:
        raise UsageError(f"The task {task.name} has no class weights", where="class_weights")
    if len(spec[1].shape) == 2 and not task.targets_by_token:
        raise UsageError(f"The task {task.name} has several classes a row", where="class_weights")
    # The windows of a text share its weight, and count as the one row they are.
    by_weight, count = task.reads_windows and not task.targets_by_token, len(task.labels)
    balanced = weights == "balanced"
    table = _balanced(dataset, count, by_weight) if balanced else _given(weights, task.labels)

    def weighted(features, target, sample_weight):
        # A CRF's targets say more than the class, see `CrfLoss`.
        return features, target, sample_weight * tf.gather(tf.constant(table, tf.float32), target % count)

    return dataset.map(weighted, num_parallel_calls=tf.data.AUTOTUNE)


def _balanced(dataset, num_classes, by_weight) -> np.ndarray:
    counts = np.zeros(num_classes)
    for _, target, weight in dataset.as_numpy_iterator():
        count = weight if by_weight else weight > 0
        counts += np.bincount(target.ravel() % num_classes, weights=count.ravel(), minlength=num_classes)
    present = counts > 0
    table = np.zeros(num_classes)
    table[present] = counts.sum() / (present.sum() * counts[present])
    return table


def _given(weights, labels) -> np.ndarray:
    unknown = sorted(set(weights) - set(labels))
    if unknown or not all(float(weight) >= 0 for weight in weights.values()):
        raise UsageError(
            f"The class weights are {weights}", where="class_weights",
            expected=f"a weight of 0 or more by label, of {', '.join(labels[:20])}",
        )  # fmt: skip
    return np.array([float(weights.get(label, 1.0)) for label in labels])
