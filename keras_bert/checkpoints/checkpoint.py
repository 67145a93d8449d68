"""A checkpoint of any known kind, read with every contradiction named; the weights stay in the file."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_bert.checkpoints import huggingface, names
from keras_bert.checkpoints.architectures import find_head, is_tied, parts_in
from keras_bert.checkpoints.configs import is_factorised, read_any_config
from keras_bert.checkpoints.fit import check_weights
from keras_bert.checkpoints.formats import CONFIG, OWN_PREFIX, Weights, open_weights
from keras_bert.checkpoints.json_text import json_object, quoted
from keras_bert.checkpoints.keras_preset_names import MASKED_LM_ACTIVATION, MASKED_LM_EPSILON
from keras_bert.checkpoints.name_table import (
    CLASSIFIER,
    DECODER,
    ENCODER,
    HEADS,
    KERAS_HUB,
    MASKED_LM,
    POOLER,
)
from keras_bert.checkpoints.sentence_transformers import Pooling, pooling_from, read_pooling
from keras_bert.config import BertConfig
from keras_bert.errors import CheckpointError
from keras_bert.files.atomic import recover
from keras_bert.files.manifest import verify
from keras_bert.files.regular import read_regular

EXTRAS = "keras_bert.json"
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a model folder holds; the weights stay in the file until they are asked for.

    Args:
        path: Path. The folder.
        config: BertConfig.
        raw_config: dict. `config.json` as it stands, for writing its unknown keys back.
        architectures: list of str. The classes of transformers it was written for.
        labels: list of str or None. The class names, in the order of their ids.
        weights: Weights. The tensors, and whose names they have.
        head: str or None. A key of `keras_bert.heads.HEADS`.
        pooling: Pooling or None. How sentence-transformers makes one vector of a text.
        extras: dict. Our own settings from `keras_bert.json`, or {}.
        warnings: list of str. What a user should be told though it stops nothing.
    """

    path: Path
    config: BertConfig
    raw_config: dict
    architectures: list[str]
    labels: list[str] | None
    weights: Weights
    head: str | None
    pooling: Pooling | None
    extras: dict
    warnings: list[str]

    @property
    def tied(self) -> bool:
        """Whether the masked LM's decoder is the table of token embeddings."""
        return is_tied(self.weights)

    @property
    def head_config(self) -> BertConfig:
        """The config that the head computes by, where it is another than the encoder's."""
        own = self.extras.get("head_config", {})
        if not isinstance(own, dict) or own.keys() - {"activation", "layer_norm_epsilon"}:
            where, expected = str(self.path / EXTRAS), "an object of activation and layer_norm_epsilon"
            raise CheckpointError(f"`head_config` is {quoted(own)}", where=where, expected=expected)
        if self.weights.dialect == KERAS_HUB and self.head == "masked_lm":
            # Built into keras-hub's head, whatever its encoder has.
            own = {"activation": MASKED_LM_ACTIVATION, "layer_norm_epsilon": MASKED_LM_EPSILON}
        return self.config.replace(**own)

    @property
    def num_classes(self) -> int | None:
        """Classes of the head, where it has some."""
        [row, _] = names.rows(0, (CLASSIFIER,))
        [source] = row.sources(self.weights.dialect, self.weights.prefix) or [""]
        if source not in self.weights.stored:
            return None
        shape = self.weights.tensors.shapes[self.weights.stored[source]]
        return shape[row.source_letters(self.weights.dialect).index("C")]


def read_folder(path, *, check_hashes: bool = True) -> Checkpoint:
    """Opens a model folder and checks that its files agree with one another.

    Args:
        path: str or Path. A folder of Hugging Face, Google, Model Garden, TF-Hub, keras-hub or ours.
        check_hashes: bool. Whether to read every file of a folder of ours and compare its SHA-256.

    Returns:
        Checkpoint.

    Raises:
        CheckpointError: no model folder, a damaged file, weights that do not fit the config or the hashes.
        ConfigError: a config that is not a BERT's.
    """
    path = Path(path)
    recover(path)
    path, pooling = read_pooling(path)
    if (path / CONFIG).is_file():
        huggingface.refuse_other_models(path)  # before its weights are asked for BERT's names
    weights = open_weights(path)
    config, raw_config = read_any_config(path, weights)
    if names.is_factorised(config) != is_factorised(weights):
        raise CheckpointError(
            f"The embeddings are {'not ' if names.is_factorised(config) else ''}projected",
            where=str(weights.path),
            expected="embedding_size in the config exactly where they are",
        )
    extras, warnings = _read_extras(path)[0], check_files(path) if check_hashes else []
    if pooling is None and "pooling" in extras:
        pooling = pooling_from(extras.pop("pooling"), str(path / EXTRAS))
    where = str(path / CONFIG)
    labels, classes = (
        huggingface.labels_from(raw_config, where),
        huggingface.architectures_from(raw_config, where),
    )
    check_weights(weights, config, labels)
    head = find_head(weights, classes)
    found = Checkpoint(path, config, raw_config, classes, labels, weights, head, pooling, extras, warnings)
    _ = found.head_config  # refuses now what makes no sense
    return found


def check_files(folder) -> list[str]:
    """Compares every file of a folder of ours with its SHA-256; returns what a user should be told.

    Raises:
        CheckpointError: a weight file is missing, cut or altered.
    """
    return verify(folder, _read_extras(Path(folder))[1])


def encoder_weights(checkpoint: Checkpoint) -> names.Translation:
    """The weights of encoder and pooler in our names, as float32.

    In the Translation `missing` can only hold the pooler's weights, and `unexpected` the tensors that are
    neither the encoder's nor those of a head that we know.
    """
    found = _translated(checkpoint, (ENCODER, POOLER))
    weights = checkpoint.weights
    heads = {
        source
        for row in names.rows(0, set(parts_in(weights)) - {POOLER})
        for source in row.sources(weights.dialect, "")
    }
    unexpected = [name for name in found.unexpected if name not in heads and not name.startswith(OWN_PREFIX)]
    return names.Translation(found.weights, found.missing, unexpected)


def head_weights(checkpoint: Checkpoint, parts=HEADS) -> Mapping[str, np.ndarray]:
    """The weights of the heads in our names, as float32; {} where the checkpoint has none that we know."""
    parts = set(parts) & set(parts_in(checkpoint.weights))
    if MASKED_LM not in parts or checkpoint.tied:
        parts.discard(DECODER)
    return _translated(checkpoint, parts).weights


def own_weights(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The weights that only we know, by our paths, as float32."""
    tensors = checkpoint.weights.tensors
    own = (name for name in tensors if name.startswith(OWN_PREFIX))
    return {name.removeprefix(OWN_PREFIX): np.asarray(tensors[name], np.float32) for name in own}


def _translated(checkpoint: Checkpoint, parts) -> names.Translation:
    weights = checkpoint.weights
    return names.to_ours(
        weights.tensors,
        checkpoint.config,
        weights.prefix,
        dialect=weights.dialect,
        parts=parts,
        dtype=np.float32,
    )


def _read_extras(folder: Path) -> tuple[dict, dict]:
    """Our own settings, and the entries of the folder's files; ({}, {}) for a folder that is not ours."""
    path = folder / EXTRAS
    if not path.is_file():
        return {}, {}
    extras = json_object(read_regular(path), str(path))
    version, files = extras.pop("format", None), extras.pop("files", {})
    if version != FORMAT or not isinstance(files, dict):
        raise CheckpointError(
            f"`format` is {quoted(version)} and `files` {type(files).__name__}",
            where=str(path),
            expected=f"{FORMAT} and an object",
            remedy="update keras-bert-kit, if a newer one wrote this folder",
        )
    return extras, files
