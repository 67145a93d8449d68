"""The files of a corpus: whether they are what they should be, and the records in them that are sound."""

import dataclasses
import glob
import hashlib
import os
import warnings
from pathlib import Path

import numpy as np

from keras_bert.corpus.manifest import NAME, Manifest
from keras_bert.corpus.tfrecord import REMEDY, Record, file_bytes, payloads, scan
from keras_bert.errors import DataError

# Files that were checked in this process and have not changed since: (path, size, time of change, sha256).
_checked: set[tuple] = set()
_ALL_REMEDY = "copy or build these files again, or let a number of examples be skipped: max_skipped"


@dataclasses.dataclass(frozen=True)
class ShardFile:
    """One file and what is known of it.

    Args:
        path: str.
        first: int. Number of its first example in the corpus.
        examples: int. How many it should have.
        bytes, sha256: int and str, or None where there is no manifest.
    """

    path: str
    first: int
    examples: int
    bytes: int | None = None
    sha256: str | None = None

    @property
    def name(self) -> str:
        return os.path.basename(self.path)


@dataclasses.dataclass(frozen=True)
class Shard:
    """The sound records of one file.

    Args:
        file: ShardFile.
        data: uint8 array.
        begins, ends: int64 arrays (N,). Where the data of each lie.
        numbers: int64 array (N,). Their numbers in the file.
    """

    file: ShardFile
    data: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    numbers: np.ndarray


@dataclasses.dataclass(frozen=True)
class Skipped:
    """What could not be read of one file.

    Args:
        path: str.
        examples: int. How many are lost; of a file without a manifest whose end is lost, at least so many.
        reason: str.
    """

    path: str
    examples: int
    reason: str


def size_fault(file: ShardFile) -> str | None:
    """What is wrong with the size of a file, in a few words; nothing is read where nothing is wrong."""
    if not os.path.isfile(file.path):
        return f"{file.name} is missing ({file.bytes:,} bytes, {file.examples:,} examples)"
    size = os.path.getsize(file.path)
    if size == file.bytes:
        return None
    found = len(scan(file_bytes(file.path)).begins)
    what = "is cut" if size < file.bytes else "is too long"
    return f"{file.name} {what}: {size:,} of {file.bytes:,} bytes, {found:,} of {file.examples:,} examples"


def open_shard(file: ShardFile, verify: bool = True) -> Shard:
    """Finds the records of a file and checks them: once in a process, until the file changes.

    Args:
        file: ShardFile.
        verify: bool. Compare the SHA-256 too; the records' own checksums and their number always are.
    Raises:
        DataError: the file is not as it was written.
    """
    key = _key(file, verify)
    if key in _checked:
        data = file_bytes(file.path)
        begins, ends = payloads(data, file.path, check=False)
        if len(begins) == file.examples:
            return Shard(file, data, begins, ends, np.arange(len(begins)))
    shard, fault, _ = _examined(file, verify)
    if fault:
        raise DataError(fault, where=file.path, expected="the shard as it was written", remedy=REMEDY)
    if key == _key(file, verify):
        _checked.add(key)
    return shard


def salvage(file: ShardFile, verify: bool = True) -> tuple[Shard | None, Skipped | None]:
    """The sound records of a file that may be damaged or missing, and what is lost.

    Raises:
        DataError: it is another file, which holds sound records, but not the ones it should.
    """
    if file.bytes is not None and not os.path.isfile(file.path):
        return None, Skipped(file.path, file.examples, "the file is missing")
    shard, fault, is_other = _examined(file, verify)
    if is_other:
        raise DataError(fault, where=file.path, expected="the shard as it was written", remedy=REMEDY)
    if fault is None:
        return shard, None
    return shard, Skipped(file.path, max(0, file.examples - len(shard.numbers)), fault)


def first_record(file: ShardFile) -> tuple[bytes, int]:
    """The first sound record of a file that has one, and its number; the others are not checked for it."""
    data = file_bytes(file.path)
    try:
        begins, ends = payloads(data, file.path, check=False)
        payloads(data[: ends[0] + 4], file.path)
        return data[begins[0] : ends[0]].tobytes(), 0
    except DataError:
        records = scan(data)
        sound = np.flatnonzero(records.is_sound)
        if not len(sound):
            raise
        return data[records.begins[sound[0]] : records.ends[sound[0]]].tobytes(), int(sound[0])


def num_records(path: str) -> tuple[int, Record | None]:
    """How many records a file has, and the one in which it ends too early; no checksum is looked at."""
    data = file_bytes(path)
    try:
        return len(payloads(data, path, check=False)[0]), None
    except DataError:
        found = scan(data)
        return len(found), found.broken_off


def _examined(file: ShardFile, verify: bool) -> tuple[Shard, str | None, bool]:
    """The sound records; what is wrong with the file; whether it is another file, not a damaged one."""
    data = file_bytes(file.path)
    records = scan(data)
    numbers = np.flatnonzero(records.is_sound)
    shard = Shard(file, data, records.begins[numbers], records.ends[numbers], numbers)
    found, expected = f"{len(numbers):,}", f"{file.examples:,}"
    first = next(iter(records.faults), records.broken_off)
    if len(numbers) > file.examples:
        return shard, f"The shard has {found} examples, not {expected}", True
    if first:
        place = f"record {first.number}, at byte {first.offset}: {first.fault}"
        return shard, f"The shard has {found} of {expected} examples; {place}", False
    if len(numbers) < file.examples:
        return shard, f"The shard has {found} of {expected} examples: it is cut between two records", False
    if verify and file.sha256 is not None and (actual := hashlib.sha256(data).hexdigest()) != file.sha256:
        return shard, f"The shard is another file: its sha256 is {actual}, not {file.sha256}", True
    return shard, None, False


def _key(file: ShardFile, verify: bool) -> tuple | None:
    try:
        status = os.stat(file.path)
    except OSError:
        return None
    path = os.path.realpath(file.path)
    return path, status.st_size, status.st_mtime_ns, file.sha256 if verify else None


# Finding the files


def files_of(manifest: Manifest, folder: Path) -> list[ShardFile]:
    """The files of a folder, by its manifest; warns of records that are not in it."""
    first = np.concatenate([[0], np.cumsum([shard.examples for shard in manifest.shards])]).tolist()
    known = {shard.name for shard in manifest.shards}
    extra = sorted(path.name for path in folder.glob("[!.]*.tfrecord*") if path.name not in known)
    if extra:
        warnings.warn(
            f"{folder}: files that are not in the {NAME} are not read: {', '.join(extra[:10])}"
            + (f" and {len(extra) - 10} more" if len(extra) > 10 else ""),
            stacklevel=4,
        )
    return [
        ShardFile(str(folder / shard.name), begin, shard.examples, shard.bytes, shard.sha256)
        for shard, begin in zip(manifest.shards, first[:-1], strict=True)
    ]


def files_without_manifest(paths: list[str], tolerant: bool) -> tuple[list[ShardFile], list[str]]:
    """The files at these paths, and what is wrong with them; `tolerant` of what can be skipped."""
    files, faults, first = [], [], 0
    for path in paths:
        count, broken_off = num_records(path)
        if broken_off and not tolerant:
            faults.append(
                f"{path}: record {broken_off.number}, at byte {broken_off.offset}: {broken_off.fault}"
            )
        examples = count + bool(broken_off)  # at least
        files.append(ShardFile(path, first, examples))
        first += examples
    return files, faults


def paths_of(source) -> list[str]:
    """The files that paths and patterns stand for, in the order given, a pattern's sorted; each once."""
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    names = [os.fspath(name) for name in given]
    parts = [part.strip() for name in names for part in ([name] if os.path.exists(name) else name.split(","))]
    found = {}
    for part in filter(None, parts):
        matches = [part] if os.path.isfile(part) else sorted(filter(os.path.isfile, glob.glob(part)))
        if not matches:
            raise DataError(
                "No file fits this pattern" if glob.has_magic(part) else "There is no such file",
                where=part,
                expected="a folder with a manifest, TFRecord files, or patterns such as FOLDER/*.tfrecord",
            )
        found.update({os.path.realpath(path): path for path in matches})
    if not found:
        raise DataError("No file is named", where="source", expected="a folder or TFRecord files")
    return list(found.values())


def faulty(source: str, faults: list[str], what: str = "") -> DataError:
    """One error for all files; the message names as many as are fit for it, its notes name all."""
    shown = "; ".join(faults[:8]) + (f"; and {len(faults) - 8} more" if len(faults) > 8 else "")
    error = DataError(
        f"{what}{len(faults)} of the files are not as they were written: {shown}",
        where=source,
        remedy=_ALL_REMEDY,
    )
    for fault in faults:
        error.add_note(fault)
    return error
