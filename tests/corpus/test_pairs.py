"""The law of pairs, against Google's procedure written out piece by piece."""

import collections
import random

import numpy as np
import pytest

from keras_bert.corpus.examples import NO_PAIR
from keras_bert.corpus.pairs import pair
from keras_bert.corpus.settings import CorpusSettings
from keras_bert.corpus.tokens import TokenDocument

CLS, SEP = 1, 2


def documents_of(sentence_lengths, first_id=10):
    """Documents whose pieces are all different, so that a piece tells where it is from."""
    documents, next_id = [], first_id
    for number, lengths in enumerate(sentence_lengths):
        ids = np.arange(next_id, next_id + sum(lengths))
        next_id += sum(lengths)
        documents.append(TokenDocument((0, number, 0), ids.astype(np.int32), np.array(lengths, np.int32)))
    return documents


def random_documents(count, seed=0, longest=12):
    rng = random.Random(seed)
    return documents_of([[rng.randint(1, 30) for _ in range(rng.randint(1, longest))] for _ in range(count)])


def segments_of(examples):
    """(ids of A, ids of B or None, label) of each example, after checking what stands around them."""
    result = []
    for i in range(len(examples)):
        ids = examples.token_ids[examples.starts[i] : examples.starts[i + 1]].tolist()
        b_start = int(examples.b_starts[i])
        assert ids[0] == CLS and ids[b_start - 1] == SEP and ids[-1] == SEP
        a, b = ids[1 : b_start - 1], ids[b_start:-1]
        assert not {CLS, SEP} & {*a, *b}
        result.append((a, b, int(examples.next_sentence_label[i])))
    return result


def google(documents, settings, rng):
    """Google's procedure, on lists of pieces, one step at a time."""
    longest, result = settings.max_seq_length - 3, []
    texts = []
    for document in documents:
        ends = np.cumsum(document.lengths)
        parts = np.split(document.token_ids, ends[:-1])
        texts.append([part.tolist() for part in parts])
    for number, sentences in enumerate(texts):
        target = rng.randint(2, longest) if rng.random() < settings.short_seq_prob else longest
        chunk, i = [], 0
        while i < len(sentences):
            chunk.append(sentences[i])
            if i == len(sentences) - 1 or sum(map(len, chunk)) >= target:
                split = rng.randint(1, len(chunk) - 1) if len(chunk) > 1 else 1
                a, b = sum(chunk[:split], []), []
                if len(chunk) == 1 or rng.random() < 0.5:
                    label, wanted = 1, target - len(a)
                    other = rng.choice([k for k in range(len(texts)) if k != number])
                    for sentence in texts[other][rng.randrange(len(texts[other])) :]:
                        b += sentence
                        if len(b) >= wanted:
                            break
                    i -= len(chunk) - split
                else:
                    label, b = 0, sum(chunk[split:], [])
                while len(a) + len(b) > longest:
                    longer = a if len(a) > len(b) else b
                    longer.pop(0 if rng.random() < 0.5 else -1)
                result.append((a, b, label))
                chunk = []
                target = rng.randint(2, longest) if rng.random() < settings.short_seq_prob else longest
            i += 1
    return result


def facts_of(examples):
    """What can be counted of pairs."""
    return {
        "random": [label for _, _, label in examples],
        "length": [len(a) + len(b) for a, b, _ in examples],
        "a": [len(a) for a, _, _ in examples],
        "b of random": [len(b) for _, b, label in examples if label == 1],
        "front of a": [a[0] % 7 for a, _, _ in examples],
    }


@pytest.mark.parametrize("length", [32, 64, 128])
def test_the_pairs_are_distributed_as_googles(length):
    documents = random_documents(400)
    settings = [
        CorpusSettings(max_seq_length=length, random_seed=seed, short_seq_prob=0.3) for seed in range(20)
    ]
    ours = [row for one in settings for row in segments_of(pair(documents, one, 0, (CLS, SEP)))]
    theirs = [row for seed in range(20) for row in google(documents, settings[0], random.Random(seed))]
    assert len(ours) == pytest.approx(len(theirs), rel=0.02)
    ours, theirs = facts_of(ours), facts_of(theirs)
    for name in ours:
        x, y = np.array(ours[name], float), np.array(theirs[name], float)
        error = np.hypot(x.std() / len(x) ** 0.5, y.std() / len(y) ** 0.5)
        assert abs(x.mean() - y.mean()) < 4 * error, name
        for share in (0.1, 0.5, 0.9):  # pieces below the quantile of the other
            bound = np.quantile(y, share)
            assert abs((x <= bound).mean() - (y <= bound).mean()) < 0.02, (name, share)


def test_a_and_b_follow_one_another_where_the_label_says_so():
    documents = random_documents(50)
    owner = {piece: number for number, d in enumerate(documents) for piece in d.token_ids.tolist()}
    seen = collections.Counter()
    for a, b, label in segments_of(pair(documents, CorpusSettings(), 0, (CLS, SEP))):
        for segment in (a, b):
            assert segment == list(range(segment[0], segment[0] + len(segment)))
        if label == 0:
            assert owner[a[0]] == owner[b[-1]] and a[-1] < b[0]
        else:
            assert owner[a[0]] != owner[b[0]] and owner[b[0]] == owner[b[-1]]
        seen[label] += 1
    assert min(seen.values()) > 20


def test_every_piece_of_text_is_used_where_nothing_is_trimmed():
    documents = documents_of([[3, 4, 5], [2, 2], [6]])
    pairs = segments_of(pair(documents, CorpusSettings(short_seq_prob=0), 0, (CLS, SEP)))
    assert {piece for a, _, _ in pairs for piece in a} | {
        piece for _, b, label in pairs if label == 0 for piece in b
    } == set(range(10, 32))


@pytest.mark.parametrize("length", [8, 16, 128, 512])
def test_no_example_is_too_long_and_no_segment_empty(length):
    documents = random_documents(60, longest=40)
    pairs = segments_of(pair(documents, CorpusSettings(max_seq_length=length), 0, (CLS, SEP)))
    assert max(len(a) + len(b) + 3 for a, b, _ in pairs) == length
    assert min(min(len(a), len(b)) for a, b, _ in pairs) >= 1


def test_trimming_takes_from_the_longer_segment_and_from_both_ends_alike():
    documents = documents_of([[20, 100]] * 300)
    pairs = segments_of(pair(documents, CorpusSettings(max_seq_length=64), 0, (CLS, SEP)))
    following = [(a, b) for a, b, label in pairs if label == 0]
    assert {len(a) for a, _ in following} == {20} and {len(b) for _, b in following} == {41}
    fronts = np.array([(b[0] - 30) % 120 for _, b in following])  # of 59 pieces taken away
    assert fronts.mean() == pytest.approx(59 / 2, abs=1.5)
    assert fronts.std() == pytest.approx((59 / 4) ** 0.5, rel=0.25)


def test_one_sentence_of_a_million_pieces_is_trimmed_at_once():
    documents = documents_of([[10**6], [5, 5]])
    pairs = segments_of(pair(documents, CorpusSettings(max_seq_length=32), 0, (CLS, SEP)))
    assert all(len(a) + len(b) <= 29 for a, b, _ in pairs)


def test_parts_of_one_document_are_no_other_document():
    [first, second, third] = documents_of([[5, 5]] * 3)
    parts = [first, TokenDocument((0, 0, 1), second.token_ids, second.lengths)]
    pairs = segments_of(pair(parts, CorpusSettings(), 0, (CLS, SEP)))
    assert [label for _, _, label in pairs] == [0] * len(pairs)
    pairs = segments_of(pair(parts, CorpusSettings(short_seq_prob=0), 0, (CLS, SEP), [third]))
    assert {piece for _, b, label in pairs if label == 1 for piece in b} <= set(third.token_ids.tolist())


def test_a_pair_depends_on_its_document_seed_and_copy_alone():
    documents = random_documents(30)

    def made(seed=0, copy=0):
        return pair(documents, CorpusSettings(random_seed=seed), copy, (CLS, SEP)).token_ids.tobytes()

    assert made() == made()
    assert len({made(), made(seed=1), made(copy=1)}) == 3


def test_single_texts_fill_the_room_and_have_no_label():
    documents = random_documents(40)
    settings = CorpusSettings(max_seq_length=64, next_sentence=False, short_seq_prob=0)
    examples = pair(documents, settings, 0, (CLS, SEP))
    assert set(examples.next_sentence_label.tolist()) == {NO_PAIR}
    assert examples.lengths.max() == 64
    np.testing.assert_array_equal(examples.b_starts, examples.lengths)
    rows = examples.padded(64)
    assert rows["segment_ids"].sum() == 0


def test_no_document_gives_no_example():
    assert len(pair([], CorpusSettings(), 0, (CLS, SEP))) == 0
