"""The bookkeeping of a folder of pretraining records: what is in it, and of what it was made."""

import dataclasses
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from keras_bert.errors import DataError
from keras_bert.files.atomic import atomic_file
from keras_bert.files.regular import read_regular

NAME = "manifest.json"
LENGTH_STEP = 16  # of the histogram of lengths
_FORMAT = 1
WORK = "_work"  # what `build.py` keeps in a folder until it is finished
_MAX_BYTES = 2**28
_EXPECTED = f"the {NAME} that `keras-bert corpus` wrote"
_REMEDY = "copy the folder again, or build the corpus again in a new folder"


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records.

    Args:
        name: str. A file of the folder.
        examples: int. Its records.
        bytes: int. Its size.
        sha256: str. Of its bytes, in hexadecimal.
    """

    name: str
    examples: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """What stands in `manifest.json`.

    Args:
        settings: dict. The `CorpusSettings`.
        vocabulary: dict. `sha256`, `pieces` and what else tells one tokeniser from another.
        inputs: list of dict. The text files.
        plan: str. Hash of all that the bytes depend on.
        counts: dict of str to int. `documents`, `sentences`, `tokens`, `unknown`, `examples` ...
        lengths: list of int. Number i counts the examples of 16 i to 16 i + 15 pieces.
        shards: list of Shard.
    """

    settings: dict
    vocabulary: dict
    inputs: list
    plan: str
    counts: dict
    lengths: list
    shards: list

    @property
    def num_examples(self) -> int:
        """Of all shards."""
        return sum(shard.examples for shard in self.shards)


def write_manifest(
    folder,
    *,
    settings: Mapping,
    vocabulary: Mapping,
    inputs: Iterable[Mapping],
    plan: str,
    counts: Mapping[str, int],
    lengths: Mapping[int, int],
    shards: Iterable[Mapping],
):
    """Writes the manifest of a folder whose shards are all there: the last step of building.

    Args:
        folder: str or path-like.
        settings, vocabulary, inputs, plan, counts: as in `Manifest`.
        lengths: mapping of bucket to examples: bucket i is that of 16 i to 16 i + 15 pieces.
        shards: iterable of mappings with the values of a `Shard`.
    Raises:
        OutputError: it cannot be written.
    """
    fields = {
        "format": _FORMAT,
        "settings": dict(settings),
        "vocabulary": dict(vocabulary),
        "inputs": [dict(row) for row in inputs],
        "plan": plan,
        "counts": dict(sorted(counts.items())),
        "lengths": [lengths.get(bucket, 0) for bucket in range(max(lengths, default=-1) + 1)],
        "shards": [dataclasses.asdict(Shard(**row)) for row in shards],
    }
    # A line to a shard: people look for one in it.
    shard_lines = ",\n  ".join(json.dumps(row) for row in fields.pop("shards"))
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items()]
    text = "{\n " + ",\n ".join([*lines, f'"shards": [\n  {shard_lines}\n ]']) + "\n}\n"
    with atomic_file(Path(folder, NAME)) as stage:
        stage.write_text(text, encoding="utf-8")


def read_manifest(folder) -> Manifest:
    """Reads the manifest of a folder; whether the shards are as it says is not looked at.

    Args:
        folder: str or path-like.
    Returns:
        Manifest.
    Raises:
        DataError: there is none, the corpus is not finished, or what stands there makes no sense.
    """
    path = Path(folder, NAME)
    try:
        data = read_regular(path, _MAX_BYTES)
    except FileNotFoundError:
        raise _missing(Path(folder)) from None
    except OSError as error:
        raise DataError(
            f"The file cannot be read: {error.strerror or error}", where=str(path), expected=_EXPECTED
        ) from None
    value = _json_object(data, str(path))
    if value.get("format") != _FORMAT:
        raise DataError(
            f"The format is {value.get('format')!r}",
            where=str(path),
            expected=f"format {_FORMAT}",
            remedy="use the version of keras_bert that built the corpus, or build it again",
        )
    return _Checker(path, value).manifest()


def _missing(folder: Path) -> DataError:
    if not folder.is_dir():
        return DataError("There is no such folder", where=str(folder), expected="a corpus")
    if (folder / WORK).exists():
        return DataError(
            "The corpus is not finished",
            where=str(folder),
            expected=f"a {NAME}, which is written last",
            remedy="run the same command again: it goes on where it stopped",
        )
    return DataError(
        f"There is no {NAME} in this folder",
        where=str(folder),
        expected="a corpus that `keras-bert corpus` built",
        remedy="for other TFRecord files name the files themselves, or a pattern such as FOLDER/*.tfrecord",
    )


def _json_object(data: bytes, where: str) -> dict:
    def no_repeats(pairs):
        result = dict(pairs)
        if len(result) < len(pairs):
            raise ValueError("a key stands there twice")
        return result

    def no_constant(name):
        raise ValueError(f"{name} is no number")

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=no_repeats, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(f"Not valid JSON: {error}", where=where, expected=_EXPECTED, remedy=_REMEDY) from None
    if not isinstance(value, dict):
        raise DataError(
            f"JSON of type {type(value).__name__}", where=where, expected=_EXPECTED, remedy=_REMEDY
        )
    return value


class _Checker:
    """Takes the values out of what stood in the file, each of the type it must have."""

    def __init__(self, path: Path, value: dict):
        self.path, self.value = path, value

    def manifest(self) -> Manifest:
        settings, vocabulary, counts = (
            self.take(self.value, name, dict) for name in ("settings", "vocabulary", "counts")
        )
        inputs, lengths = self.take(self.value, "inputs", list), self.take(self.value, "lengths", list)
        for name, count in [*counts.items(), *enumerate(lengths)]:
            if not _is_count(count):
                self.refuse(f"a count, {name}, is {count!r}", "integers of 0 or more")
        if not all(isinstance(row, dict) for row in inputs):
            self.refuse("`inputs` holds something else", "a list of objects")
        self.sha256(vocabulary, "the vocabulary")
        if not _is_count(vocabulary.get("pieces")):
            self.refuse(f"the vocabulary has {vocabulary.get('pieces')!r} pieces", "an integer")
        shards = [self.shard(row) for row in self.take(self.value, "shards", list)]
        if len({shard.name for shard in shards}) < len(shards):
            self.refuse("a shard stands there twice", "each shard once")
        manifest = Manifest(
            settings=settings, vocabulary=vocabulary, inputs=inputs, counts=counts, lengths=lengths,
            plan=self.take(self.value, "plan", str), shards=shards,
        )  # fmt: skip
        for what, found in (("`counts`", counts.get("examples")), ("`lengths`", sum(lengths))):
            if found != manifest.num_examples:
                self.refuse(
                    f"the shards have {manifest.num_examples} examples together, by {what} {found!r}",
                    "the same number",
                )
        return manifest

    def shard(self, row) -> Shard:
        if not isinstance(row, dict):
            self.refuse("a shard is no object", "objects with name, examples, bytes and sha256")
        name = self.take(row, "name", str)
        # A plain name: no way out of the folder, and no way to another line of a message.
        if not re.fullmatch(r"\w[\w.-]{0,199}", name, re.ASCII) or name == NAME:
            self.refuse(f"a shard has the name {name!r}", "the name of a file of this folder")
        for field in ("examples", "bytes"):
            if not _is_count(row.get(field)):
                self.refuse(f"the shard {name} has {row.get(field)!r} {field}", "an integer of 0 or more")
        self.sha256(row, f"the shard {name}")
        self.check_link(name)
        return Shard(name, row["examples"], row["bytes"], row["sha256"])

    def check_link(self, name: str):
        path = self.path.with_name(name)
        if path.is_symlink() and Path(os.path.realpath(path)).parent != Path(os.path.realpath(path.parent)):
            self.refuse(f"the shard {name} is a link out of the folder", "a file of this folder")

    def sha256(self, row: dict, what: str):
        if not re.fullmatch("[0-9a-f]{64}", str(row.get("sha256"))):
            self.refuse(f"the sha256 of {what} is {row.get('sha256')!r}", "64 hexadecimal digits")

    def take(self, row: dict, name: str, kind: type):
        if not isinstance(row.get(name), kind):
            self.refuse(f"`{name}` is {type(row.get(name)).__name__}", kind.__name__)
        return row[name]

    def refuse(self, what: str, expected: str):
        raise DataError(
            f"The file makes no sense: {what}", where=str(self.path), expected=expected, remedy=_REMEDY
        )


def _is_count(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
