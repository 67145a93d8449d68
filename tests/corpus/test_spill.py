"""Documents on their way to their shard come back as they were."""

import numpy as np
import pytest

from keras_bert.corpus import spill
from keras_bert.corpus.spill import Layout, SpillWriter, read_shard
from keras_bert.corpus.tokens import TokenDocument


def random_document(rng, number, layout):
    lengths = rng.integers(1, 9, rng.integers(1, 6)).astype(np.int32)
    ids = rng.integers(0, 70_000 if layout.wide else 60_000, lengths.sum()).astype(layout.id_dtype)
    flags = rng.random(len(ids)) < 0.5 if layout.flags else None
    return TokenDocument((int(number) % 3, int(number), 0), ids, lengths, flags)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("flags", [False, True])
def test_every_document_comes_back_in_the_order_of_the_keys(tmp_path, monkeypatch, wide, flags):
    monkeypatch.setattr(spill, "_MAX_TOKENS", 500)  # several files
    rng, layout = np.random.default_rng(0), Layout(5, wide, flags)
    writers = [SpillWriter(tmp_path / f"piece-{number}", layout) for number in range(2)]
    expected = {}
    for number in range(300):
        shard, key = int(rng.integers(0, 4)), int(rng.integers(0, 2**64, dtype=np.uint64))
        document = random_document(rng, number, layout)
        expected.setdefault(shard, []).append((key, document))
        writers[number % 2].add(shard, key, document)
    for writer in writers:
        writer.flush()
    files = [tmp_path / name for writer in writers for name in writer.files]
    assert 4 < len(files) < 30 and sorted(files) == sorted(tmp_path.iterdir())
    for shard in range(5):
        found = read_shard(files, shard, layout)
        wanted = [document for _, document in sorted(expected.get(shard, []), key=lambda row: row[0])]
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert one.place == other.place
            for name in ("token_ids", "lengths", *(["continues"] if flags else [])):
                assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
            assert flags or one.continues is None


def test_a_piece_without_a_document_leaves_no_file(tmp_path):
    writer = SpillWriter(tmp_path / "piece-0", Layout(2, False, False))
    writer.flush()
    assert writer.files == [] and list(tmp_path.iterdir()) == []
