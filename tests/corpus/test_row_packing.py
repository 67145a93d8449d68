"""Packed rows hold every example once and whole; buckets pad little."""

import numpy as np
import pytest

from keras_bert.corpus.examples import NO_PAIR, Examples
from keras_bert.corpus.masking import Masker, Masking
from keras_bert.corpus.row_packing import length_buckets, pack, packed_rows
from keras_bert.errors import DataError, UsageError
from keras_bert.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{n}" for n in range(50))])
CLS, SEP = VOCABULARY.cls_id, VOCABULARY.sep_id
OF_A_PIECE = ("token_ids", "segment_ids", "padding_mask")


def skewed_lengths(rng, count, longest):
    """Most are short, a tenth is as long as can be: what short_seq_prob and short documents make."""
    lengths = np.minimum(3 + rng.exponential(longest / 4, count).astype(int), longest)
    return np.where(rng.random(count) < 0.1, longest, lengths)


def masked_examples(lengths, seed=0, slots=20):
    """What a Masker makes of random pairs of these lengths, with labels."""
    rng = np.random.default_rng(seed)
    lengths = np.asarray(lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = rng.integers(5, len(VOCABULARY), starts[-1]).astype(np.int32)
    ids[starts[:-1]], ids[starts[1:] - 1] = CLS, SEP
    label = rng.integers(0, 2, len(lengths)).astype(np.int8)
    examples = Examples(ids, starts, (lengths // 2).astype(np.int32), label)
    rows = examples.padded(max(lengths, default=0) + 3)
    masked = Masker(VOCABULARY, Masking(0.15, slots), 1)(rows, 0, np.arange(len(lengths)))
    return masked | {"next_sentence_label": label.astype(np.int32)}


def unpacked(rows, row, number, length):
    """One example again, as it was before packing: dict of lists."""
    own = rows["example_ids"][row] == number + 1
    start = int(rows["cls_positions"][row, number])
    assert np.flatnonzero(own).tolist() == list(range(start, start + length))
    assert rows["position_ids"][row, own].tolist() == list(range(length))
    slots = (rows["mask_weights"][row] > 0) & own[rows["mask_positions"][row]]
    return {name: rows[name][row, own].tolist() for name in OF_A_PIECE} | {
        "mask_positions": (rows["mask_positions"][row, slots] - start).tolist(),
        "mask_ids": rows["mask_ids"][row, slots].tolist(),
        "next_sentence_label": int(rows["next_sentence_label"][row, number]),
    }


def test_the_example_of_the_docstring():
    ids = np.array([[CLS, 5, SEP, 0], [CLS, 6, 7, SEP], [CLS, SEP, 0, 0]], np.int32)
    masked = {
        "token_ids": ids,
        "segment_ids": np.array([[0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]], np.int32),
        "padding_mask": (ids != 0).astype(np.int32),
        "mask_positions": np.array([[1, 0], [1, 2], [0, 0]], np.int32),
        "mask_ids": np.array([[8, 0], [9, 7], [0, 0]], np.int32),
        "mask_weights": np.array([[1, 0], [1, 1], [0, 0]], np.float32),
        "next_sentence_label": np.array([1, 0, NO_PAIR]),
    }
    rows = packed_rows(masked, [3, 4, 2], [[0, 1, 2]], 10)
    assert {name: value.tolist() for name, value in rows.items()} == {
        "token_ids": [[CLS, 5, SEP, CLS, 6, 7, SEP, CLS, SEP, 0]],
        "segment_ids": [[0, 0, 0, 0, 0, 1, 1, 0, 0, 0]],
        "padding_mask": [[1, 1, 1, 1, 1, 1, 1, 1, 1, 0]],
        "position_ids": [[0, 1, 2, 0, 1, 2, 3, 0, 1, 0]],
        "example_ids": [[1, 1, 1, 2, 2, 2, 2, 3, 3, 0]],
        "mask_positions": [[1, 4, 5]],
        "mask_ids": [[8, 9, 7]],
        "mask_weights": [[1, 1, 1]],
        "cls_positions": [[0, 3, 7]],
        "next_sentence_label": [[1, 0, 0]],
        "example_weights": [[1, 1, 0]],
    }


@pytest.mark.parametrize("seed", range(20))
def test_every_example_is_packed_once_and_no_row_is_too_long(seed):
    rng = np.random.default_rng(seed)
    row_length = int(rng.integers(1, 200))
    lengths = rng.integers(1, row_length + 1, rng.integers(1, 300))
    rows = pack(lengths, row_length)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert all(sum(lengths[row]) <= row_length for row in rows)
    assert all(row == sorted(row) for row in rows) and rows == sorted(rows)
    assert rows == pack(lengths.tolist(), row_length), "deterministic, whatever holds the lengths"
    # No two rows would fit into one: what any fit guarantees, and next to no packing.
    totals = sorted(sum(lengths[row]) for row in rows)
    assert len(totals) < 2 or totals[0] + totals[1] > row_length


def test_the_longest_go_first_and_where_they_leave_the_least_room():
    assert pack([3, 7, 4, 6], 10) == [[0, 1], [2, 3]]
    assert pack([2, 5, 7, 3, 3], 10) == [[0, 1, 4], [2, 3]]  # the first 3 fills the row of the 7
    assert (
        pack([], 10) == [] and pack([10, 10], 10) == [[0], [1]] and pack([1] * 5, 2) == [[0, 1], [2, 3], [4]]
    )


@pytest.mark.parametrize("row_length", [128, 512])
@pytest.mark.parametrize("seed", range(3))
def test_rows_of_skewed_lengths_are_nearly_full(row_length, seed):
    lengths = skewed_lengths(np.random.default_rng(seed), 2000, row_length)
    rows = pack(lengths, row_length)
    assert lengths.sum() / (len(rows) * row_length) >= 0.98
    assert len(rows) <= 1.01 * np.ceil(lengths.sum() / row_length) + 1


@pytest.mark.parametrize("seed", range(10))
def test_unpacking_gives_back_every_example_exactly(seed):
    rng = np.random.default_rng(seed)
    row_length = int(rng.integers(10, 130))
    lengths = rng.integers(2, row_length + 1, 100)
    masked = masked_examples(lengths, seed)
    groups = pack(lengths, row_length)
    rows = packed_rows(masked, lengths, groups, row_length)
    seen = 0
    for row, group in enumerate(groups):
        for number, example in enumerate(group):
            length, used = lengths[example], masked["mask_weights"][example] > 0
            assert unpacked(rows, row, number, length) == {
                **{name: masked[name][example, :length].tolist() for name in OF_A_PIECE},
                **{name: masked[name][example, used].tolist() for name in ("mask_positions", "mask_ids")},
                "next_sentence_label": masked["next_sentence_label"][example],
            }
            seen += 1
    assert seen == 100
    assert rows["padding_mask"].sum() == lengths.sum() and rows["example_weights"].sum() == 100
    assert rows["mask_weights"].sum() == masked["mask_weights"].sum()
    assert (np.diff(rows["mask_positions"])[rows["mask_weights"][:, 1:] > 0] > 0).all(), "ascending"


def test_what_no_example_fills_is_zero_and_padding():
    lengths = [5, 9, 3]
    rows = packed_rows(
        masked_examples(lengths), lengths, [[2, 0], [1]], 12, pad_id=44, num_slots=6, num_examples=4
    )
    shapes = {name: value.shape for name, value in rows.items()}
    for name in (*OF_A_PIECE, "position_ids", "example_ids"):
        assert shapes[name] == (2, 12) and rows[name].dtype == np.int32
    for name in ("mask_positions", "mask_ids", "mask_weights"):
        assert shapes[name] == (2, 6)
    for name in ("cls_positions", "next_sentence_label", "example_weights"):
        assert shapes[name] == (2, 4)
    assert rows["mask_weights"].dtype == rows["example_weights"].dtype == np.float32
    assert (rows["token_ids"][rows["padding_mask"] == 0] == 44).all()
    assert ((rows["example_ids"] == 0) == (rows["padding_mask"] == 0)).all()
    for name in ("segment_ids", "position_ids"):
        assert not rows[name][rows["padding_mask"] == 0].any()
    assert rows["cls_positions"].tolist() == [[0, 3, 0, 0], [0, 0, 0, 0]]
    assert rows["example_weights"].tolist() == [[1, 1, 0, 0], [1, 0, 0, 0]]
    unused = rows["mask_weights"] == 0
    assert not rows["mask_positions"][unused].any() and not rows["mask_ids"][unused].any()


def test_the_order_of_the_groups_is_kept():
    lengths = np.array([4, 4, 4])
    masked = masked_examples(lengths)
    rows = packed_rows(masked, lengths, [[2], [1, 0]], 8)
    assert rows["token_ids"][0, :4].tolist() == masked["token_ids"][2, :4].tolist()
    assert rows["token_ids"][1].tolist() == masked["token_ids"][[1, 0], :4].ravel().tolist()


def test_examples_without_labels_have_no_weight():
    masked = masked_examples([4, 4])
    del masked["next_sentence_label"]
    rows = packed_rows(masked, [4, 4], [[0, 1]], 8)
    assert not rows["example_weights"].any() and rows["cls_positions"].tolist() == [[0, 4]]


def test_nothing_makes_no_rows():
    rows = packed_rows(masked_examples([4]), [4], [], 8)
    assert {value.shape[0] for value in rows.values()} == {0} and rows["token_ids"].shape == (0, 8)


def test_examples_that_do_not_fit_are_refused_by_number():
    with pytest.raises(DataError, match="the length of example 1 is 9. Expected: 1 to 8"):
        pack([8, 9, 10], 8)
    with pytest.raises(DataError, match="the length of example 2 is 0"):
        pack([8, 1, 0], 8)
    with pytest.raises(DataError, match="groups: the examples of row 1 have 9 pieces. Expected: at most 8"):
        packed_rows(masked_examples([4, 5]), [4, 5], [[0], [0, 1]], 8)
    with pytest.raises(UsageError, match="num_examples: a row has 2 examples"):
        packed_rows(masked_examples([4, 4]), [4, 4], [[0, 1]], 8, num_examples=1)
    with pytest.raises(UsageError, match="num_slots: a row has 2 masked slots"):
        packed_rows(masked_examples([4, 4]), [4, 4], [[0, 1]], 8, num_slots=1)


@pytest.mark.parametrize("seed", range(10))
def test_buckets_hold_every_example_once_and_are_long_enough(seed):
    rng = np.random.default_rng(seed)
    lengths = skewed_lengths(rng, int(rng.integers(1, 400)), 100)
    batch_size = int(rng.integers(1, 40))
    buckets = length_buckets(lengths, batch_size)
    assert sorted(np.concatenate([numbers for numbers, _ in buckets]).tolist()) == list(range(len(lengths)))
    assert sorted(len(numbers) for numbers, _ in buckets)[1:] == [batch_size] * (len(buckets) - 1)
    for numbers, padded in buckets:
        assert padded % 8 == 0 and padded - 8 < lengths[numbers].max() <= padded
        assert (np.diff(numbers) > 0).all()
    assert [int(numbers[0]) for numbers, _ in buckets] == sorted(int(numbers[0]) for numbers, _ in buckets)
    again = length_buckets(lengths.tolist(), batch_size)
    assert [(a.tolist(), b) for a, b in again] == [(a.tolist(), b) for a, b in buckets]


def test_buckets_of_equal_lengths_pad_little():
    lengths = skewed_lengths(np.random.default_rng(0), 4000, 128)
    padded = sum(len(numbers) * length for numbers, length in length_buckets(lengths, 32))
    assert lengths.sum() / padded > 0.9


def test_no_batch_is_padded_beyond_the_longest_row():
    assert [length for _, length in length_buckets([50, 3], 1, max_length=50)] == [50, 8]
    assert [length for _, length in length_buckets([50, 3], 1, multiple_of=1)] == [50, 3]
    assert length_buckets([], 4) == []
