"""THE table of weight names: ours, Google's, Hugging Face's, and what turns one form into the other.

One row per weight, used to load and to save. Two things differ between the dialects beside the names:

    fused       our query_key_value kernel is theirs concatenated along the last axis: (D, 3D) = 3 x (D, D)
    transposed  a matrix that the dialect stores as (out, in), where ours is (in, out)

The order of the rows is the order of the network.
"""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from keras_bert.config import BertConfig

ENCODER, POOLER, CLASSIFIER = "encoder", "pooler", "classifier"
HEADS = (CLASSIFIER,)
PARTS = (ENCODER, POOLER, *HEADS)
# What stands before the names of encoder and pooler, never before a head's.
PREFIXES = {"google": "bert/", "huggingface": "bert."}

_QKV = ("query", "key", "value")
_HF = ("huggingface",)
_BOTH = ("google", "huggingface")


@dataclasses.dataclass(frozen=True)
class Row:
    """One weight; where the names hold `{i}`, the same weight of every block.

    Args:
        ours: str. Path of our Keras variable, below the encoder where it is the encoder's.
        google: str. Name in a checkpoint of Google's BERT, without the prefix.
        huggingface: str. Name in a Hugging Face checkpoint, without the prefix.
        shape: tuple of str. Shape letters (`keras_bert.layers`) of each source, in our orientation.
        transposed: tuple of str. The dialects that store the matrix the other way round.
        fused: tuple of str. What `{part}` stands for in the names of the sources, in the order of
            concatenation; empty where there is one source.
        part: str. One of `PARTS`.
    """

    ours: str
    google: str
    huggingface: str
    shape: tuple[str, ...]
    transposed: tuple[str, ...] = ()
    fused: tuple[str, ...] = ()
    part: str = ENCODER

    def in_block(self, index: int) -> "Row":
        """This row with the block's number filled in."""
        names = {field: getattr(self, field).replace("{i}", str(index)) for field in ("ours", *PREFIXES)}
        return dataclasses.replace(self, **names)

    def sources(self, dialect: str, prefix: str) -> list[str]:
        """The names of this weight in `dialect`, in the order of concatenation."""
        name = getattr(self, dialect) if self.part in HEADS else prefix + getattr(self, dialect)
        return [name.replace("{part}", part) for part in self.fused] or [name]

    def source_letters(self, dialect: str) -> tuple[str, ...]:
        """The shape letters of each source as `dialect` stores it."""
        return self.shape[::-1] if dialect in self.transposed else self.shape

    def join(self, arrays: list[np.ndarray], dialect: str) -> np.ndarray:
        """The sources' arrays as our one weight; the inverse of `split`."""
        ours = [array.T for array in arrays] if dialect in self.transposed else arrays
        return np.concatenate(ours, axis=-1) if self.fused else ours[0]

    def split(self, array: np.ndarray, dialect: str) -> list[np.ndarray]:
        """Our weight as the sources' arrays; the inverse of `join`."""
        parts = np.split(array, len(self.fused), axis=-1) if self.fused else [array]
        return [part.T for part in parts] if dialect in self.transposed else parts


# fmt: off
ROWS = (
    Row("embeddings/token_embedding/embeddings",
        "embeddings/word_embeddings", "embeddings.word_embeddings.weight", ("V", "D")),
    Row("embeddings/position_embedding/embeddings",
        "embeddings/position_embeddings", "embeddings.position_embeddings.weight", ("P", "D")),
    Row("embeddings/segment_embedding/embeddings",
        "embeddings/token_type_embeddings", "embeddings.token_type_embeddings.weight", ("S", "D")),
    Row("embeddings/layer_norm/gamma",
        "embeddings/LayerNorm/gamma", "embeddings.LayerNorm.weight", ("D",)),
    Row("embeddings/layer_norm/beta",
        "embeddings/LayerNorm/beta", "embeddings.LayerNorm.bias", ("D",)),

    Row("block_{i}/attention/query_key_value/kernel",
        "encoder/layer_{i}/attention/self/{part}/kernel",
        "encoder.layer.{i}.attention.self.{part}.weight", ("D", "D"), _HF, _QKV),
    Row("block_{i}/attention/query_key_value/bias",
        "encoder/layer_{i}/attention/self/{part}/bias",
        "encoder.layer.{i}.attention.self.{part}.bias", ("D",), fused=_QKV),
    Row("block_{i}/attention/output/kernel",
        "encoder/layer_{i}/attention/output/dense/kernel",
        "encoder.layer.{i}.attention.output.dense.weight", ("D", "D"), _HF),
    Row("block_{i}/attention/output/bias",
        "encoder/layer_{i}/attention/output/dense/bias",
        "encoder.layer.{i}.attention.output.dense.bias", ("D",)),
    Row("block_{i}/attention_layer_norm/gamma",
        "encoder/layer_{i}/attention/output/LayerNorm/gamma",
        "encoder.layer.{i}.attention.output.LayerNorm.weight", ("D",)),
    Row("block_{i}/attention_layer_norm/beta",
        "encoder/layer_{i}/attention/output/LayerNorm/beta",
        "encoder.layer.{i}.attention.output.LayerNorm.bias", ("D",)),
    Row("block_{i}/intermediate/kernel",
        "encoder/layer_{i}/intermediate/dense/kernel",
        "encoder.layer.{i}.intermediate.dense.weight", ("D", "F"), _HF),
    Row("block_{i}/intermediate/bias",
        "encoder/layer_{i}/intermediate/dense/bias",
        "encoder.layer.{i}.intermediate.dense.bias", ("F",)),
    Row("block_{i}/output/kernel",
        "encoder/layer_{i}/output/dense/kernel",
        "encoder.layer.{i}.output.dense.weight", ("F", "D"), _HF),
    Row("block_{i}/output/bias",
        "encoder/layer_{i}/output/dense/bias",
        "encoder.layer.{i}.output.dense.bias", ("D",)),
    Row("block_{i}/output_layer_norm/gamma",
        "encoder/layer_{i}/output/LayerNorm/gamma",
        "encoder.layer.{i}.output.LayerNorm.weight", ("D",)),
    Row("block_{i}/output_layer_norm/beta",
        "encoder/layer_{i}/output/LayerNorm/beta",
        "encoder.layer.{i}.output.LayerNorm.bias", ("D",)),

    Row("pooler/kernel", "pooler/dense/kernel", "pooler.dense.weight", ("D", "D"), _HF, part=POOLER),
    Row("pooler/bias", "pooler/dense/bias", "pooler.dense.bias", ("D",), part=POOLER),

    Row("classifier/kernel", "output_weights", "classifier.weight", ("D", "C"), _BOTH, part=CLASSIFIER),
    Row("classifier/bias", "output_bias", "classifier.bias", ("C",), part=CLASSIFIER),
)
# fmt: on

# Buffers that older releases of transformers stored beside the weights: constants, not parameters.
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
# Hugging Face checkpoints converted before 2019 keep Google's names for the two vectors of a layer norm.
_OLD_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


@dataclasses.dataclass(frozen=True)
class Translation:
    """Weights in the names of the other side, and what stayed over on both.

    Args:
        weights: dict. Name on the target side to array.
        missing: dict. Target name that could not be built to the list of source names that were not there.
        unexpected: list of str. Source names that no row of the table claims.
    """

    weights: dict[str, np.ndarray]
    missing: dict[str, list[str]]
    unexpected: list[str]


def rows(num_layers: int, parts: Iterable[str] = PARTS) -> list[Row]:
    """The rows of a network of `num_layers` blocks, the blocks written out, in the order of the network."""
    chosen = [row for row in ROWS if row.part in parts]
    per_block = [row for row in chosen if "{i}" in row.ours]
    before = [row for row in chosen if row.ours.startswith("embeddings/")]
    after = [row for row in chosen if row not in before and row not in per_block]
    blocks = [row.in_block(index) for index in range(num_layers) for row in per_block]
    return [*before, *blocks, *after]


def find_prefix(tensors: Iterable[str]) -> str | None:
    """What stands before the encoder's names in a Hugging Face checkpoint (`"bert."` or nothing).

    Args:
        tensors: names of the checkpoint.

    Returns:
        str, or None where the names hold no word embeddings.
    """
    marker = ROWS[0].huggingface
    found = [name.removesuffix(marker) for name in tensors if name.endswith(marker)]
    return min(found, key=len) if found else None


def current_names(tensors: Iterable[str]) -> dict[str, str]:
    """Hugging Face's current name of every tensor to the name it is stored under; buffers left out."""
    stored = [name for name in tensors if not name.endswith(BUFFERS)]
    current = {name: name for name in stored}
    for name in stored:
        for old, new in _OLD_ENDINGS.items():
            renamed = name.removesuffix(old) + new
            if name.endswith(old) and renamed not in current:
                current[renamed] = current.pop(name)
    return current


def to_ours(
    tensors: Mapping[str, np.ndarray],
    config: BertConfig,
    prefix: str,
    *,
    dialect: str = "huggingface",
    parts: Iterable[str] = PARTS,
) -> Translation:
    """A checkpoint's tensors as our weights, dtypes as they are stored.

    Args:
        tensors: mapping from the checkpoint's names to arrays; may be lazy, each array is read once.
        config: BertConfig. Its `num_layers` says how many blocks to look for.
        prefix: str. What stands before the encoder's names (`find_prefix`).
        dialect: str. `"huggingface"` or `"google"`.
        parts: the parts of the table to translate.

    Returns:
        Translation: our paths to arrays. Transposed matrices are views of the stored ones.
    """
    stored = current_names(tensors) if dialect == "huggingface" else {name: name for name in tensors}
    weights, missing, claimed = {}, {}, set()
    for row in rows(config.num_layers, parts):
        sources = row.sources(dialect, prefix)
        claimed.update(sources)
        absent = [name for name in sources if name not in stored]
        if absent:
            missing[row.ours] = absent
        else:
            weights[row.ours] = row.join([tensors[stored[name]] for name in sources], dialect)
    unexpected = [name for current, name in stored.items() if current not in claimed]
    return Translation(weights, missing, unexpected)


def from_ours(
    weights: Mapping[str, np.ndarray],
    config: BertConfig,
    prefix: str,
    *,
    dialect: str = "huggingface",
    parts: Iterable[str] = PARTS,
) -> Translation:
    """Our weights as a checkpoint's tensors; the inverse of `to_ours`, bit for bit.

    Args:
        weights: mapping from our paths to arrays.
        config: BertConfig.
        prefix: str. What to put before the encoder's names.
        dialect: str. `"huggingface"` or `"google"`.
        parts: the parts of the table to translate.

    Returns:
        Translation: the checkpoint's names to arrays, which may be views.
    """
    tensors, missing, claimed = {}, {}, set()
    for row in rows(config.num_layers, parts):
        sources = row.sources(dialect, prefix)
        claimed.add(row.ours)
        if row.ours in weights:
            tensors.update(zip(sources, row.split(weights[row.ours], dialect), strict=True))
        else:
            missing.update({name: [row.ours] for name in sources})
    return Translation(tensors, missing, [path for path in weights if path not in claimed])
