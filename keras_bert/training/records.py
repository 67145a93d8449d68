"""What says which rows a batch holds."""

import keras

RECORDS = "record_indices"  # the feature that says which rows these are; the model itself does not take it


def without_records(x):
    """(the features that the model takes, the rows' record indices or None)."""
    if not isinstance(x, dict) or RECORDS not in x:
        return x, None
    return {name: value for name, value in x.items() if name != RECORDS}, x[RECORDS]


def num_rows(x):
    """The rows of these features, a float32 scalar."""
    import tensorflow as tf

    return tf.cast(tf.shape(keras.tree.flatten(x)[0])[0], tf.float32)
