"""The two steps of building, each a function of one piece of the input or of one shard of the output.

The processes of one machine (`build.py`) and the workers of Apache Beam (`beam.py`) run the same functions.
"""

import collections
import dataclasses
import functools
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from keras_bert.corpus.chinese_words import word_cutter
from keras_bert.corpus.documents import Piece, Reading, documents_of
from keras_bert.corpus.example_proto import encode_examples, encode_google, encode_masked
from keras_bert.corpus.examples import Examples
from keras_bert.corpus.manifest import LENGTH_STEP
from keras_bert.corpus.masking import Masker
from keras_bert.corpus.pairs import pair
from keras_bert.corpus.random_numbers import bits, bits_of
from keras_bert.corpus.settings import CorpusSettings
from keras_bert.corpus.spill import Layout, SpillWriter, read_shard
from keras_bert.corpus.tfrecord import framed
from keras_bert.corpus.tokens import DocumentTokenizer, TokenDocument
from keras_bert.files.atomic import atomic_file
from keras_bert.files.manifest import sha256_of
from keras_bert.text.tokenizer import Tokenizer

_SCATTERING, _SHUFFLING = 1, 3  # uses of the random numbers
# Documents that a shard of one document takes its random text from: those of the smallest keys of all.
NUM_OTHERS = 8
_BLOCK = 4096  # examples encoded at a time


@dataclasses.dataclass(frozen=True)
class Work:
    """What a process needs to know.

    Args:
        folder: str. Where unfinished work lies.
        output: str. The folder of the shards, with the vocabulary.
        settings: CorpusSettings.
        num_shards: int.
    """

    folder: str
    output: str
    settings: CorpusSettings
    num_shards: int

    @property
    def reading(self) -> Reading:
        """How the files are read."""
        return Reading(self.settings.sentences, self.settings.text_column, self.settings.encoding)

    @functools.cached_property
    def layout(self) -> Layout:
        """Of the documents between the steps."""
        wide = len(_tokenizer(self.output).vocabulary) > 2**16
        return Layout(self.num_shards, wide, self.settings.chinese_words is not None)

    def shard_name(self, shard: int) -> str:
        """`pretraining-00003-of-00010.tfrecord`."""
        return f"pretraining-{shard:05d}-of-{self.num_shards:05d}.tfrecord"


@functools.lru_cache(maxsize=1)
def _tokenizer(folder: str) -> Tokenizer:
    """One to a process: its tables, and what it remembers of words, are worth keeping."""
    return Tokenizer.from_folder(folder)


@functools.lru_cache(maxsize=1)
def _words(source: str):
    return word_cutter(source)


def token_documents(
    work: Work, piece: Piece, counts: collections.Counter, samples: list[str]
) -> Iterator[tuple[int, int, TokenDocument]]:
    """(shard, key, document) of every document of a piece.

    `counts` counts what went by, `samples` gets some sentences with [UNK] in them.
    """
    settings = work.settings
    words = _words(settings.chinese_words) if settings.chinese_words else None
    tokenise = DocumentTokenizer(_tokenizer(work.output), words)
    for document in documents_of(piece, work.reading, counts):
        found = tokenise(document)
        if found is None:
            counts["empty_documents"] += 1
            continue
        key = bits_of(settings.random_seed, _SCATTERING, *found.place)
        counts["documents" if found.place[2] == 0 else "parts"] += 1
        counts["with_several_sentences"] += len(found.lengths) > 1
        yield key % work.num_shards, key, found
    counts["sentences"] += tokenise.num_sentences
    counts["tokens"] += tokenise.num_tokens
    counts["unknown"] += tokenise.num_unknown
    samples += tokenise.unknown_samples


def scatter(task: tuple[int, Piece], work: Work) -> dict:
    """Reads a piece and writes its documents where the second step finds them.

    Returns:
        dict: `counts`; `samples` with [UNK]; `files`, what was written; `smallest`, the (key, place, shard)
        of some documents.
    """
    number, piece = task
    note = piece_note(number, work)
    if note.exists():
        return json.loads(note.read_text())
    counts, samples, smallest = collections.Counter(), [], []
    writer = SpillWriter(Path(work.folder, f"piece-{number:06d}"), work.layout)
    for shard, key, document in token_documents(work, piece, counts, samples):
        writer.add(shard, key, document)
        if document.place[2] == 0:
            smallest = sorted([*smallest, (key, document.place, shard)])[:NUM_OTHERS]
    writer.flush()
    result = {"counts": counts, "samples": samples, "files": writer.files, "smallest": smallest}
    put(note, result)
    return result


def others_of(results: Iterable[dict], files: list[str], work: Work) -> list[TokenDocument]:
    """A few documents of the whole corpus, for a shard that has but one: those of the smallest keys."""
    rows = sorted(tuple(row) for result in results for row in result["smallest"])[:NUM_OTHERS]
    found = []
    for _, place, shard in rows:
        documents = read_shard([Path(work.folder, name) for name in files], shard, work.layout)
        found += [document for document in documents if document.place == tuple(place)]
    return found


def write_shard(shard: int, work: Work, files: list[str]) -> dict:
    """Pairs, shuffles and writes the documents of a shard.

    Returns:
        dict: as `write_documents`.
    """
    note = shard_note(shard, work)
    if note.exists():
        return json.loads(note.read_text())
    documents = read_shard([Path(work.folder, name) for name in files], shard, work.layout)
    others = ()
    if is_lonely(documents):
        results = (json.loads(path.read_text()) for path in sorted(Path(work.folder).glob("piece-*.json")))
        others = others_of(results, files, work)
    return write_documents(shard, documents, others, work)


def is_lonely(documents: list[TokenDocument]) -> bool:
    """Whether a shard has one document only, so that random text has to come from elsewhere."""
    return len({document.place[:2] for document in documents}) == 1


def write_documents(shard: int, documents, others, work: Work) -> dict:
    """Writes a shard from its documents, sorted by key.

    Returns:
        dict: `name`, `examples`, `bytes`, `sha256` of the shard; `lengths`, a histogram; `random_next`.
    """
    path = Path(work.output, work.shard_name(shard))
    facts = {"name": path.name, "examples": 0, "random_next": 0}
    lengths = collections.Counter()
    with atomic_file(path) as stage, open(stage, "wb") as file:
        for examples, block in blocks_of(documents, others, shard, work):
            file.write(block)
            facts["examples"] += len(examples)
            facts["random_next"] += int((examples.next_sentence_label == 1).sum())
            lengths.update((examples.lengths // LENGTH_STEP).tolist())
    facts |= {"bytes": path.stat().st_size, "sha256": sha256_of(path), "lengths": lengths}
    put(shard_note(shard, work), facts)
    return facts


def piece_note(number: int, work: Work) -> Path:
    """The file that says that a piece is done, and what was in it."""
    return Path(work.folder, f"piece-{number:06d}.json")


def shard_note(shard: int, work: Work) -> Path:
    """The file that says that a shard is done, and what is in it."""
    return Path(work.folder, f"shard-{shard:05d}.json")


def put(note: Path, facts: dict):
    """Writes a note, whole or not at all."""
    unfinished = note.with_name(f".{note.name}.unfinished")
    unfinished.write_text(json.dumps(facts))
    os.replace(unfinished, note)


def blocks_of(documents, others, shard: int, work: Work) -> Iterator[tuple[Examples, bytes]]:
    """The examples of a shard in the order they are written, and their records."""
    settings, vocabulary = work.settings, _tokenizer(work.output).vocabulary
    frame = vocabulary.cls_id, vocabulary.sep_id
    masker, place = Masker(vocabulary, settings.masks, settings.random_seed), 0
    for copy in range(settings.copies):
        examples = pair(documents, settings, copy, frame, others)
        order = np.argsort(bits(settings.random_seed, _SHUFFLING, shard, copy, np.arange(len(examples))))
        for begin in range(0, len(order), _BLOCK):
            some = examples.take(order[begin : begin + _BLOCK])
            indices = shard * 2**40 + place + np.arange(len(some))
            yield some, framed(_encoded(some, indices, copy, settings, masker, vocabulary.pad_id))
            place += len(some)


def _encoded(examples: Examples, indices, copy: int, settings, masker, pad_id: int) -> list[bytes]:
    if settings.masking == "dynamic":
        return encode_examples(examples)
    rows = examples.padded(settings.max_seq_length, pad_id)
    masked = masker(rows, copy, indices)
    if settings.format == "keras_bert":
        return encode_masked(masked, examples)
    label = np.maximum(examples.next_sentence_label, 0).astype(np.int32)  # NO_PAIR has no name there
    return encode_google({**masked, "next_sentence_label": label})
