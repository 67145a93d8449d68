"""Pretraining records as `tf.train.Example`: ours, ours with their masks, and those of Google's script.

ours      token_ids · segment_b (where B begins) · next_sentence_label · continues (bits)
static    the same, token_ids with the masks in them, and mask_positions · mask_ids of the used slots
Google's  input_ids · input_mask · segment_ids · masked_lm_positions, _ids, _weights · next_sentence_labels
"""

import functools

import numpy as np

from keras_bert.corpus.examples import NO_PAIR, Examples
from keras_bert.corpus.proto_columns import Column, read_columns
from keras_bert.corpus.proto_wire import BYTES, FLOAT, INT64, KINDS, example, feature_head, varint, varints
from keras_bert.errors import DataError

# Google's name, that of TensorFlow's Model Garden, ours, and the feature of the same width.
_GOOGLE = (
    ("input_ids", "input_word_ids", "token_ids", None),
    ("input_mask", "input_mask", "padding_mask", "token_ids"),
    ("segment_ids", "input_type_ids", "segment_ids", "token_ids"),
    ("masked_lm_positions", "masked_lm_positions", "mask_positions", None),
    ("masked_lm_ids", "masked_lm_ids", "mask_ids", "mask_positions"),
    ("masked_lm_weights", "masked_lm_weights", "mask_weights", "mask_positions"),
)
_GOOGLE_LABEL = "next_sentence_labels"
_REMEDY = "name files of pretraining records, or build them again with `keras-bert corpus`"
_MAX_ID = 2**31


# Writing


def encode_examples(examples: Examples) -> list[bytes]:
    """Examples without masks as records.

    Args:
        examples: Examples.
    Returns:
        list of bytes, one for each.
    """
    return _encoded(examples, examples.token_ids)


def encode_masked(masked: dict, examples: Examples) -> list[bytes]:
    """Examples as records, with the masks they were given.

    Args:
        masked: dict. What a Masker makes of the examples: token_ids (N, T), mask_positions, mask_ids,
            mask_weights (N, M).
        examples: Examples.
    Returns:
        list of bytes, one for each.
    """
    is_real = np.arange(masked["token_ids"].shape[1]) < examples.lengths[:, None]  # (N, T)
    is_used = masked["mask_weights"] > 0  # (N, M)
    starts = np.concatenate([[0], np.cumsum(is_used.sum(axis=1))])
    slots = [(name, _packed(name, masked[name][is_used], starts)) for name in ("mask_positions", "mask_ids")]
    return _encoded(examples, masked["token_ids"][is_real], slots)


def encode_google(masked: dict) -> list[bytes]:
    """Masked rows as the records of Google's create_pretraining_data.py.

    Args:
        masked: dict. token_ids, segment_ids, padding_mask (N, T), mask_positions, mask_ids, mask_weights
            (N, M), next_sentence_label (N,); the label may be missing.
    Returns:
        list of bytes, one for each row.
    """
    parts = []
    for name, _, ours, _ in _GOOGLE:
        rows = masked[ours]
        starts = np.arange(len(rows) + 1) * rows.shape[1]
        if ours == "mask_weights":
            parts.append(_floats(name, rows))
        else:
            parts.append(_packed(name, rows.ravel(), starts))
    if "next_sentence_label" in masked:
        parts.append([_one_number(_GOOGLE_LABEL, label) for label in masked["next_sentence_label"].tolist()])
    return [example(record) for record in zip(*parts, strict=True)]


def _encoded(examples: Examples, token_ids, slots=()) -> list[bytes]:
    parts = [_packed("token_ids", token_ids, examples.starts)]
    parts.append([_one_number("segment_b", place) for place in examples.b_starts.tolist()])
    parts.append(
        [
            b"" if label == NO_PAIR else _one_number("next_sentence_label", label)
            for label in examples.next_sentence_label.tolist()
        ]
    )
    if examples.continues is not None:
        flags = [
            np.packbits(examples.continues[begin:end]).tobytes()
            for begin, end in zip(examples.starts[:-1], examples.starts[1:], strict=True)
        ]
        parts.append([feature_head("continues", BYTES, len(bits)) + bits for bits in flags])
    parts += [part for _, part in slots]
    return [example(record) for record in zip(*parts, strict=True)]


def _packed(name: str, values, starts) -> list[bytes]:
    """A feature of integers, of every record."""
    data, bounds = varints(values, starts)
    bounds = bounds.tolist()
    return [
        feature_head(name, INT64, end - begin) + data[begin:end]
        for begin, end in zip(bounds[:-1], bounds[1:], strict=True)
    ]


def _floats(name: str, rows) -> list[bytes]:
    head = feature_head(name, FLOAT, 4 * rows.shape[1])
    return [head + row.tobytes() for row in rows.astype("<f4")]


@functools.lru_cache(maxsize=2**16)
def _one_number(name: str, value: int) -> bytes:
    text = varint(value % 2**64)
    return feature_head(name, INT64, len(text)) + text


# Reading


def kind_of(names) -> str | None:
    """What records with these features are: "dynamic", "static", "google", or None for something else."""
    names = set(names)
    if {"token_ids", "segment_b"} <= names:
        return "static" if "mask_positions" in names else "dynamic"
    is_google = {"masked_lm_positions", "masked_lm_ids"} <= names
    return "google" if is_google and names & {"input_ids", "input_word_ids"} else None


def decode_examples(data, begins, ends, where: str, numbers=None) -> Examples:
    """The examples of records, without their masks if they have any.

    Args:
        data: bytes, memoryview or uint8 array.
        begins, ends: int arrays (N,). Where each record lies in the data.
        where: str. The file, for the message.
        numbers: int array (N,) or None. The records' numbers in the file, for the message.
    Raises:
        DataError: a record is no such example; names its number.
    """
    return _Reader(data, begins, ends, where, numbers).examples()


def decode_masked(data, begins, ends, where: str, numbers=None, num_slots=None) -> tuple[Examples, dict]:
    """The examples of records that hold their masks, and the masks.

    Args:
        data, begins, ends, where, numbers: as for `decode_examples`.
        num_slots: int or None. The slots M of every row; None: as many as the most that are used.
    Returns:
        Examples, whose `token_ids` have the masks in them; and {mask_positions, mask_ids: int32 (N, M),
        mask_weights: float32 (N, M)}.
    Raises:
        DataError: a record is no such example; names its number.
    """
    reader = _Reader(data, begins, ends, where, numbers)
    examples = reader.examples()
    return examples, reader.masks(examples.lengths, num_slots)


def decode_google(data, begins, ends, where: str, numbers=None) -> dict[str, np.ndarray]:
    """The rows of records of Google's script, or of the Model Garden's.

    Args:
        data, begins, ends, where, numbers: as for `decode_examples`.
    Returns:
        {token_ids, segment_ids, padding_mask: int32 (N, T), mask_positions, mask_ids: int32 (N, M),
        mask_weights: float32 (N, M), next_sentence_label: int32 (N,)}; no label where the records have none.
    Raises:
        DataError: a record is no such example, or of another length than the first; names its number.
    """
    return _Reader(data, begins, ends, where, numbers).google_rows()


class _Reader:
    """The columns of some records, checked; an error names the first record that is wrong."""

    def __init__(self, data, begins, ends, where, numbers):
        self.columns = read_columns(data, begins, ends, where, numbers)
        self.size, self.where = len(begins), where
        self.numbers = np.arange(self.size) if numbers is None else np.asarray(numbers)

    def examples(self) -> Examples:
        tokens = self.column("token_ids", INT64)
        lengths = tokens.counts
        self.check(lengths > 0, "It has no `token_ids`", "the features of our pretraining records")
        self.check_values(tokens, 0, _MAX_ID, "token_ids")
        b_starts = self.one_number("segment_b")
        self.check(
            (b_starts >= 0) & (b_starts <= lengths), "`segment_b` is outside the example", "0 to its length"
        )
        label = self.one_number("next_sentence_label", missing=NO_PAIR)
        is_label = (label == 0) | (label == 1)
        self.check(is_label | (label == NO_PAIR), "`next_sentence_label` is neither", "0 or 1")
        self.check(
            is_label == (b_starts < lengths), "`next_sentence_label` and B do not go together", "both or none"
        )
        return Examples(
            tokens.values.astype(np.int32),
            tokens.starts,
            b_starts.astype(np.int32),
            label.astype(np.int8),
            self.flags(tokens) if "continues" in self.columns else None,
        )

    def flags(self, tokens: Column) -> np.ndarray:
        bits = self.column("continues", BYTES)
        self.check(
            bits.counts == (tokens.counts + 7) // 8, "`continues` is of another length", "a bit for each id"
        )
        first_bits = np.repeat(8 * bits.starts[:-1] - tokens.starts[:-1], tokens.counts)
        return np.unpackbits(bits.values)[first_bits + np.arange(len(tokens.values))].astype(bool)

    def masks(self, lengths, num_slots) -> dict[str, np.ndarray]:
        positions, ids = self.column("mask_positions", INT64), self.column("mask_ids", INT64)
        counts = positions.counts
        self.check(
            ids.counts == counts, "`mask_positions` and `mask_ids` differ in length", "one of each for a slot"
        )
        if num_slots is not None:
            self.check(counts <= num_slots, "It has more masks than a row has slots", f"at most {num_slots}")
        self.check_values(ids, 0, _MAX_ID, "mask_ids")
        self.check_values(positions, 0, np.repeat(lengths, counts), "mask_positions")
        is_used = (
            np.arange(counts.max(initial=0) if num_slots is None else num_slots) < counts[:, None]
        )  # (N, M)
        rows = {
            "mask_positions": np.zeros(is_used.shape, np.int32),
            "mask_ids": np.zeros(is_used.shape, np.int32),
        }
        rows["mask_positions"][is_used], rows["mask_ids"][is_used] = positions.values, ids.values
        return {**rows, "mask_weights": is_used.astype(np.float32)}

    def google_rows(self) -> dict[str, np.ndarray]:
        rows = {}
        for google, garden, ours, like in _GOOGLE:
            name = google if google in self.columns else garden
            is_weight = ours == "mask_weights"
            column = self.column(name, FLOAT if is_weight else INT64)
            width = rows[like].shape[1] if like else int(column.counts[:1].sum())
            self.check(column.counts == width, f"`{name}` is of another length", f"{width} numbers")
            if not is_weight:
                bounds = {"padding_mask": 2, "mask_positions": rows["token_ids"].shape[1] if rows else 0}
                self.check_values(column, 0, bounds.get(ours, _MAX_ID), name)
            dtype = np.float32 if is_weight else np.int32
            rows[ours] = column.values.astype(dtype).reshape(self.size, width)
        if _GOOGLE_LABEL in self.columns:
            label = self.one_number(_GOOGLE_LABEL)
            self.check((label == 0) | (label == 1), f"`{_GOOGLE_LABEL}` is neither", "0 or 1")
            rows["next_sentence_label"] = label.astype(np.int32)
        return rows

    def column(self, name: str, kind: int) -> Column:
        column = self.columns.get(name)
        if column is None:
            column = Column(kind, np.empty(0, np.int64), np.zeros(self.size + 1, np.int64))
            self.check(column.counts > 0, f"It has no `{name}`", "the features of pretraining records")
        if column.kind != kind:
            found = f"`{name}` is of type {KINDS[column.kind]}"
            self.check(column.counts == 0, found, KINDS[kind])
        return column

    def one_number(self, name: str, missing: int | None = None) -> np.ndarray:
        """A feature of one integer, int64 (N,)."""
        result = np.full(self.size, 0 if missing is None else missing)
        if missing is not None and name not in self.columns:
            return result
        column = self.column(name, INT64)
        is_there = column.counts == 1
        if missing is None:
            self.check(column.counts > 0, f"It has no `{name}`", "one number")
        self.check(
            is_there if missing is None else column.counts <= 1, f"`{name}` is not one number", "one number"
        )
        result[is_there] = column.values
        return result

    def check_values(self, column: Column, least: int, limit, name: str):
        """Every value is at least `least` and below `limit`."""
        wrong = np.flatnonzero((column.values < least) | (column.values >= limit))
        if len(wrong):
            which = np.searchsorted(column.starts, wrong[0], side="right") - 1
            self.fail(which, f"`{name}` has the value {column.values[wrong[0]]}", "a value in its range")

    def check(self, is_right: np.ndarray, what: str, expected: str):
        if not is_right.all():
            self.fail(np.argmin(is_right), what, expected)

    def fail(self, which: int, what: str, expected: str):
        where = f"{self.where}, record {self.numbers[which]}"
        raise DataError(what, where=where, expected=expected, remedy=_REMEDY)
