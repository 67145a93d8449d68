"""Where a model lies: a folder, a name in the local Hugging Face cache, or an address to download from."""

import os
import re
from pathlib import Path

from keras_bert.checkpoints import hub
from keras_bert.errors import CheckpointError
from keras_bert.files.atomic import recover

# A part of a name in the cache: no separators, no "..".
_CACHE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


def find_folder(name, revision: str = "main") -> Path:
    """The folder of a model given by path, or by its name in the local Hugging Face cache.

    Args:
        name: str or Path. A folder; a name such as `"google-bert/bert-base-uncased"`; or an address such as
            `"hf://google-bert/bert-base-uncased@main"`: nothing is downloaded unless it is asked for so.
        revision: str. Branch, tag or commit, of a name in the cache.

    Raises:
        CheckpointError: says what was looked for where.
    """
    if str(name).startswith(hub.SCHEME):
        return hub.download(str(name), revision)
    folder = Path(name).expanduser()
    recover(folder)
    if folder.exists():
        return folder
    tried = [f"the folder {folder.absolute()}"]
    if all(map(_CACHE_NAME.fullmatch, (*str(name).split("/"), revision))) and str(name).count("/") <= 1:
        model = _cache() / f"models--{str(name).replace('/', '--')}"
        reference = model / "refs" / revision
        commit = reference.read_text(errors="replace").strip() if reference.is_file() else revision
        snapshot = model / "snapshots" / commit
        if _CACHE_NAME.fullmatch(commit) and snapshot.is_dir():
            return snapshot
        tried.append(f"{revision!r} in the Hugging Face cache {model}")
    raise CheckpointError(
        f"There is no model {str(name)!r}",
        expected=f"one of: {'; '.join(tried)}",
        remedy=f"give the folder of a model, or its address to download it: {hub.SCHEME}{name}",
    )


def _cache() -> Path:
    """Where huggingface_hub keeps its downloads, by the same variables in the same order."""
    direct = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if direct:
        return Path(direct).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or f"{cache}/huggingface").expanduser() / "hub"
