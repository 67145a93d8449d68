"""Documents on their way to their shard: one file for each piece of the input, grouped by shard.

A file is the segments of the shards, one after the other, then four numbers of 8 bytes for every shard: where
its segment begins, and how many documents, sentences and pieces it holds. A segment is five arrays end to
end: keys, places, sentences a document, pieces a sentence, ids; and the flags, where there are any.
"""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_bert.corpus.tokens import TokenDocument

# Ids held before they are written: some 20 MB in all.
_MAX_TOKENS = 4 * 2**20


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the segments hold.

    Args:
        num_shards: int.
        wide: bool. Ids have 4 bytes, not 2: the vocabulary has more than 65,536 pieces.
        flags: bool. Whether the documents have `continues`.
    """

    num_shards: int
    wide: bool
    flags: bool

    @property
    def id_dtype(self):
        """The dtype of the ids."""
        return np.dtype("<i4" if self.wide else "<u2")


class SpillWriter:
    """Writes the documents of one piece as `NAME.0`, `NAME.1` ...; a new file whenever memory is full.

    Args:
        path: Path. `NAME`.
        layout: Layout.
    """

    def __init__(self, path: Path, layout: Layout):
        self.path, self.layout = path, layout
        self.files: list[str] = []
        self._waiting: dict[int, list[tuple[int, TokenDocument]]] = {}
        self._num_tokens = 0

    def add(self, shard: int, key: int, document: TokenDocument):
        """Takes a document on its way."""
        self._waiting.setdefault(shard, []).append((key, document))
        self._num_tokens += len(document.token_ids)
        if self._num_tokens >= _MAX_TOKENS:
            self.flush()

    def flush(self):
        """Writes what waits."""
        if not self._waiting:
            return
        path = self.path.with_name(f"{self.path.name}.{len(self.files)}")
        segments = np.zeros((self.layout.num_shards, 4), "<i8")
        unfinished = path.with_name(f".{path.name}.unfinished")
        with open(unfinished, "wb") as file:
            for shard in sorted(self._waiting):
                documents = self._waiting.pop(shard)
                lengths = np.concatenate([document.lengths for _, document in documents])
                num_tokens = int(lengths.sum())
                segments[shard] = file.tell(), len(documents), len(lengths), num_tokens
                file.write(np.array([key for key, _ in documents], "<u8").tobytes())
                file.write(np.array([document.place for _, document in documents], "<i8").tobytes())
                counts = [len(document.lengths) for _, document in documents]
                file.write(np.array(counts, "<i4").tobytes())
                file.write(lengths.astype("<i4").tobytes())
                for _, document in documents:
                    file.write(document.token_ids.astype(self.layout.id_dtype).tobytes())
                if self.layout.flags:
                    for _, document in documents:
                        file.write(document.continues.tobytes())
            file.write(segments.tobytes())
        os.replace(unfinished, path)
        self.files.append(path.name)
        self._num_tokens = 0


def read_shard(paths: Iterable[Path], shard: int, layout: Layout) -> list[TokenDocument]:
    """The documents of one shard from all files, sorted by key.

    Args:
        paths: iterable of Path.
        shard: int.
        layout: Layout. What they were written with.
    """
    found = []
    for path in paths:
        with open(path, "rb") as file:
            file.seek(32 * (shard - layout.num_shards), os.SEEK_END)
            segment = np.frombuffer(file.read(32), "<i8").tolist()
            if segment[1]:
                found += _documents(file, segment, layout)
    # Two documents have one key once in a blue moon; their places then decide.
    found.sort(key=lambda pair: (pair[0], pair[1].place))
    return [document for _, document in found]


def _documents(file, segment, layout: Layout) -> list[tuple[int, TokenDocument]]:
    offset, num_documents, num_sentences, num_tokens = segment
    file.seek(offset)

    def take(dtype, count):
        return np.frombuffer(file.read(np.dtype(dtype).itemsize * count), dtype)

    keys, places = take("<u8", num_documents).tolist(), take("<i8", 3 * num_documents)
    counts, lengths = take("<i4", num_documents), take("<i4", num_sentences)
    token_ids = take(layout.id_dtype, num_tokens)
    flags = take(bool, num_tokens) if layout.flags else None
    sentence_ends = np.cumsum(counts)
    token_ends = np.concatenate([[0], np.cumsum(lengths)])[np.concatenate([[0], sentence_ends])].tolist()
    sentence_ends = [0, *sentence_ends.tolist()]
    return [
        (
            key,
            TokenDocument(
                tuple(place),
                token_ids[token_ends[i] : token_ends[i + 1]],
                lengths[sentence_ends[i] : sentence_ends[i + 1]],
                None if flags is None else flags[token_ends[i] : token_ends[i + 1]],
            ),
        )
        for i, (key, place) in enumerate(zip(keys, places.reshape(-1, 3).tolist(), strict=True))
    ]
