"""A checkpoint cut into several files, of either format, by its index: `model.safetensors.index.json`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_bert.checkpoints.json_text import json_object, quoted
from keras_bert.checkpoints.lazy_tensors import LazyTensors
from keras_bert.errors import CheckpointError
from keras_bert.files.regular import read_regular

# As for the header of a safetensors file: parsed JSON takes some twenty times its text.
MAX_INDEX_BYTES = 2 * 2**20


class ShardedTensors(LazyTensors):
    """The tensors of all shards by name; each is mapped from its file when asked for.

    Args:
        path: str or Path. The index file; the shards lie beside it.
        reader: function. Opens one shard: path -> LazyTensors.
        suffix: str. What the shards' names end in, such as `".safetensors"`.

    Raises:
        CheckpointError: an index that names a file elsewhere, or does not agree with the shards.
    """

    def __init__(self, path, reader: Callable[[Path], LazyTensors], suffix: str):
        self.path = Path(path)
        self._shard_of = self._read_index().get("weight_map")
        if not isinstance(self._shard_of, dict) or not all(
            _is_plain_name(name, suffix) for name in self._shard_of.values()
        ):
            raise CheckpointError(
                "No usable `weight_map`",
                where=str(path),
                expected=f"tensor names to names of {suffix} files beside the index",
            )
        shards = [self.path.with_name(name) for name in sorted(set(self._shard_of.values()))]
        for shard in shards:
            refuse_link_outside(shard)
        self._shards = {shard.name: reader(shard) for shard in shards}
        found = {(tensor, name) for name, shard in self._shards.items() for tensor in shard}
        astray = sorted(found ^ set(self._shard_of.items()))
        if astray:
            raise CheckpointError(
                f"Index and files disagree about {len(astray)} tensors, first {quoted(astray[0])}",
                where=str(path),
                remedy="the files belong to different checkpoints: download the folder again",
            )
        super().__init__(
            {name: self._shards[shard].shapes[name] for name, shard in self._shard_of.items()},
            {name: self._shards[shard].dtypes[name] for name, shard in self._shard_of.items()},
        )

    def __getitem__(self, name: str) -> np.ndarray:
        return self._shards[self._shard_of[name]][name]

    def _read_index(self) -> dict:
        try:
            data = read_regular(self.path, MAX_INDEX_BYTES)
        except OSError as cause:
            raise CheckpointError(f"Cannot be read: {cause.strerror}", where=str(self.path)) from cause
        return json_object(data, str(self.path))


def refuse_link_outside(path):
    """Refuses a file that is a link out of its folder: a downloaded folder has no say in what else is read.

    The Hugging Face cache links from `snapshots/COMMIT/` to `blobs/`; that counts as inside.

    Args:
        path: str or Path.

    Raises:
        CheckpointError: the file, with all links followed, lies neither in its folder nor in the cache's.
    """
    path = Path(path)
    folder, target = path.parent.resolve(), path.resolve()
    allowed = [folder, folder.parent.parent / "blobs"] if folder.parent.name == "snapshots" else [folder]
    if not any(target.is_relative_to(place) for place in allowed):
        raise CheckpointError(
            f"It is a link to {target}",
            where=str(path),
            expected="a file in the folder itself",
            remedy="copy the file into the folder, if it is the right one",
        )


def _is_plain_name(name, suffix: str) -> bool:
    # Printable: half a surrogate pair is no name that a file can have.
    is_name = isinstance(name, str) and name.endswith(suffix) and name.isprintable()
    return is_name and not set(name) & set("/\\\0:")
