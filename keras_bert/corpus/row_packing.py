"""Short examples share a row, or rows are padded to the length of their batch only.

Packed, three examples of 3, 4 and 2 pieces in a row of 10:

    token_ids      c a s c b b s c s 0
    position_ids   0 1 2 0 1 2 3 0 1 0
    example_ids    1 1 1 2 2 2 2 3 3 0     attention is allowed between equal numbers only
    cls_positions  0 3 7
"""

import bisect
from collections.abc import Sequence

import numpy as np

from keras_bert.errors import DataError, UsageError


def pack(lengths, row_length: int) -> list[list[int]]:
    """Puts examples together into rows: the longest first, each where it leaves the least room.

    Args:
        lengths: int array (N,). Pieces of each example of the window that is packed at once. With some
            thousands of examples the rows are nearly full.
        row_length: int. Pieces a row can hold.

    Returns:
        List of rows, each the numbers of its examples, ascending; the rows in the order of their first.

    Raises:
        DataError: an example is empty or longer than a row.
    """
    lengths = np.asarray(lengths, np.int64)
    for number in np.flatnonzero((lengths < 1) | (lengths > row_length))[:1]:
        raise DataError(
            f"the length of example {number} is {lengths[number]}",
            where="lengths",
            expected=f"1 to {row_length}, the length of a row",
            remedy="pack into longer rows, or build the corpus with a smaller --max_seq_length",
        )
    rows: list[list[int]] = []
    with_room: dict[int, list[int]] = {}  # room left -> the rows that have it
    rooms: list[int] = []  # the keys of `with_room`, ascending
    order = np.argsort(-lengths, kind="stable")
    for number, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        place = bisect.bisect_left(rooms, length)
        if place < len(rooms):
            room = rooms[place]
            row = with_room[room].pop()
            if not with_room[room]:
                del with_room[room], rooms[place]
        else:
            room, row = row_length, len(rows)
            rows.append([])
        rows[row].append(number)
        if room - length not in with_room:
            with_room[room - length] = []
            bisect.insort(rooms, room - length)
        with_room[room - length].append(row)
    return sorted(sorted(row) for row in rows)


def packed_rows(
    masked: dict,
    lengths,
    groups: Sequence[Sequence[int]],
    row_length: int,
    pad_id: int = 0,
    num_slots: int | None = None,
    num_examples: int | None = None,
) -> dict[str, np.ndarray]:
    """Lays masked examples end to end into rows.

    Args:
        masked: dict. What a `Masker` returns for N examples, and perhaps `next_sentence_label` and
            `record_indices` (N,).
        lengths: int array (N,). Real pieces of each; they come first in its row.
        groups: sequence of sequences of int. The examples of each of the R rows, as `pack` returns them.
        row_length: int. The length T of the new rows.
        pad_id: int. What stands where no example is.
        num_slots: int or None. Masked slots M of a row. None: those of the fullest row.
        num_examples: int or None. Places P for examples of a row. None: those of the fullest row.

    Returns:
        dict of `token_ids`, `segment_ids`, `padding_mask`, `position_ids` (from 0 in each example),
        `example_ids` (1, 2, ... in a row; 0 for padding): int32 (R, T); `mask_positions` (in the row),
        `mask_ids`: int32 (R, M); `mask_weights`: float32 (R, M); `cls_positions`, `next_sentence_label`:
        int32 (R, P); `example_weights`: float32 (R, P), 1 where there is a label, 0 in unused places and for
        an example that is no pair; `record_indices`: int64 (R, P), -1 in unused places, if they are given.

    Raises:
        DataError: a row's examples are too long together.
        UsageError: a row needs more than `num_slots` or `num_examples`.
    """
    lengths = np.asarray(lengths, np.int64)
    sizes = np.array([len(group) for group in groups], np.int64)  # (R,)
    examples = np.array([number for group in groups for number in group], np.int64)  # (K,)
    row = np.repeat(np.arange(len(groups)), sizes)  # (K,) of each example
    number = _place_within(sizes)  # (K,) of the example in its row
    totals = np.bincount(row, lengths[examples], len(groups)).astype(np.int64)  # (R,)
    for full in np.flatnonzero(totals > row_length)[:1]:
        raise DataError(
            f"the examples of row {full} have {totals[full]} pieces",
            where="groups",
            expected=f"at most {row_length}, the length of a row",
        )
    starts = np.cumsum(lengths[examples]) - lengths[examples]
    starts -= np.repeat(np.cumsum(totals) - totals, sizes)  # (K,) of the example in its row
    rows = _pieces(
        masked, examples, lengths[examples], row, number, starts, (len(groups), row_length), pad_id
    )
    rows |= _slots(masked, examples, row, starts, len(groups), num_slots)
    return rows | _labels(masked, examples, row, number, starts, sizes, num_examples)


def length_buckets(
    lengths, batch_size: int, multiple_of: int = 8, max_length: int | None = None
) -> list[tuple[np.ndarray, int]]:
    """Batches of examples of about one length.

    Args:
        lengths: int array (N,). Pieces of each example of the window that is sorted at once.
        batch_size: int. The last batch, of the longest examples, may be smaller.
        multiple_of: int. What batches are padded to multiples of, so that there are few shapes.
        max_length: int or None. No batch is padded beyond it, whatever `multiple_of` says.

    Returns:
        List of (the numbers of the examples, ascending, int64 array; the length to pad them to), in the order
        of their first numbers.
    """
    lengths = np.asarray(lengths, np.int64)
    order = np.argsort(lengths, kind="stable")
    buckets = []
    for begin in range(0, len(order), batch_size):
        numbers = np.sort(order[begin : begin + batch_size])
        longest = int(lengths[numbers].max())
        padded = -(-longest // multiple_of) * multiple_of
        buckets.append((numbers, padded if max_length is None else max(longest, min(padded, max_length))))
    return sorted(buckets, key=lambda bucket: bucket[0][0])


def _place_within(sizes) -> np.ndarray:
    """[2, 3] -> [0, 1, 0, 1, 2]."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _pieces(masked, examples, lengths, row, number, starts, shape, pad_id) -> dict:
    """The features of a place in the row."""
    within = _place_within(lengths)  # of each piece in its example
    source = np.repeat(examples, lengths), within
    target = np.repeat(row, lengths), np.repeat(starts, lengths) + within
    rows = {"token_ids": np.full(shape, pad_id, np.int32)}
    for name in ("segment_ids", "padding_mask", "position_ids", "example_ids"):
        rows[name] = np.zeros(shape, np.int32)
    for name in ("token_ids", "segment_ids", "padding_mask"):
        rows[name][target] = masked[name][source]
    rows["position_ids"][target] = within
    rows["example_ids"][target] = np.repeat(number + 1, lengths)
    return rows


def _slots(masked, examples, row, starts, num_rows, num_slots) -> dict:
    """The features of a masked slot."""
    is_used = masked["mask_weights"][examples] > 0  # (K, slots of an example)
    example, slot = np.nonzero(is_used)
    counts = np.bincount(row, is_used.sum(1), num_rows).astype(np.int64)  # (R,)
    shape = num_rows, _width("num_slots", num_slots, counts, "masked slots")
    target = row[example], _place_within(counts)
    rows = {name: np.zeros(shape, np.int32) for name in ("mask_positions", "mask_ids")}
    rows["mask_weights"] = np.zeros(shape, np.float32)
    for name in rows:
        rows[name][target] = masked[name][examples[example], slot]
    rows["mask_positions"][target] += starts[example].astype(np.int32)
    return rows


def _labels(masked, examples, row, number, starts, sizes, num_examples) -> dict:
    """The features of an example of a row."""
    shape = len(sizes), _width("num_examples", num_examples, sizes, "examples")
    rows = {name: np.zeros(shape, np.int32) for name in ("cls_positions", "next_sentence_label")}
    rows["example_weights"] = np.zeros(shape, np.float32)
    rows["cls_positions"][row, number] = starts
    if "next_sentence_label" in masked:
        label = np.asarray(masked["next_sentence_label"])[examples]
        rows["next_sentence_label"][row, number] = np.maximum(label, 0)
        rows["example_weights"][row, number] = label >= 0  # NO_PAIR is below
    if "record_indices" in masked:
        rows["record_indices"] = np.full(shape, -1, np.int64)
        rows["record_indices"][row, number] = masked["record_indices"][examples]
    return rows


def _width(name, given, counts, what) -> int:
    needed = int(counts.max(initial=0))
    if given is not None and needed > given:
        raise UsageError(f"a row has {needed} {what}", where=name, expected=f"{needed} or more, not {given}")
    return needed if given is None else given
