"""From a checkpoint's tensors to our weights and back, by the table of names (`name_table.py`).

Beside the names two things differ between the dialects: matrices may be stored turned, and attention kernels
with the heads as an axis of their own, (D, N, H) for (D, D). Both are undone without a change of a bit.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from keras_bert.checkpoints.dialects import current_names
from keras_bert.checkpoints.name_table import (
    ENCODER,
    HEADS,
    HUGGINGFACE,
    PARTS,
    POOLER,
    PROJECTION,
    QKV,
    ROWS,
    Row,
)
from keras_bert.checkpoints.transposition import turned
from keras_bert.config import BertConfig


@dataclasses.dataclass(frozen=True)
class Translation:
    """Weights in the names of the other side, and what stayed over on both.

    Args:
        weights: mapping from the name on the target side to the array.
        missing: dict. Target name that could not be built to the list of source names that were not there.
        unexpected: list of str. Source names that no row of the table claims.
    """

    weights: Mapping[str, np.ndarray]
    missing: dict[str, list[str]]
    unexpected: list[str]


class _JoinedWeights(Mapping):
    """Our weights from a checkpoint's tensors, each made when asked for: never two whole copies."""

    def __init__(self, tensors, dialect: str, sources: dict[str, tuple[Row, list[str]]], dtype):
        self._tensors, self._dialect, self._sources, self._dtype = tensors, dialect, sources, dtype

    def __getitem__(self, path: str) -> np.ndarray:
        row, names = self._sources[path]
        return _joined(row, [self._tensors[name] for name in names], self._dialect, self._dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, path) -> bool:
        return path in self._sources


def rows(num_layers: int, parts: Iterable[str] = PARTS) -> list[Row]:
    """The rows of a network of `num_layers` blocks, the blocks written out, in the order of the network."""
    chosen = [row for row in ROWS if row.part in parts]
    per_block = [row for row in chosen if "{i}" in row.ours]
    before = [row for row in chosen if row.ours.startswith("embeddings/")]
    after = [row for row in chosen if row not in before and row not in per_block]
    blocks = [row.in_block(index) for index in range(num_layers) for row in per_block]
    return [*before, *blocks, *after]


def rows_of(config: BertConfig, parts: Iterable[str] = PARTS) -> list[Row]:
    """The rows of a network: with the projection of its embeddings only where it has one."""
    parts = set(parts)
    if not is_factorised(config):
        parts.discard(PROJECTION)
    elif ENCODER in parts:
        parts.add(PROJECTION)
    return rows(config.num_layers, parts)


def is_factorised(config: BertConfig) -> bool:
    """Whether the embeddings are narrower than the network and projected to its width."""
    return config.embedding_dim not in (None, config.hidden_dim)


def sizes_of(config: BertConfig) -> dict[str, int]:
    """What the shape letters of the table stand for; not C, the number of classes."""
    return {
        "V": config.vocabulary_size,
        "E": config.embedding_dim or config.hidden_dim,
        "D": config.hidden_dim,
        "F": config.intermediate_dim,
        "P": config.max_sequence_length,
        "S": config.num_segments,
        "N": config.num_heads,
        "2": 2,
    }


def to_ours(
    tensors: Mapping[str, np.ndarray],
    config: BertConfig,
    prefix: str,
    *,
    dialect: str = HUGGINGFACE,
    parts: Iterable[str] = PARTS,
    dtype=None,
) -> Translation:
    """A checkpoint's tensors as our weights.

    Args:
        tensors: mapping from the checkpoint's names to arrays; may be lazy, an array is read when a weight
            that needs it is asked for.
        config: BertConfig. Its `num_layers` says how many blocks to look for.
        prefix: str. What stands before the encoder's names (`dialects.find_prefix`).
        dialect: str. One of `name_table.DIALECTS`.
        parts: the parts of the table to translate.
        dtype: dtype of the weights; None leaves them as they are stored.

    Returns:
        Translation: our paths to arrays, which may be views of the file.
    """
    stored = current_names(tensors, dialect)
    found, missing, claimed = {}, {}, set()
    for row in rows_of(config, parts):
        sources = row.sources(dialect, prefix)
        claimed.update(sources)
        absent = [name for name in sources if name not in stored]
        if absent or not sources:
            missing[row.ours] = absent
        else:
            found[row.ours] = row, [stored[name] for name in sources]
    unexpected = [name for current, name in stored.items() if current not in claimed]
    return Translation(_JoinedWeights(tensors, dialect, found, dtype), missing, unexpected)


def from_ours(
    weights: Mapping[str, np.ndarray],
    config: BertConfig,
    prefix: str,
    *,
    dialect: str = HUGGINGFACE,
    parts: Iterable[str] = PARTS,
) -> Translation:
    """Our weights as a checkpoint's tensors; the inverse of `to_ours`, bit for bit.

    Args:
        weights: mapping from our paths to arrays.
        config: BertConfig.
        prefix: str. What to put before the encoder's names.
        dialect: str. One of `name_table.DIALECTS`.
        parts: the parts of the table to translate.

    Returns:
        Translation: the checkpoint's names to arrays, which may be views.
    """
    tensors, missing, claimed = {}, {}, set()
    for row in rows_of(config, parts):
        sources = row.sources(dialect, prefix)
        if not sources:
            continue
        claimed.add(row.ours)
        if row.ours in weights:
            tensors.update(zip(sources, _split(row, weights[row.ours], dialect), strict=True))
        else:
            missing.update({name: [row.ours] for name in sources})
    return Translation(tensors, missing, [path for path in weights if path not in claimed])


def _joined(row: Row, arrays: list[np.ndarray], dialect: str, dtype=None) -> np.ndarray:
    """The sources' arrays as our one weight; the inverse of `_split`."""
    arrays = [_without_heads(row, array) for array in arrays]
    dtype = dtype or arrays[0].dtype
    if dialect in row.transposed:
        arrays = [turned(array, dtype) for array in arrays]
    return np.concatenate(arrays, axis=-1, dtype=dtype) if row.fused else np.asarray(arrays[0], dtype)


def _split(row: Row, array: np.ndarray, dialect: str) -> list[np.ndarray]:
    """Our weight as the sources' arrays, without an axis for the heads."""
    parts = np.split(array, len(QKV), axis=-1) if row.fused else [array]
    return [turned(part) for part in parts] if dialect in row.transposed else parts


def _without_heads(row: Row, array: np.ndarray) -> np.ndarray:
    """The array with as many axes as the row has: (D, N, H) as (D, D), (N, H, D) likewise, (N, H) as (D,)."""
    if np.ndim(array) <= len(row.shape):
        return array
    return np.reshape(array, flat_shape(row, np.shape(array)))


def flat_shape(row: Row, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a source without the axis for the heads."""
    if len(shape) <= len(row.shape):
        return shape
    if len(row.shape) == 1:
        return (shape[0] * shape[1],)
    if row.fused:
        return (shape[0], shape[1] * shape[2])
    return (shape[0] * shape[1], shape[2])


__all__ = [
    "ENCODER",
    "HEADS",
    "PARTS",
    "POOLER",
    "ROWS",
    "Row",
    "Translation",
    "from_ours",
    "rows",
    "to_ours",
]
