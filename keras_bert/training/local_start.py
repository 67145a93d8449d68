"""`attend_locally`: new weights with which the first block's heads look at the neighbouring pieces."""

import numpy as np

from keras_bert.errors import UsageError

_SHARPNESS = 20.0  # the score of the place a head looks at; those beside it get a fifth of its attention
_SLOWEST = 0.1  # radians a place: wave lengths are 6 to 60 pieces
_VALUES = 0.8  # standard deviation of values and outputs, in units of 1 / sqrt(D)


def attend_locally(encoder):
    """Changes new weights so that training begins from local context instead of the mean of all pieces.

    Of a new BERT every head looks at all pieces alike, and what a piece is told about its neighbours is lost
    in that mean: for the first millions of pieces hardly more is learnt than how frequent pieces are. Here
    head n of the first block looks from place i at i - 1, i + 1, i - 2, i + 2, ... for n = 0, 1, 2, 3, ...:

        embeddings      the first H columns hold the place alone, as sines and cosines of H / 2 waves
        query           reads them as they are
        key             reads them turned back by the offset: query key = sum of cos(w (j - offset - i))
        value, output   larger, so that what is found there counts as much as the piece itself

    All of it is only where training begins: nothing is held fixed, and the model is a BERT like any other.

    Args:
        encoder: the functional model of `bert_encoder`, with new weights; they are changed in place.
    Raises:
        UsageError: factorised embeddings, which mix the columns before the first block; heads of one column.
    Reference: attention on images that begins as a convolution: Zheng et al. 2024,
    https://arxiv.org/abs/2404.01139; sinusoids turn with the offset: Vaswani et al. 2017,
    https://arxiv.org/abs/1706.03762, section 3.5. What it brings is measured in BUILD_NOTES.md, 2026-11-26.
    """
    embeddings, attention = encoder.get_layer("embeddings"), encoder.get_layer("block_0").attention
    pairs = attention.head_dim // 2
    if embeddings.embedding_projection is not None or not pairs:
        raise UsageError(
            "Attention cannot begin locally in a BERT of this shape", where="attend_locally",
            expected="embeddings that are not factorised, and heads of two columns at least",
        )  # fmt: skip
    waves = _SLOWEST ** (np.arange(pairs) / pairs)  # (H / 2,)
    places, width = embeddings.position_embedding.embeddings.shape
    angles = np.arange(places)[:, None] * waves
    sinusoids = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(places, 2 * pairs)
    # So large that these columns vary as the others, where pieces and places are summed.
    sinusoids *= 2 * embeddings.initializer_range
    _set_columns(embeddings.position_embedding.embeddings, sinusoids, 2 * pairs)
    for table in (embeddings.token_embedding, embeddings.segment_embedding):
        _set_columns(table.embeddings, 0.0, 2 * pairs)

    kernel, output = attention.query_key_value.kernel, attention.output_projection.kernel
    query, key, value = np.split(np.array(kernel), 3, axis=1)  # 3 x (D, N H)
    gain = np.sqrt(_SHARPNESS * np.sqrt(attention.head_dim) / (2 * pairs))
    for head in range(attention.num_heads):
        offset = (head // 2 + 1) * (1 if head % 2 else -1)
        columns = slice(head * attention.head_dim, head * attention.head_dim + 2 * pairs)
        query[: 2 * pairs, columns] += gain * np.eye(2 * pairs)
        key[: 2 * pairs, columns] += gain * _turn(waves * offset)
    scale = _VALUES / np.sqrt(width) / attention.initializer_range
    kernel.assign(np.concatenate([query, key, scale * value], axis=1))
    output.assign(scale * np.array(output))


def _set_columns(variable, columns, count):
    """Overwrites the first columns."""
    values = np.array(variable)
    values[:, :count] = columns
    variable.assign(values)


def _turn(angles):
    """The matrix that takes (sin a, cos a, ...) to (sin (a - angle), cos (a - angle), ...), pair by pair."""
    matrix = np.zeros((2 * len(angles), 2 * len(angles)))
    sines, cosines = np.arange(0, len(matrix), 2), np.arange(1, len(matrix), 2)
    matrix[sines, sines] = matrix[cosines, cosines] = np.cos(angles)
    matrix[cosines, sines], matrix[sines, cosines] = -np.sin(angles), np.sin(angles)
    return matrix
