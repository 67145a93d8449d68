"""Masks follow the published law: to the letter against a slow one, and by the numbers."""

import dataclasses

import numpy as np
import pytest

from keras_bert.corpus.examples import Examples
from keras_bert.corpus.masking import Masker, Masking
from keras_bert.corpus.random_numbers import bits, uniforms
from keras_bert.errors import UsageError, VocabularyError
from keras_bert.text.vocabulary import Vocabulary

# [PAD] is not 0, to see that nobody takes it for granted.
WORDS, ENDS = [f"w{number}" for number in range(60)], [f"##e{number}" for number in range(35)]
VOCABULARY = Vocabulary(["[UNK]", "[CLS]", "[PAD]", "[SEP]", "[MASK]", *WORDS, *ENDS])
UNK, CLS, PAD, SEP, MASK = range(5)
FIRST_WORD, FIRST_END, SIZE = 5, 65, 100
SEED = 7
ORDER, SPAN, ACTION, PIECE = 10, 11, 12, 13
KINDS = {
    "pieces": Masking(),
    "words": Masking(whole_word=True),
    "spans": Masking(max_ngram=3),
    "long spans": Masking(0.4, 30, max_ngram=5),
    "most": Masking(0.6, 1000, whole_word=True),
    "few": Masking(0.3, 3, max_ngram=2, mask_share=0.2, random_share=0.7),
}


def random_examples(count, shortest=3, longest=60, seed=0, continues=False) -> Examples:
    """Pairs and single segments of words and ends in any order, as the trimming of segments leaves them."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, longest + 1, count)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    token_ids = rng.integers(FIRST_WORD, SIZE, starts[-1]).astype(np.int32)
    token_ids[rng.random(len(token_ids)) < 0.02] = UNK
    is_pair = (rng.random(count) < 0.8) & (lengths >= 5)
    middle = np.where(is_pair, rng.integers(2, np.maximum(lengths - 2, 3)), lengths - 1)
    token_ids[starts[:-1]], token_ids[starts[1:] - 1], token_ids[starts[:-1] + middle] = CLS, SEP, SEP
    flags = rng.random(len(token_ids)) < 0.4 if continues else None
    return Examples(token_ids, starts, (middle + 1).astype(np.int32), np.zeros(count, np.int8), flags)


def slow_words(ids, continues):
    """Lists of the places of each word; None between segments."""
    words = []
    for place, index in enumerate(ids):
        if index in (CLS, SEP, PAD):
            words.append(None)
        elif words[-1:] not in ([], [None]) and (index >= FIRST_END or continues[place]):
            words[-1].append(place)
        else:
            words.append([place])
    return words


def slow_choice(ids, continues, masking, epoch, index):
    """The law, one word at a time."""
    words = slow_words(ids, continues)
    if not masking.whole_word and masking.max_ngram == 1:  # every piece is a word
        words = [None if piece in (CLS, SEP, PAD) else [place] for place, piece in enumerate(ids)]
    wanted = min(masking.max_predictions_per_seq, max(1, round(len(ids) * masking.masked_lm_prob)))
    numbers = [number for number, word in enumerate(words) if word]
    numbers.sort(key=lambda number: int(bits(SEED, ORDER, epoch, index, words[number][0])) >> 20)
    chosen, used = [], set()
    for number in numbers:
        random = float(uniforms(SEED, SPAN, epoch, index, words[number][0]))
        weights = [1 / n for n in range(1, masking.max_ngram + 1)]
        span = 1 + sum(random >= sum(weights[:n]) / sum(weights) for n in range(1, masking.max_ngram))
        for later in range(number, number + span):
            word = words[later] if later < len(words) else None
            if word is None or later in used or len(chosen) + len(word) > wanted:
                break
            used.add(later)
            chosen += word
    return sorted(chosen)


def slow_masks(ids, continues, masking, epoch, index):
    """(masked ids, positions, original ids)."""
    chosen = slow_choice(ids, continues, masking, epoch, index)
    masked = list(ids)
    for place in chosen:
        action = float(uniforms(SEED, ACTION, epoch, index, place))
        if action < masking.mask_share:
            masked[place] = MASK
        elif action < masking.mask_share + masking.random_share:
            masked[place] = int(float(uniforms(SEED, PIECE, epoch, index, place)) * SIZE)
    return masked, chosen, [ids[place] for place in chosen]


def found_in(masked, number):
    used = masked["mask_weights"][number] > 0
    return masked["mask_positions"][number][used].tolist(), masked["mask_ids"][number][used].tolist()


@pytest.mark.parametrize("continues", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_masks_are_those_of_the_law(kind, continues):
    masking, count = KINDS[kind], 150
    examples = random_examples(count, continues=continues)
    rows = examples.padded(64, PAD)
    indices = np.arange(count) * 2**33 + 5
    masked = Masker(VOCABULARY, masking, SEED)(rows, 3, indices)
    flags = rows.get("continues", np.zeros((count, 64), bool)).tolist()
    for number, length in enumerate(examples.lengths):
        ids = rows["token_ids"][number, :length].tolist()
        expected, positions, originals = slow_masks(ids, flags[number], masking, 3, int(indices[number]))
        assert found_in(masked, number) == (positions, originals)
        assert masked["token_ids"][number].tolist() == expected + [PAD] * (64 - length)


@pytest.mark.parametrize("kind", KINDS)
def test_unused_slots_are_zero_and_come_last(kind):
    examples = random_examples(300)
    rows = examples.padded(64, PAD)
    before = {name: value.copy() for name, value in rows.items()}
    masked = Masker(VOCABULARY, KINDS[kind], SEED)(rows, 0, np.arange(300))
    slots = (300, KINDS[kind].max_predictions_per_seq)
    for name, dtype in (("mask_positions", "int32"), ("mask_ids", "int32"), ("mask_weights", "float32")):
        assert (masked[name].shape, masked[name].dtype) == (slots, dtype)
    weights, positions = masked["mask_weights"], masked["mask_positions"]
    assert set(np.unique(weights)) <= {0, 1} and (np.diff(weights) <= 0).all()
    assert (weights[:, 0] == 1).all() or KINDS[
        kind
    ] != Masking()  # where all words are too long there is none
    assert (np.diff(positions)[weights[:, 1:] > 0] > 0).all()
    assert not positions[weights == 0].any() and not masked["mask_ids"][weights == 0].any()
    for name in ("segment_ids", "padding_mask"):
        assert masked[name].dtype == np.int32 and (masked[name] == rows[name]).all()
    assert all((rows[name] == before[name]).all() for name in rows), "the rows given are left as they are"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("continues", [False, True])
def test_masks_do_not_depend_on_the_batch_or_the_padding(kind, continues):
    examples, masker = random_examples(64, continues=continues), Masker(VOCABULARY, KINDS[kind], SEED)
    whole = masker(examples.padded(60, PAD), 2, np.arange(64))
    for order, length in (([5], 60), ([63, 5, 17], 61), (np.arange(64)[::-1], 200)):
        part = masker(examples.take(order).padded(length, PAD), 2, np.asarray(order))
        for name, value in part.items():
            if name in ("mask_positions", "mask_ids", "mask_weights"):
                assert (value == whole[name][order]).all()
            else:
                assert (value[:, :60] == whole[name][order]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_again_for_the_same_seed_epoch_and_index_and_something_else_for_another(kind):
    rows = random_examples(200, shortest=40).padded(60, PAD)
    indices = np.arange(200)

    def masked(seed=SEED, epoch=0, shift=0):
        drawn = Masker(VOCABULARY, KINDS[kind], seed)(rows, epoch, indices + shift)
        return {name: drawn[name] for name in ("token_ids", "mask_positions")}

    first = masked()
    assert all((first[name] == again).all() for name, again in masked().items())
    for other in (masked(seed=SEED + 1), masked(epoch=1), masked(shift=200)):
        for name in first:
            assert (first[name] != other[name]).any(1).mean() > 0.9


@pytest.mark.parametrize(
    "length, number", [(2, 0), (3, 1), (10, 2), (30, 4), (50, 8), (90, 14), (110, 16), (128, 19), (512, 20)]
)
def test_the_number_to_predict_is_rounded_as_python_does(length, number):
    ids = np.array([[CLS, *[FIRST_WORD] * (length - 2), SEP]], np.int32)
    rows = {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": np.ones_like(ids)}
    for masking in (Masking(), Masking(whole_word=True)):
        masked = Masker(VOCABULARY, masking, SEED)(rows, 0, [0])
        assert masked["mask_weights"].sum() == number
        assert masking.num_to_predict(length) == max(1, number)


@pytest.mark.parametrize("continues", [False, True])
def test_words_are_masked_as_wholes(continues):
    examples = random_examples(2000, shortest=20, continues=continues)
    rows = examples.padded(60, PAD)
    for masking in (Masking(whole_word=True), Masking(max_ngram=3)):
        masked = Masker(VOCABULARY, masking, SEED)(rows, 0, np.arange(2000))
        flags = rows.get("continues", np.zeros((2000, 60), bool))
        whole = 0
        for number, length in enumerate(examples.lengths):
            chosen = set(found_in(masked, number)[0])
            for word in slow_words(rows["token_ids"][number, :length].tolist(), flags[number]):
                assert word is None or len(chosen & set(word)) in (0, len(word))
                whole += word is not None and len(word) > 1 and word[0] in chosen
        assert whole > 1000


def test_chinese_words_are_masked_as_wholes_where_continues_says_so():
    # 我 是 程序员: three words, which no ## shows
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"我是程序员"])
    ids = np.repeat([[2, 5, 6, 7, 8, 9, 3]], 4000, 0).astype(np.int32)
    rows = {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": np.ones_like(ids)}
    rows["continues"] = np.repeat([[0, 0, 0, 0, 1, 1, 0]], 4000, 0).astype(bool)
    masked = Masker(vocabulary, Masking(0.45, whole_word=True), 1)(rows, 0, np.arange(4000))  # 3 to predict
    outcomes = {tuple(found_in(masked, number)[0]) for number in range(4000)}
    assert outcomes == {(3, 4, 5), (1, 2)}
    del rows["continues"]
    masked = Masker(vocabulary, Masking(0.45, whole_word=True), 1)(rows, 0, np.arange(4000))
    assert len({tuple(found_in(masked, number)[0]) for number in range(4000)}) == 10  # 3 of 5


def test_a_span_stays_within_its_segment():
    ids = np.repeat([[CLS, 5, 6, SEP, 7, 8, SEP]], 3000, 0).astype(np.int32)
    rows = {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": np.ones_like(ids)}
    masked = Masker(VOCABULARY, Masking(0.3, max_ngram=2), SEED)(rows, 0, np.arange(3000))  # 2 to predict
    outcomes = {tuple(found_in(masked, number)[0]) for number in range(3000)}
    assert outcomes == {(1, 2), (4, 5), (1, 4), (1, 5), (2, 4), (2, 5)}


def test_rows_in_which_nothing_can_be_masked_have_no_masks():
    ids = np.array([[CLS, SEP, PAD], [PAD, PAD, PAD]], np.int32)
    rows = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": (ids != PAD).astype(np.int32)}
    for masking in KINDS.values():
        masked = Masker(VOCABULARY, masking, SEED)(rows, 0, np.arange(2))
        assert not masked["mask_weights"].any() and (masked["token_ids"] == ids).all()
        empty = {name: value[:0] for name, value in rows.items()}
        assert Masker(VOCABULARY, masking, SEED)(empty, 0, np.arange(0))["mask_ids"].shape[0] == 0


def test_padding_is_never_masked_even_where_the_mask_calls_it_real():
    ids = np.array([[CLS, 5, SEP, PAD, PAD]], np.int32)
    rows = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": np.ones_like(ids)}
    masked = Masker(VOCABULARY, Masking(1.0), SEED)(rows, 0, [0])
    assert found_in(masked, 0) == ([1], [5])
    rows["padding_mask"] = np.array([[1, 0, 1, 0, 0]])
    assert found_in(Masker(VOCABULARY, Masking(1.0), SEED)(rows, 0, [0]), 0) == ([], [])


def test_shares_of_one_do_one_thing_only():
    rows = random_examples(300).padded(60, PAD)

    def masked(**shares):
        drawn = Masker(VOCABULARY, Masking(1.0, 60, **shares), SEED)(rows, 0, np.arange(300))
        return drawn["token_ids"], ~np.isin(rows["token_ids"], (CLS, SEP, PAD))

    ids, chosen = masked(mask_share=1.0, random_share=0.0)
    assert (ids[chosen] == MASK).all() and (ids[~chosen] == rows["token_ids"][~chosen]).all()
    ids, _ = masked(mask_share=0.0, random_share=0.0)
    assert (ids == rows["token_ids"]).all()
    ids, chosen = masked(mask_share=0.0, random_share=1.0)
    assert set(ids[chosen].tolist()) == set(range(SIZE))  # specials too, as published


def test_a_vocabulary_without_mask_is_refused():
    with pytest.raises(VocabularyError, match=r"has no \[MASK\].*To fix: write \[MASK\] over"):
        Masker(Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]"]), Masking(), 1)


@pytest.mark.parametrize("wrong", [SIZE, -1, 2**31 - 1])
def test_ids_of_another_vocabulary_are_refused(wrong):
    ids = np.array([[CLS, wrong, SEP]], np.int32)
    rows = {"token_ids": ids, "segment_ids": ids, "padding_mask": np.ones_like(ids)}
    for masking in KINDS.values():
        with pytest.raises(VocabularyError, match=f"token_ids: The id {wrong} is not of the vocabulary"):
            Masker(VOCABULARY, masking, SEED)(rows, 0, [0])


@pytest.mark.parametrize(
    "value, flag",
    [
        ({"masked_lm_prob": 0}, "--masked_lm_prob"),
        ({"masked_lm_prob": 1.1}, "--masked_lm_prob"),
        ({"masked_lm_prob": float("nan")}, "--masked_lm_prob"),
        ({"masked_lm_prob": "0.15"}, "--masked_lm_prob"),
        ({"masked_lm_prob": True}, "--masked_lm_prob"),
        ({"max_predictions_per_seq": 0}, "--max_predictions_per_seq"),
        ({"max_predictions_per_seq": 2.0}, "--max_predictions_per_seq"),
        ({"max_ngram": 0}, "--max_ngram"),
        ({"max_ngram": True}, "--max_ngram"),
        ({"whole_word": 1}, "--do_whole_word_mask"),
        ({"mask_share": -0.1}, "mask_share"),
        ({"random_share": 1.5}, "random_share"),
        ({"mask_share": 0.8, "random_share": 0.3}, "random_share"),
    ],
)
def test_values_out_of_range_are_refused_by_name(value, flag):
    with pytest.raises(UsageError, match=f"^{flag}: The value is "):
        Masking(**value)
    assert dataclasses.replace(Masking(), masked_lm_prob=1) and Masking(mask_share=0.9)


# The law by the numbers, over many examples.


def chi_square(counts, expected):
    """In standard deviations of what cells with these expectations have."""
    counts, expected = np.asarray(counts, float), np.broadcast_to(expected, np.shape(counts))
    freedom = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


def one_word_rows(count, length, piece=FIRST_WORD, middle=None):
    ids = np.full((count, length), piece, np.int32)
    ids[:, 0], ids[:, -1] = CLS, SEP
    if middle:
        ids[:, middle] = SEP
    return {"token_ids": ids, "segment_ids": np.zeros_like(ids), "padding_mask": np.ones_like(ids)}


@pytest.mark.parametrize("kind", ["pieces", "words", "spans"])
def test_two_hundred_thousand_examples_follow_the_shares_of_the_law(kind):
    rows, masker = one_word_rows(1000, 64, middle=30), Masker(VOCABULARY, KINDS[kind], SEED)
    places, became, masks_at = np.zeros(64), np.zeros(SIZE), np.zeros(64)
    number = masker.masking.num_to_predict(64)
    for epoch in range(4):
        for begin in range(0, 50_000, 1000):
            masked = masker(rows, epoch, begin + np.arange(1000))
            assert (masked["mask_weights"].sum(1) == number).all() and number == 10
            chosen = masked["mask_positions"][:, :number]
            stands = np.take_along_axis(masked["token_ids"], chosen, 1)
            places += np.bincount(chosen.ravel(), minlength=64)
            became += np.bincount(stands.ravel(), minlength=SIZE)
            masks_at += np.bincount(chosen[stands == MASK], minlength=64)
    total = places.sum()
    assert total == 200_000 * number
    assert not places[[0, 30, 63]].any(), "never [CLS] and [SEP]"
    # 80 % [MASK], 10 % unchanged, 10 % random, which is [MASK] or unchanged again once in SIZE times.
    expected = np.array([0.8 + 0.1 / SIZE, 0.1 + 0.1 / SIZE, 0.1 - 0.2 / SIZE]) * total
    share = [became[MASK], became[FIRST_WORD], total - became[MASK] - became[FIRST_WORD]]
    assert abs(chi_square(share, expected)) < 5
    others = np.delete(became, [MASK, FIRST_WORD])
    assert abs(chi_square(others, others.sum() / others.size)) < 5, (
        "every piece of the vocabulary is as likely"
    )
    candidates = np.delete(places, [0, 30, 63])  # 61 of which 10 are drawn without putting back
    if kind != "spans":  # the second word of a segment is in more spans than the first
        # Such counts vary by (61 - 10) / 60 as much as independent ones.
        scatter = (((candidates - total / 61) ** 2 / (total / 61)).sum() * 60 / 51 - 60) / np.sqrt(120)
        assert abs(scatter) < 5, "every place is as likely"
    masks = np.delete(masks_at, [0, 30, 63]) / candidates
    assert (abs(masks - 0.801) < 5 * np.sqrt(0.16 / candidates)).all(), "80 % at every place"


def test_masks_of_two_epochs_overlap_as_if_drawn_independently():
    rows, masker = one_word_rows(20_000, 64), Masker(VOCABULARY, Masking(), SEED)
    marks = []
    for epoch in (0, 1):
        mark = np.zeros((20_000, 64), bool)
        np.put_along_axis(mark, masker(rows, epoch, np.arange(20_000))["mask_positions"][:, :10], True, 1)
        marks.append(mark)
    overlap = (marks[0] & marks[1]).sum() / 20_000
    assert abs(overlap - 10 * 10 / 62) < 5 * 1.1 / np.sqrt(20_000)


def test_lengths_of_spans_are_drawn_with_one_over_n():
    # Of three to predict among so many words the first span is hardly ever touched by another.
    counts, count, length = np.zeros(4), 6000, 1500
    rows = one_word_rows(200, length)
    masker = Masker(VOCABULARY, Masking(3 / length, 20, max_ngram=3), SEED)
    for begin in range(0, count, 200):
        indices = begin + np.arange(200)
        masked = masker(rows, 0, indices)
        order = bits(SEED, ORDER, 0, indices[:, None], np.arange(1, length - 4))
        first = 1 + order.argmin(1)
        chosen = np.zeros((200, length), bool)
        np.put_along_axis(chosen, masked["mask_positions"][:, :3], True, 1)
        second, third = (chosen[np.arange(200), first + shift] for shift in (1, 2))
        counts += np.bincount(1 + second + (second & third), minlength=4)
    expected = np.array([6, 3, 2]) / 11
    assert (abs(counts[1:] / count - expected) < 5 * np.sqrt(expected * (1 - expected) / count) + 0.004).all()
