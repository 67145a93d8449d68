"""Tagging of texts longer than a sequence: every unit once, where the most of the text around it is seen."""

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.tasks.tagging import Tagging
from keras_bert.tasks.windows import joined_features, seen_best

WORDS = "ann anna lives in new york u . s ##ing ##a ##b ##c liv 北 京 市 , 人".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
TOKENIZER = kb.Tokenizer(PIECES)
NAMES = ("span_starts", "span_ends", "span_types")
TEXTS = [
    ("anna lives in new york , ann lives in u.s. , living in anna , york", [(0, 4, "PER"), (14, 22, "LOC"),
     (25, 28, "PER"), (38, 42, "LOC"), (55, 59, "PER"), (62, 66, "LOC")]),
    ("ann", [(0, 3, "PER")]),
    ("", []),
    ("北京市,人 👍 new york new york", [(0, 3, "LOC"), (8, 16, "LOC"), (17, 25, "LOC")]),
    ("in livabcabcabcingabc annabc in york", [(3, 28, "PER"), (32, 36, "LOC")]),
]  # fmt: skip
CUTS = [(5, 1), (6, 2), (7, 2), (7, 3), (7, 5), (8, 4), (9, 100), (40, 3)]


def tagging(**settings):
    task = Tagging(**{"labels": ["PER", "LOC"], "max_length": 60, **settings})
    task.prepare(TOKENIZER)
    return task


def learnt(task, texts=TEXTS):
    """(features, tags, weights) of what the task learns from the texts."""
    features = task.features({"text": tf.constant([text for text, _ in texts])}, TOKENIZER.in_graph())
    checked = [
        task.check_row(
            {"text": text, "spans": [dict(zip(("start", "end", "label"), s, strict=True)) for s in spans]}, ""
        )
        for text, spans in texts
    ]
    row = {
        name: tf.ragged.constant([list(r[name]) for r in checked], dtype=tf.int32, ragged_rank=1)
        for name in NAMES
    }
    tags, weights = task.targets({**row, "sample_weight": tf.ones(len(texts))}, features)
    return features, tags.numpy(), weights.numpy()


def by_text(features, tags, weights, count=5):
    """(start, tag) of every unit that is learnt, in its order, for every text."""
    rows = features["row"].numpy() if "row" in features else range(count)
    found = [[] for _ in range(count)]
    for row, starts, tag, weight in zip(rows, features["starts"].numpy(), tags, weights, strict=True):
        found[row] += [(int(s), int(t)) for s, t, w in zip(starts, tag, weight, strict=True) if w]
    return found


@pytest.mark.parametrize(("max_length", "stride"), CUTS)
@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
@pytest.mark.parametrize("units", ["words", "pieces"])
def test_every_unit_is_learnt_once_with_its_tag(max_length, stride, scheme, units):
    whole = by_text(*learnt(tagging(scheme=scheme, units=units)))
    cut = tagging(scheme=scheme, units=units, max_length=max_length, stride=stride)
    assert by_text(*learnt(cut)) == whole


@pytest.mark.parametrize(("max_length", "stride"), CUTS)
def test_a_piece_is_that_of_the_window_with_most_text_around_it(max_length, stride):
    text = "new york in " * 7
    features = tagging(max_length=max_length, stride=stride).features(
        {"text": tf.constant([text, "ann"])}, TOKENIZER.in_graph()
    )
    chosen = seen_best(features, max_length, stride).numpy()
    windows = TOKENIZER.windows(text, max_length=max_length, stride=stride)
    room, seen = max_length - 2, {}  # piece -> [(pieces to the nearer edge, window)]
    for w, window in enumerate(windows):
        first, size = w * min(room, stride), len(window.token_ids) - 2
        for place in range(size):
            left = np.inf if w == 0 else place
            right = np.inf if w == len(windows) - 1 else size - 1 - place
            seen.setdefault(first + place, []).append((min(left, right), w, place + 1))
    assert len(seen) == 21
    for around in seen.values():
        here = [nearest for nearest, w, place in around if chosen[w, place]]
        assert here == [max(around)[0]]
    assert chosen[-1].tolist()[:3] == [False, True, False] and chosen.sum() == 22


@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize("units", ["words", "pieces"])
@pytest.mark.parametrize(("max_length", "stride"), CUTS)
def test_answers_are_those_of_the_whole_text(max_length, stride, units, crf):
    whole = tagging(units=units, crf=crf)
    cut = tagging(units=units, crf=crf, max_length=max_length, stride=stride)
    rng = np.random.default_rng(max_length)
    texts = tf.constant([text for text, _ in TEXTS])
    features = whole.features({"text": texts}, TOKENIZER.in_graph())
    tokens, tags = features["token_ids"].shape[1], len(whole.labels)
    logits = rng.normal(scale=3.0, size=(len(TEXTS), tokens, tags)).astype("float32")
    chain = rng.normal(size=(tags + 2, tags)).astype("float32")

    def with_chain(logits):
        return np.concatenate([logits, [chain] * len(logits)], axis=1) if crf else logits

    windows = cut.features({"text": texts}, TOKENIZER.in_graph())
    chosen = seen_best(windows, max_length, stride).numpy()
    # What the chosen window sees is the whole text's; everything else is noise.
    seen = rng.normal(scale=30.0, size=(*chosen.shape, tags)).astype("float32")
    for row in range(len(TEXTS)):
        places = [(w, t) for w in np.flatnonzero(windows["row"] == row) for t in np.flatnonzero(chosen[w])]
        for i, place in enumerate(places):
            seen[place] = logits[row, i + 1]
    expected = whole.answer(tf.constant(with_chain(logits)), features)
    found = cut.answer(tf.constant(with_chain(seen)), windows)
    assert found.keys() == expected.keys() and expected["count"].numpy().sum() > 10
    for name, values in expected.items():
        if name == "score":
            np.testing.assert_allclose(found[name], values, atol=1e-6)
        else:
            assert found[name].numpy().tolist() == values.numpy().tolist(), name


def test_joined_features_are_those_of_one_long_sequence():
    texts = tf.constant([text for text, _ in TEXTS])
    whole = tagging().features({"text": texts}, TOKENIZER.in_graph())
    windows = tagging(max_length=7, stride=3).features({"text": texts}, TOKENIZER.in_graph())
    joined = joined_features(windows, seen_best(windows, 7, 3))
    inner = whole["sequence_ids"].numpy() >= 0 if "sequence_ids" in whole else whole["token_ids"].numpy() > 4
    for name in ("token_ids", "starts", "ends"):
        assert (joined[name].numpy() * inner).tolist() == (whole[name].numpy() * inner).tolist()
    assert joined["padding_mask"].numpy().tolist() == whole["padding_mask"].numpy().tolist()


def test_a_long_text_costs_what_its_length_does():
    """A text of 6,000 spans: with a cell for every unit and span it took gigabytes."""
    text = "new york , " * 6_000
    task = tagging(max_length=12, stride=6)
    features = task.features({"text": tf.constant([text])}, TOKENIZER.in_graph())
    shape = features["token_ids"].shape
    ids = features["token_ids"].numpy()
    tag = np.where(ids == PIECES.index("new"), task.labels.index("B-LOC"), 0)
    tag = np.where(ids == PIECES.index("york"), task.labels.index("I-LOC"), tag)
    answer = task.answer(tf.constant(9.0 * np.eye(5, dtype="float32")[tag]), features)
    [row] = task.rows({name: tensor.numpy() for name, tensor in answer.items()})
    assert shape[0] > 2_000 and len(row["spans"]) == 6_000
    assert row["spans"][-1]["text"] == "new york" and row["spans"][-1]["end"] == len(text) - 3
