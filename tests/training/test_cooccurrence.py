"""Embeddings from counts: against a plain count and NumPy's own decomposition, and what they are good for."""

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.errors import UsageError
from keras_bert.training import cooccurrence

PIECES, SPECIAL = 60, [0, 1, 2, 3, 4]


def encoder_of(**changes):
    keras.utils.set_random_seed(3)
    shape = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 16, **changes}
    return kb.bert_encoder(kb.BertConfig(PIECES, max_sequence_length=64, **shape))


def rows(count=40, length=24, seed=0):
    """Pieces 5 to 54, of which even and odd ones keep to themselves, with [CLS] and padding around them."""
    rng = np.random.default_rng(seed)
    ids = 5 + 2 * rng.integers(0, 25, (count, length)) + rng.integers(0, 2, (count, 1))
    ids[:, 0], ids[: count // 2, -4:] = 2, 0
    return ids


def table(encoder):
    return encoder.get_layer("embeddings").token_embedding.embeddings.numpy()


def expected_pmi(ids, window):
    counts = np.zeros((PIECES, PIECES))
    for row in ids:
        for i, piece in enumerate(row):
            for j in range(max(0, i - window), min(len(row), i + window + 1)):
                if i != j and piece not in SPECIAL and row[j] not in SPECIAL:
                    counts[piece, row[j]] += 1 / abs(i - j)
    context = counts.sum(0) ** 0.75
    with np.errstate(divide="ignore", invalid="ignore"):
        pmi = np.log(counts / counts.sum(1, keepdims=True)) - np.log(context / context.sum())
    return np.maximum(np.nan_to_num(pmi, nan=0, neginf=0, posinf=0), 0)


@pytest.mark.parametrize("pairs_at_once", [2**23, 50])
def test_the_vectors_are_the_singular_ones_of_the_pmi(monkeypatch, pairs_at_once):
    monkeypatch.setattr(cooccurrence, "_PAIRS_AT_ONCE", pairs_at_once)
    encoder, ids = encoder_of(), rows()
    assert kb.embed_cooccurrence(encoder, [ids[:17], ids[17:]], SPECIAL, window=3) == 50
    vectors = table(encoder)[5:55, ::-1]
    left, values, _ = np.linalg.svd(expected_pmi(ids, 3))
    expected = (left * np.sqrt(values))[5:55, :16]
    expected *= 2.5 * 0.02 / np.sqrt((expected**2).mean())
    # Singular vectors have no sign.
    np.testing.assert_allclose(vectors @ vectors.T, expected @ expected.T, atol=2e-5)
    np.testing.assert_allclose(np.abs(vectors[:, :3]), np.abs(expected[:, :3]), atol=2e-4)


def test_pieces_that_keep_to_themselves_lie_apart_and_others_stay_random():
    encoder, ids = encoder_of(), rows()
    before = {v.path: v.numpy() for v in encoder.weights}
    kb.embed_cooccurrence(encoder, [ids], SPECIAL)
    after = {v.path: v.numpy() for v in encoder.weights}
    [changed] = [path for path in before if not np.array_equal(before[path], after[path])]
    assert changed == "embeddings/token_embedding/embeddings"
    others = [*SPECIAL, *range(55, 60)]
    np.testing.assert_array_equal(after[changed][others], before[changed][others])
    vectors = after[changed][5:55]
    same = vectors @ vectors.T
    odd, even = np.ix_(range(0, 50, 2), range(0, 50, 2)), np.ix_(range(0, 50, 2), range(1, 50, 2))
    assert same[odd].mean() > 10 * abs(same[even].mean())


def test_only_so_many_pieces_are_read():
    read = []

    def batches():
        for i in range(10):
            read.append(i)
            yield rows(seed=i)

    kb.embed_cooccurrence(encoder_of(), batches(), SPECIAL, most_pieces=2 * 40 * 24)
    assert read == [0, 1]


@pytest.mark.parametrize("ids", [np.zeros((3, 8), int), np.full((3, 1), 7), np.zeros((0, 8), int)])
def test_where_nothing_stands_beside_anything_all_stays_as_it_was(ids):
    encoder = encoder_of()
    before = table(encoder)
    assert kb.embed_cooccurrence(encoder, [ids], SPECIAL) == 0
    np.testing.assert_array_equal(table(encoder), before)


def test_fewer_pieces_than_columns_are_enough():
    encoder = encoder_of()
    assert kb.embed_cooccurrence(encoder, [np.tile([5, 6, 7], (4, 3))], SPECIAL) == 3
    assert np.isfinite(table(encoder)).all()


def test_factorised_embeddings_are_refused():
    with pytest.raises(UsageError, match="factorised"):
        kb.embed_cooccurrence(encoder_of(embedding_dim=8), [rows()], SPECIAL)
