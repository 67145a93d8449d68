"""Writing a model folder that transformers opens:

    config.json   model.safetensors   vocab.txt   tokenizer_config.json
    keras_bert.json   keras_bert.safetensors                               (ours only)

`keras_bert.json` holds what Hugging Face has no place for: the task and its settings, and the SHA-256 of
every file beside it; `keras_bert.safetensors`, where it is needed, the weights for which the class of
transformers has no place, such as the pooler of a masked LM.
"""

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_bert.checkpoints import huggingface, names
from keras_bert.checkpoints.architectures import architecture as architecture_of
from keras_bert.checkpoints.checkpoint import EXTRAS, FORMAT
from keras_bert.checkpoints.dialects import BIAS, OWN_BIAS
from keras_bert.checkpoints.fit import check_weights
from keras_bert.checkpoints.formats import CONFIG, MORE_WEIGHTS, OWN_PREFIX, WEIGHTS, Weights
from keras_bert.checkpoints.json_text import json_object
from keras_bert.checkpoints.lazy_tensors import ArrayTensors
from keras_bert.checkpoints.name_table import DECODER, HUGGINGFACE, MASKED_LM
from keras_bert.checkpoints.safetensors_file import write_tensors
from keras_bert.config import BertConfig
from keras_bert.errors import CheckpointError, OutputError
from keras_bert.files.atomic import atomic_folder
from keras_bert.files.manifest import hash_files
from keras_bert.files.regular import read_regular


def write_folder(
    path,
    config: BertConfig,
    weights: Mapping[str, np.ndarray],
    *,
    architecture: str,
    tokenizer,
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
    extras: dict | None = None,
    raw_config: dict | None = None,
    own_layers: Sequence[str] = (),
    more: Callable[[Path], None] | None = None,
):
    """Writes a model folder that transformers opens with nothing missing and nothing unexpected.

    The folder appears whole or not at all. What the architecture has no place for lies in a file of ours.

    Args:
        path: str or Path. The folder; one of ours is replaced, any other is refused.
        config: BertConfig.
        weights: mapping from our paths to arrays.
        architecture: str. A class of `architectures.ARCHITECTURES`.
        tokenizer: writes `vocab.txt` and `tokenizer_config.json` by `tokenizer.save(folder)`.
        labels: sequence of str. The class names; needed where the architecture has a classifier.
        problem_type: str. As in `huggingface.write_config`.
        extras: dict. For `keras_bert.json`: `task`, `max_length` …
        raw_config: dict. The `config.json` the model came from, whose unknown keys are kept.
        own_layers: sequence of str. Where the paths of weights begin that the table of names does not know;
            they lie in the file of ours.
        more: function. Called with the staged folder, to write further files into it (a card, a plot).

    Raises:
        CheckpointError: weights that are not those of this config and architecture.
        OutputError: a folder that cannot be written, or is not ours to replace.
    """
    target = architecture_of(architecture)
    own = {path: array for path, array in weights.items() if path.split("/")[0] in own_layers}
    weights = {path: array for path, array in weights.items() if path not in own}
    parts = set(target.parts)
    if MASKED_LM in parts and "masked_lm/decoder" in weights:
        parts.add(DECODER)
    tensors = tensors_of(weights, config, target.prefix, parts, f"{architecture} cannot be written", path)
    if DECODER in parts:  # transformers reads the bias beside the table, and asks for the dead one as well
        tensors[OWN_BIAS] = tensors[BIAS]
    written = {row.ours for row in names.rows_of(config, parts)}
    left = {path: array for path, array in weights.items() if path not in written}
    beside = dict(names.from_ours(left, config, target.prefix).weights)
    beside |= {OWN_PREFIX + path: np.asarray(array) for path, array in own.items()}
    check_weights(Weights(Path(path), ArrayTensors(tensors), HUGGINGFACE, target.prefix), config, labels)
    raw = huggingface.write_config(
        config, architecture, labels=labels, problem_type=problem_type, raw_config=raw_config
    )
    if MASKED_LM in parts:  # what the file says now, not what the config it came from said
        raw["tie_word_embeddings"] = DECODER not in parts
    with atomic_folder(path, ours=is_ours_to_replace) as stage:
        write_tensors(stage / WEIGHTS, tensors)
        if beside:
            write_tensors(stage / MORE_WEIGHTS, beside)
        _write_json(stage / CONFIG, raw)
        # safetensors leaves its file readable by its owner alone; a server runs as somebody else.
        for file in stage.glob("*.safetensors"):
            shutil.copymode(stage / CONFIG, file)
        tokenizer.save(stage)
        if more is not None:
            more(stage)
        written = sorted(file.relative_to(stage).as_posix() for file in stage.rglob("*") if file.is_file())
        files = hash_files(stage, written)
        _write_json(stage / EXTRAS, {"format": FORMAT, **(extras or {}), "files": files})


def tensors_of(weights, config, prefix, parts, failure: str, where, dialect=HUGGINGFACE) -> dict:
    """Our weights in another dialect, refusing what is missing and what no row of the table knows."""
    translation = names.from_ours(weights, config, prefix, dialect=dialect, parts=parts)
    missing = sorted(translation.missing)
    unknown = sorted(set(translation.unexpected) - {row.ours for row in names.rows(config.num_layers)})
    if missing or unknown:
        raise CheckpointError(f"{failure}: missing {missing}, unknown {unknown}", where=str(where))
    return translation.weights


def check_output(path):
    """Raises the OutputError of `write_folder` now, not after hours of training; leaves nothing behind."""
    with contextlib.suppress(_Checked), atomic_folder(path, ours=is_ours_to_replace):
        raise _Checked


class _Checked(Exception):
    """Ends `check_output` before anything is put in place."""


def is_ours_to_replace(folder: Path) -> bool:
    """Whether an existing folder was written by `write_folder` and nobody has put anything into it since."""
    try:
        manifest = json_object(read_regular(folder / EXTRAS), str(folder / EXTRAS))
        written = {EXTRAS, *(name.split("/")[0] for name in manifest["files"])}
    except (OSError, CheckpointError, KeyError, TypeError):
        return False
    added = sorted(entry.name for entry in folder.iterdir() if entry.name not in written)
    if added:
        raise OutputError(
            f"The folder also holds {', '.join(added[:5])}",
            where=str(folder),
            expected="a folder with nothing in it but the model that is to be replaced",
            remedy="move these files, or choose another output folder",
        )
    return True


def _write_json(path: Path, content: dict):
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
