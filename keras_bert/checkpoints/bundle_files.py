"""The files of TensorFlow checkpoints: which a folder holds, and which of them may be opened.

A checkpoint `PREFIX` is `PREFIX.index` and `PREFIX.data-00000-of-00001` (or more such data files).
"""

import os
import re
import stat
from pathlib import Path

from keras_bert.checkpoints.json_text import quoted
from keras_bert.checkpoints.sstable import MAGIC
from keras_bert.errors import CheckpointError

INDEX_SUFFIX = ".index"
_SHARD = re.compile(r"(.+)\.data-\d{5}-of-\d{5}")
_STEP = re.compile(r"-(\d{1,18})$")
# TensorFlow's note of the newest checkpoint, a message in text form.
_STATE_FILE, _MAX_STATE_BYTES = "checkpoint", 2**16
_NEWEST = re.compile(r'^\s*model_checkpoint_path\s*:\s*"([^"\n]*)"', re.MULTILINE)
_SAVED_MODEL = "variables/variables"


def prefix_of(path) -> Path:
    """The prefix of a checkpoint that is named by its prefix or by its index file."""
    return Path(str(path).removesuffix(INDEX_SUFFIX))


def index_path(prefix: Path) -> Path:
    """The index file of a checkpoint."""
    return Path(f"{prefix}{INDEX_SUFFIX}")


def shard_path(prefix: Path, shard: int, num_shards: int) -> Path:
    """The data file of one shard."""
    return Path(f"{prefix}.data-{shard:05d}-of-{num_shards:05d}")


def find_bundles(folder) -> list[Path]:
    """The checkpoints in a folder, the one to take first.

    First comes the one that the text file `checkpoint` names, of which only the last part of the path counts;
    then those with a step number, from the newest; then the others by name; then those of a SavedModel
    (`variables/variables`). Where there is none, files of TensorFlow's format before 2017 are listed: opening
    one says what to do about it.

    Args:
        folder: str or Path.

    Returns:
        List of Path: prefixes, to be opened with `TensorBundle`.

    Raises:
        CheckpointError: the folder cannot be read.
    """
    folder = Path(folder)
    try:
        names = sorted(os.listdir(folder))
        with_data = {match[1] for name in names if (match := _SHARD.fullmatch(name))}
        indices = [name for name in names if name.endswith(INDEX_SUFFIX) and name != INDEX_SUFFIX]
        prefixes = [
            prefix
            for name in indices
            if (prefix := name.removesuffix(INDEX_SUFFIX)) in with_data or is_table(folder / name)
        ]
        newest = _newest(folder / _STATE_FILE)
        prefixes.sort(key=lambda name: (name != newest, -_step(name), name))
        if (folder / (_SAVED_MODEL + INDEX_SUFFIX)).is_file():
            prefixes.append(_SAVED_MODEL)
        if not prefixes:
            prefixes = [name for name in names if ".ckpt" in name and is_table(folder / name)]
    except OSError as cause:
        raise CheckpointError(f"Cannot be read: {cause.strerror}", where=str(folder)) from cause
    return [folder / prefix for prefix in prefixes]


def is_table(path: Path) -> bool:
    """Whether a file ends as TensorFlow's tables do: an index, or a checkpoint of the format before 2017."""
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as stream:
            stream.seek(-len(MAGIC), os.SEEK_END)
            return stream.read() == MAGIC
    except OSError:
        return False


def checked_size(path: Path, missing: str = "") -> int:
    """The size of a file that may be opened.

    Args:
        path: Path.
        missing: str. What to do where there is no such file.

    Returns:
        int.

    Raises:
        CheckpointError: it is missing, no plain file, or a link that leads out of its folder. Links into the
            `blobs` of a download cache above the folder are followed: so Hugging Face's cache is laid out.
    """
    home, real = Path(os.path.realpath(path.parent)), Path(os.path.realpath(path))
    in_cache = real.parent.name == "blobs" and home.is_relative_to(real.parent.parent)
    if os.path.islink(path) and not real.is_relative_to(home) and not in_cache:
        raise CheckpointError(
            f"This is a link that leads out of its folder, to {quoted(str(real))}",
            where=str(path),
            expected="a file",
            remedy="if that file is meant, copy it to the place of the link",
        )
    try:
        status = path.stat()
    except FileNotFoundError:
        raise CheckpointError("This file is missing", where=str(path), remedy=missing) from None
    except OSError as cause:
        raise CheckpointError(f"Cannot be read: {cause.strerror}", where=str(path)) from cause
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError("This is no plain file", where=str(path), expected="a file")
    return status.st_size


def _newest(path: Path) -> str | None:
    """The name of the checkpoint that TensorFlow's note calls the newest, without its folder."""
    if not path.is_file():
        return None
    with open(path, encoding="utf-8", errors="replace") as stream:
        match = _NEWEST.search(stream.read(_MAX_STATE_BYTES))
    return re.split(r"[/\\]", match[1])[-1] if match else None


def _step(name: str) -> int:
    match = _STEP.search(name)
    return int(match[1]) if match else -1
