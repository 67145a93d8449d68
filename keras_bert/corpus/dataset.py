"""Batches as a `tf.data.Dataset`: here alone this room needs TensorFlow, once it is called."""

from keras_bert import features
from keras_bert.corpus.batches import Plan

_MASKS = ("mask_positions", "mask_ids", "mask_weights")
_PACKED = ("position_ids", "example_ids", "cls_positions", "example_weights")
_OF_AN_EXAMPLE = ("next_sentence_label", "record_indices")  # packed rows have several examples


def dataset(batches, specs: dict, targets, count: int | None):
    """What a generator yields, for `fit`.

    Args:
        batches: function without arguments that returns an iterator of dicts of NumPy arrays. It is called
            for every iteration of the dataset, and runs in one thread, ahead of what is asked for.
        specs: dict of `tf.TensorSpec`s.
        targets: function of a dict of tensors that returns (x, y, sample_weight), or None for the dict.
        count: int or None. How many there are; None: not known; -1: without end.
    Returns:
        tf.data.Dataset.
    """
    import tensorflow as tf

    result = tf.data.Dataset.from_generator(batches, output_signature=specs)
    if targets is not None:
        result = result.map(targets)
    if count is not None:
        result = result.apply(tf.data.experimental.assert_cardinality(count))
    return result.prefetch(tf.data.AUTOTUNE)


def distributed(strategy, dataset_of_worker):
    """A dataset to each worker of a strategy.

    Args:
        strategy: tf.distribute.Strategy.
        dataset_of_worker: function of the worker's number, the number of workers, and the number of its
            replicas, each of which takes an element of the dataset in turn.
    Returns:
        tf.distribute.DistributedDataset.
    """

    def of(context):
        workers = context.num_input_pipelines
        return dataset_of_worker(context.input_pipeline_id, workers, context.num_replicas_in_sync // workers)

    return strategy.distribute_datasets_from_function(of)


def num_workers(strategy) -> int:
    """How many processes a strategy trains in."""
    if not getattr(strategy.extended, "_in_multi_worker_mode", lambda: False)():
        return 1
    cluster = strategy.cluster_resolver.cluster_spec()
    return sum(cluster.num_tasks(job) for job in cluster.jobs if job in ("chief", "worker"))


def specs_of(records, plan: Plan, num_parts: int = 1) -> dict:
    """`tf.TensorSpec`s of a batch: what is the same in all of them is fixed.

    Args:
        records: PretrainingRecords.
        plan: Plan.
        num_parts: int. Parts that the plan's shard of a batch is cut into.
    """
    import tensorflow as tf

    is_packed = plan.packed is not None
    names = [*features.ENCODER_FEATURES, "record_indices"]
    if plan.masker is not None or records.kind != "dynamic":
        names += _MASKS
    if is_packed:
        names += _PACKED
    if records.has_pairs or is_packed:
        names.append("next_sentence_label")
    sizes = {"B": None, "T": plan.packed}
    if plan.drop_remainder and plan.batch_size % (plan.shard[1] * num_parts) == 0:
        sizes["B"] = plan.batch_size // (plan.shard[1] * num_parts)
    if not is_packed:
        sizes["T"] = None if plan.buckets else plan.max_length or records.max_length
        sizes["M"] = _num_slots(records, plan)
    shapes = {name: features.FEATURES[name].shape for name in names}
    if is_packed:
        shapes |= dict.fromkeys(_OF_AN_EXAMPLE, ("B", "P"))
    return {
        name: tf.TensorSpec([sizes.get(letter) for letter in shape], features.FEATURES[name].dtype, name=name)
        for name, shape in shapes.items()
    }


def _num_slots(records, plan: Plan) -> int | None:
    """The masked slots M of every row, where that is known of all files."""
    if plan.masker is not None:
        return plan.masker.masking.max_predictions_per_seq
    return records.num_slots if records.manifest is not None else None
