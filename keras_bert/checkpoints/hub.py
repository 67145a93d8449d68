"""Downloading a model: `hf://name@revision`, by Hugging Face's own client, and nothing but what is read."""

import re
from pathlib import Path

from keras_bert.checkpoints.formats import WEIGHT_FILES
from keras_bert.errors import CheckpointError, MissingExtraError

SCHEME = "hf://"
_NAME = re.compile(r"(?P<name>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?", re.ASCII)
# Configs, vocabularies, and what sentence-transformers puts around them; never code.
_SMALL_FILES = re.compile(
    r"(.+/)?(config|tokenizer_config|tokenizer|special_tokens_map|modules|sentence_bert_config|keras_bert|"
    r"bert_config)\.json|(.+/)?vocab\.txt"
)


def download(address: str, revision: str = "main") -> Path:
    """Downloads a model into the local Hugging Face cache, unless it is there.

    Of the weight files only the first kind that we prefer is fetched: a repository may hold the same weights
    five times.

    Args:
        address: str. `"hf://name"` or `"hf://name@revision"`.
        revision: str. Branch, tag or commit, where the address names none.

    Returns:
        Path of the snapshot's folder.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        CheckpointError: no such address, model or revision, or no connection.
    """
    match = _NAME.fullmatch(address.removeprefix(SCHEME))
    if match is None:
        raise CheckpointError(
            f"The address {address!r} names no model", expected="hf://name or hf://organisation/name@revision"
        )
    name, revision = match["name"], match["revision"] or revision
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError(
            "Downloading needs huggingface_hub, which is not installed",
            where=address,
            remedy='pip install "keras-bert-kit[hub]", or download it by other means and give the folder',
        ) from error
    try:
        info = huggingface_hub.HfApi().model_info(name, revision=revision)
        files = [file.rfilename for file in info.siblings or ()]
        wanted = _wanted(files)
        if wanted is not None:
            return Path(huggingface_hub.snapshot_download(name, revision=info.sha, allow_patterns=wanted))
    except Exception as error:  # its own errors, those of its HTTP client, and the system's
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"It could not be downloaded: {reason}",
            where=f"{name}, revision {revision}",
            remedy="check the name, the revision and the connection (HF_ENDPOINT names another server, "
            "HF_TOKEN gives access to private models)",
        ) from error
    raise CheckpointError(
        f"It holds no weights that we read, but {', '.join(files[:8]) or 'nothing'}",
        where=f"{name}, revision {revision}",
        expected=f"one of {', '.join(WEIGHT_FILES)}",
    )


def _wanted(files: list[str]) -> list[str] | None:
    """The files to fetch; None where none of them holds weights."""
    for name in WEIGHT_FILES:
        found = [file for file in files if file == name or file.endswith(f"/{name}")]
        if found and name.endswith(".index.json"):
            stem, ending = name.removesuffix(".index.json").rsplit(".", 1)
            found += [file for file in files if re.fullmatch(rf"(.+/)?{stem}-\d+-of-\d+\.{ending}", file)]
        if found:
            return sorted({*found, *filter(_SMALL_FILES.fullmatch, files)})
    return None
