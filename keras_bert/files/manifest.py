"""Fingerprints of the files of a folder: written when it is saved, compared when it is opened."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from keras_bert.errors import CheckpointError
from keras_bert.files.regular import check_regular

# Files people edit by hand, where a difference is worth a warning; any other file holds weights.
_TEXT_SUFFIXES = (".json", ".txt", ".md", ".tsv", ".csv", ".jsonl", ".yaml", ".yml")


def sha256_of(path) -> str:
    """The SHA-256 of a file in hexadecimal, read block by block."""
    check_regular(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(folder, names: Iterable[str]) -> dict[str, dict]:
    """The entries that `verify` compares with.

    Args:
        folder: str or path-like.
        names: iterable of str. Files of the folder, relative to it.

    Returns:
        Dict from name to `{"sha256": str, "bytes": int}`.
    """
    folder = Path(folder)
    return {
        name: {"sha256": sha256_of(folder / name), "bytes": os.path.getsize(folder / name)} for name in names
    }


def verify(folder, entries: Mapping[str, Mapping]) -> list[str]:
    """Compare the files of a folder with their entries.

    Args:
        folder: str or path-like.
        entries: mapping, as `hash_files` made it.

    Returns:
        List of str: one warning for every text file (.json, .txt ...) that was edited or is missing.

    Raises:
        CheckpointError: a weight file is missing, cut off or altered, or an entry makes no sense.
    """
    warnings = []
    for name, entry in entries.items():
        path = Path(folder, _checked_name(folder, name, entry))
        difference = _difference(path, entry)
        if not difference:
            continue
        if path.suffix.lower() not in _TEXT_SUFFIXES:
            raise CheckpointError(
                f"The weight file {difference[0]}",
                where=str(path),
                expected=difference[1],
                remedy="copy or download the folder again",
            )
        warnings.append(f"{path}: the file {difference[0]} (expected: {difference[1]})")
    return warnings


def _checked_name(folder, name: str, entry: Mapping) -> PurePosixPath:
    relative = PurePosixPath(name)
    inside = not relative.is_absolute() and ".." not in relative.parts and "\\" not in name
    if inside and isinstance(entry, Mapping) and "sha256" in entry and isinstance(entry.get("bytes"), int):
        return relative
    raise CheckpointError(
        f"The list of files has an entry that makes no sense: {name!r}: {entry!r}",
        where=str(folder),
        expected='the name of a file of this folder with its "sha256" and "bytes"',
        remedy="copy or download the folder again",
    )


def _difference(path: Path, entry: Mapping) -> tuple[str, str] | None:
    """What is wrong and what was expected; None where the file is as it was."""
    if not os.path.isfile(path):
        return "is missing", f"{entry['bytes']} bytes"
    size = os.path.getsize(path)
    if size < entry["bytes"]:
        return f"is cut off: it has {size} bytes", f"{entry['bytes']} bytes"
    if size > entry["bytes"]:
        return f"was altered: it has {size} bytes", f"{entry['bytes']} bytes"
    actual = sha256_of(path)
    if actual != entry["sha256"]:
        return f"was altered: its sha256 is {actual}", str(entry["sha256"])
    return None
