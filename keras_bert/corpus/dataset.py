"""The same batches as a `tf.data.Dataset`: here alone this room needs TensorFlow, once it is called."""

import itertools

from keras_bert import features
from keras_bert.corpus.batches import Plan, epoch_batches

_MASKS = ("mask_positions", "mask_ids", "mask_weights")
_PACKED = ("position_ids", "example_ids", "cls_positions", "example_weights")


def dataset(
    records, batch_size: int, *, num_epochs: int | None = 1, epoch: int = 0, start: int = 0, **options
):
    """Batches for `fit`, epoch after epoch.

    Args:
        records: PretrainingRecords.
        batch_size: int. GLOBAL: of all readers together.
        num_epochs: int or None. None: without end.
        epoch: int. The first one.
        start: int. Batches of the first epoch to leave out, as they were seen before an interruption.
        **options: the other fields of `batches.Plan`.
    Returns:
        tf.data.Dataset of dicts of tensors; every iteration begins at the same place. Its length is known,
        but for packed rows.
    Raises:
        UsageError: options that do not go together.
    """
    import tensorflow as tf

    plans = [Plan(batch_size, epoch=epoch, start=start, **options)]
    epoch_batches(records, plans[0])  # what is wrong shows now, not in the first step

    def batches():
        for number in itertools.count() if num_epochs is None else range(num_epochs):
            begin = 0 if number else start
            yield from epoch_batches(records, Plan(batch_size, epoch=epoch + number, start=begin, **options))

    result = tf.data.Dataset.from_generator(batches, output_signature=_signature(records, plans[0]))
    if plans[0].packed is None:
        per_epoch = records.num_batches(batch_size, plans[0].drop_remainder)
        count = max(0, per_epoch - start) + ((num_epochs or 1) - 1) * per_epoch
        count = tf.data.INFINITE_CARDINALITY if num_epochs is None else count
        result = result.apply(tf.data.experimental.assert_cardinality(count))
    return result.prefetch(tf.data.AUTOTUNE)


def _signature(records, plan: Plan) -> dict:
    """`tf.TensorSpec`s of a batch: what is the same in all of them is fixed."""
    import tensorflow as tf

    names = [*features.ENCODER_FEATURES]
    if plan.masker is not None or records.kind != "dynamic":
        names += _MASKS
    if plan.packed is not None:
        names += _PACKED
    if records.has_pairs or plan.packed is not None:
        names.append("next_sentence_label")
    batch = plan.batch_size // plan.shard[1] if plan.drop_remainder else None
    length = plan.packed or (None if plan.buckets else plan.max_length or records.max_length)
    specs = features.tensor_specs(*names, batch=batch, length=length)
    if plan.packed is not None:
        specs["next_sentence_label"] = tf.TensorSpec([batch, None], tf.int32, name="next_sentence_label")
    return specs
