"""Batches of several tasks as one stream, each batch of one task, in proportion to a power of their sizes."""

import numpy as np
import tensorflow as tf

from keras_bert.errors import UsageError


def shares(sizes: dict, temperature: float = 1.0) -> dict:
    """The share of every task: size^(1 / temperature), made to add up to 1.

    Args:
        sizes: dict of int. Batches of each task in an epoch of its own.
        temperature: float of 1 or more. 1 draws in proportion to the sizes; the higher, the more alike the
            tasks' shares become, so that a small one is not drowned.
    Reference: Devlin 2019, https://github.com/google-research/bert/blob/master/multilingual.md (there by
        the exponent, its inverse).
    """
    if not temperature >= 1:
        raise UsageError(f"The temperature is {temperature!r}", where="temperature", expected="1 or more")
    powers = {name: size ** (1 / temperature) for name, size in sizes.items()}
    total = sum(powers.values())
    return {name: power / total for name, power in powers.items()}


def mixed(datasets: dict, temperature: float, seed: int) -> tf.data.Dataset:
    """The batches of all datasets, as many an epoch as they have together, in an order new in every epoch.

    Args:
        datasets: dict of `tf.data.Dataset` of known cardinality, of one structure.
        temperature: float. See `shares`.
        seed: int. Of the order.
    """
    sizes = {name: int(dataset.cardinality()) for name, dataset in datasets.items()}
    steps = sum(sizes.values())
    counts = _whole(shares(sizes, temperature), steps)
    chosen = np.repeat(np.arange(len(counts)), list(counts.values())).astype(np.int64)
    order = tf.data.Dataset.from_tensor_slices(chosen).shuffle(
        steps, seed=seed, reshuffle_each_iteration=True
    )
    endless = [dataset.repeat() for dataset in datasets.values()]
    stream = tf.data.Dataset.choose_from_datasets(endless, order)
    return stream.apply(tf.data.experimental.assert_cardinality(steps))


def _whole(parts: dict, total: int) -> dict:
    """Whole numbers that add up to `total`, each at least 1, nearest to the shares (largest remainders)."""
    exact = {name: max(1.0, part * total) for name, part in parts.items()}
    counts = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: max(0, total - sum(counts.values()))]:
        counts[name] += 1
    while sum(counts.values()) > total:
        counts[max(counts, key=counts.get)] -= 1
    return counts
