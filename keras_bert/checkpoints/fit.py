"""Whether weights are what the config says: every shape, every dtype, every block."""

import math

from keras_bert.checkpoints import huggingface, names
from keras_bert.checkpoints.configs import num_blocks
from keras_bert.checkpoints.formats import Weights
from keras_bert.checkpoints.json_text import quoted
from keras_bert.checkpoints.name_table import ENCODER, PROJECTION
from keras_bert.config import BertConfig
from keras_bert.errors import CheckpointError

FLOATS = ("float64", "float32", "float16", "bfloat16")
_ONE_PLACE = "config.json was edited or is another model's: take it and the weights from one place"


def check_weights(weights: Weights, config: BertConfig, labels):
    """Refuses weights that do not fit the config; a missing pooler or head is no fault.

    Args:
        weights: Weights.
        config: BertConfig.
        labels: list of str or None. The class names; None leaves their number free.

    Raises:
        CheckpointError: names the tensor, both shapes and the likely cause.
    """
    where, stored = str(weights.path), weights.stored
    found = num_blocks(weights)
    if found != config.num_layers:
        raise CheckpointError(
            f"{found} encoder blocks, but config.json says num_hidden_layers={config.num_layers}",
            where=where,
            remedy=_ONE_PLACE,
        )
    keys = {letter: theirs for _, theirs, _, letter in huggingface.FIELDS if letter}
    sizes = names.sizes_of(config)
    axes = {letter: (keys.get(letter, letter), size) for letter, size in sizes.items()}
    axes["E"] = ("embedding_size" if names.is_factorised(config) else keys["D"], sizes["E"])
    axes["2"] = ("two classes", 2)
    axes["C"] = ("id2label", "any" if labels is None else len(labels))
    for row in names.rows_of(config):
        for source in row.sources(weights.dialect, weights.prefix):
            if source in stored:
                name = stored[source]
                expected = [axes[letter] for letter in row.source_letters(weights.dialect)]
                _check_shape(row, name, weights.tensors.shapes[name], expected, where)
                _check_dtype(name, weights.tensors.dtypes[name], where)
            elif row.part in (ENCODER, PROJECTION):
                raise CheckpointError(f"The tensor {source!r} is missing", where=where)


def _check_shape(row, name: str, shape: tuple, axes: list[tuple], where: str):
    """Refuses a tensor whose axes are not what the config says; `axes` are (its key, its size) pairs."""
    sizes = tuple(size for _, size in axes)
    flat = names.flat_shape(row, shape) if len(shape) in (2, 3) else shape
    if len(flat) == len(sizes) and all(size in ("any", n) for size, n in zip(sizes, flat, strict=True)):
        return
    says = ", ".join(f"{key}={size}" for key, size in axes)
    turned = math.prod(shape) == math.prod(s for s in sizes if s != "any") and shape == sizes[::-1]
    raise CheckpointError(
        f"The tensor {name!r} has the shape {tuple(shape)}, but config.json says {says}",
        where=where,
        expected=f"the shape {sizes}",
        remedy="the matrix is turned: the file was written by another library" if turned else _ONE_PLACE,
    )


def _check_dtype(name: str, dtype: str, where: str):
    if dtype not in FLOATS:
        raise CheckpointError(
            f"The tensor {quoted(name)} holds {dtype}",
            where=where,
            expected=f"one of {', '.join(FLOATS)}",
            remedy="quantised weights cannot be trained: use the model they were made from",
        )
