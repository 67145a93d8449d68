"""The one table of features: what the tensors on the road from text to answer are called.

`token_ids` is `token_ids` in the data pipeline, in `keras.Input`, in the SavedModel's signature and in
the TFLite signature, because all of them are built from here. Shape letters: `keras_bert.layers`, and P for
the examples packed into one row.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Feature:
    """One named tensor.

    Args:
        name: str. Its one name on the whole road.
        dtype: str. NumPy name of the dtype.
        shape: tuple of str. Shape letters, the batch first.
        meaning: str. One line for a reader.
    """

    name: str
    dtype: str
    shape: tuple[str, ...]
    meaning: str


FEATURES = {
    feature.name: feature
    for feature in (
        Feature(
            "token_ids", "int32", ("B", "T"), "WordPiece ids, [CLS] A [SEP] (B [SEP]), padded with [PAD]"
        ),
        Feature("segment_ids", "int32", ("B", "T"), "0 for [CLS] A [SEP], 1 for B [SEP], 0 for padding"),
        Feature("padding_mask", "int32", ("B", "T"), "1 for real tokens, 0 for padding"),
        Feature(
            "length",
            "int32",
            ("B",),
            "number of real tokens; served instead of the mask, which servers pad wrongly",
        ),
        Feature("mask_positions", "int32", ("B", "M"), "where the masked slots stand; 0 for unused slots"),
        Feature("mask_ids", "int32", ("B", "M"), "what stood in the masked slots; 0 for unused slots"),
        Feature("mask_weights", "float32", ("B", "M"), "1 for masked slots, 0 for unused slots"),
        Feature(
            "next_sentence_label",
            "int32",
            ("B",),
            "0: B really follows A, 1: it is other text; (B, P) in packed rows",
        ),
        Feature("position_ids", "int32", ("B", "T"), "the place in the example, from 0; 0 for padding"),
        Feature(
            "example_ids",
            "int32",
            ("B", "T"),
            "1, 2, ... for the examples packed into a row, 0 for padding; attention stays between equal ones",
        ),
        Feature("cls_positions", "int32", ("B", "P"), "where the packed examples begin; 0 for unused places"),
        Feature(
            "example_weights",
            "float32",
            ("B", "P"),
            "1 for packed examples with a next_sentence_label, else 0",
        ),
        Feature(
            "record_indices",
            "int64",
            ("B",),
            "the number of the example in its corpus; (B, P) in packed rows, -1 for unused places",
        ),
        # What tasks need beside the encoder's features to make targets and answers; no model takes them.
        Feature("starts", "int32", ("B", "T"), "where each piece begins, in characters of its text"),
        Feature("ends", "int32", ("B", "T"), "where each piece ends, exclusive; 0 for special tokens"),
        Feature("sequence_ids", "int32", ("B", "T"), "0 text, 1 text_pair, -1 special tokens and padding"),
        Feature("row", "int32", ("B",), "which text each sequence is of, ascending; long ones have several"),
        Feature("context", "string", ("B",), "the texts that answers are cut out of, one for each row"),
    )
}

ENCODER_FEATURES = ("token_ids", "segment_ids", "padding_mask")


def inputs(*names: str, choices: bool = False) -> dict:
    """`keras.Input`s of the named features, as a dict; every axis but the batch's is of unknown length.

    With `choices` every feature has one more axis behind the batch's: (B, C, T) for (B, T).
    """
    import keras

    return {
        name: keras.Input(
            shape=(None,) * (len(FEATURES[name].shape) - 1 + choices), dtype=FEATURES[name].dtype, name=name
        )
        for name in names
    }


def tensor_specs(*names: str, batch: int | None = None, length: int | None = None) -> dict:
    """`tf.TensorSpec`s of the named features; `batch` and `length` fix the axes B and T, others are open."""
    import tensorflow as tf

    size = {"B": batch, "T": length}
    return {
        name: tf.TensorSpec(
            [size.get(letter) for letter in FEATURES[name].shape], FEATURES[name].dtype, name=name
        )
        for name in names
    }
