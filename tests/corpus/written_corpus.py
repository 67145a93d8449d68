"""A corpus as the builder leaves it, of random examples: what tests of reading read."""

import collections

import numpy as np

from keras_bert.corpus.example_proto import encode_examples, encode_google, encode_masked
from keras_bert.corpus.examples import NO_PAIR, Examples, concatenated
from keras_bert.corpus.manifest import write_manifest
from keras_bert.corpus.tfrecord import framed
from keras_bert.files.manifest import sha256_of

COUNTS = (40, 25, 1, 55)
LENGTH, SLOTS = 32, 5


def made(number, seed, pairs=True) -> Examples:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, LENGTH + 1, number)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return Examples(
        rng.integers(5, 28, starts[-1]).astype(np.int32),
        starts,
        (rng.integers(2, lengths - 1) if pairs else lengths).astype(np.int32),
        (rng.integers(0, 2, number) if pairs else np.full(number, NO_PAIR)).astype(np.int8),
    )


def encoded(examples, first, kind, masker):
    if kind == "dynamic":
        return encode_examples(examples)
    masked = masker(examples.padded(LENGTH), 0, first + np.arange(len(examples)))
    if kind == "static":
        return encode_masked(masked, examples)
    return encode_google({**masked, "next_sentence_label": examples.next_sentence_label.astype(np.int32)})


def write_corpus(folder, tokenizer, masker=None, kind="dynamic", counts=COUNTS, pairs=True) -> Examples:
    """A folder as the builder leaves it; returns its examples in order."""
    folder.mkdir(exist_ok=True)
    tokenizer.save(folder)
    parts, shards, first = [made(count, seed, pairs) for seed, count in enumerate(counts)], [], 0
    for number, part in enumerate(parts):
        path = folder / f"pretraining-{number:05d}-of-{len(counts):05d}.tfrecord"
        path.write_bytes(framed(encoded(part, first, kind, masker)))
        first += len(part)
        facts = {"examples": len(part), "bytes": path.stat().st_size, "sha256": sha256_of(path)}
        shards.append({"name": path.name, **facts})
    whole = concatenated(parts)
    settings = {"max_seq_length": LENGTH, "max_predictions_per_seq": SLOTS, "next_sentence": pairs}
    settings |= {"masking": "dynamic" if kind == "dynamic" else "static"}
    settings |= {"format": "google" if kind == "google" else "keras_bert"}
    write_manifest(
        folder, settings=settings, inputs=[], plan="", counts={"examples": len(whole)}, shards=shards,
        vocabulary={"sha256": sha256_of(folder / "vocab.txt"), "pieces": len(tokenizer.vocabulary)},
        lengths=collections.Counter((whole.lengths // 16).tolist()),
    )  # fmt: skip
    return whole


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
