"""Columns of features out of many `tf.train.Example`s at once.

Records of one writer hold the same features in the same order, each list packed. Where they do, all of them
are read side by side, a step of the layout at a time; every length must agree with every other. What is
otherwise, but valid, is read record by record.
"""

import dataclasses

import numpy as np

from keras_bert.corpus.proto_wire import (
    BYTES,
    EMPTY,
    FLOAT,
    KINDS,
    LENGTH,
    parse_example,
    read_varints,
    varint,
)
from keras_bert.errors import DataError

# So many orders of features are read side by side; a file that has more is a curiosity.
_MAX_LAYOUTS = 8


@dataclasses.dataclass(frozen=True)
class Column:
    """One feature of N records.

    Args:
        kind: int. BYTES, FLOAT or INT64.
        values: int64, float32, or for bytes uint8 array; those of all records end to end.
        starts: int64 array (N + 1,). Record i has `values[starts[i]:starts[i + 1]]`; none where it lacks
            the feature.
    """

    kind: int
    values: np.ndarray
    starts: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """int64 array (N,)."""
        return np.diff(self.starts)

    def take(self, order: np.ndarray) -> "Column":
        """The records in another order."""
        counts = self.counts[order]
        starts = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(self.starts[:-1][order] - starts[:-1], counts) + np.arange(starts[-1])
        return Column(self.kind, self.values[places], starts)


def read_columns(data, begins, ends, where: str, numbers=None) -> dict[str, Column]:
    """The features of records.

    Args:
        data: bytes, memoryview or uint8 array.
        begins, ends: int arrays (N,). Where each record lies in the data.
        where: str. The file, for the message.
        numbers: int array (N,) or None. The records' numbers in the file, for the message.
    Returns:
        dict of name to Column.
    Raises:
        DataError: a record is no Example, or has a feature in another type than the ones before it.
    """
    data = np.frombuffer(data, np.uint8)
    begins, ends = np.asarray(begins, np.int64), np.asarray(ends, np.int64)
    numbers = np.arange(len(begins)) if numbers is None else numbers
    left, odd, parts = np.arange(len(begins)), [], []
    for _ in range(_MAX_LAYOUTS):
        if not len(left):
            break
        first = data[begins[left[0]] : ends[left[0]]].tobytes()
        features = parse_example(first, _record(where, numbers[left[0]]))
        layout = tuple((name, kind) for name, (kind, _) in features.items())
        fits, columns = _read_side_by_side(data, begins[left], ends[left], layout)
        if not fits[0]:
            odd.append(left[0])
            fits[0] = False
        if fits.any():
            parts.append((left[fits], columns))
        left = left[~fits][0 if fits[0] else 1 :]
    odd += left.tolist()
    if odd:
        rows = [data[begins[i] : ends[i]].tobytes() for i in odd]
        parsed = [parse_example(row, _record(where, numbers[i])) for row, i in zip(rows, odd, strict=True)]
        parts.append((np.array(odd), _columns_of(parsed, [numbers[i] for i in odd], where)))
    return _joined(parts, where, numbers)


def _record(where: str, number) -> str:
    return f"{where}, record {number}"


def _columns_of(parsed: list[dict], numbers, where: str) -> dict[str, Column]:
    """Columns of records that were read one by one."""
    kinds: dict[str, int] = {}
    for number, features in zip(numbers, parsed, strict=True):
        for name, (kind, _) in features.items():
            if kinds.setdefault(name, kind) != kind:
                raise _other_kind(name, kind, kinds[name], _record(where, number))
    result = {}
    for name, kind in kinds.items():
        values = [features[name][1] if name in features else EMPTY[kind] for features in parsed]
        starts = np.concatenate([[0], np.cumsum([len(row) for row in values])])
        result[name] = Column(kind, np.concatenate(values), starts)
    return result


def _joined(parts, where: str, numbers) -> dict[str, Column]:
    """The columns of all records, from those of some each: (which, columns)."""
    if len(parts) == 1:
        return parts[0][1]
    result = {}
    for name in {name: None for _, columns in parts for name in columns}:
        kinds = [(columns[name].kind, numbers[which[0]]) for which, columns in parts if name in columns]
        kind = kinds[0][0]
        for other, number in kinds:
            if other != kind:
                raise _other_kind(name, other, kind, _record(where, number))
        found = [
            columns.get(name) or Column(kind, EMPTY[kind], np.zeros(len(which) + 1, np.int64))
            for which, columns in parts
        ]
        counts = np.concatenate([column.counts for column in found])
        starts = np.concatenate([[0], np.cumsum(counts)])
        whole = Column(kind, np.concatenate([column.values for column in found]), starts)
        result[name] = whole.take(np.argsort(np.concatenate([which for which, _ in parts])))
    return result


def _other_kind(name, kind, other, where) -> DataError:
    return DataError(
        f"The feature `{name}` is of type {KINDS[kind]} here and {KINDS[other]} elsewhere", where=where
    )


# Side by side


def _read_side_by_side(data, begins, ends, layout) -> tuple[np.ndarray, dict[str, Column]]:
    """Which records are laid out exactly so, and the columns of those."""
    cursor = _Cursor(data, begins, ends)
    cursor.expect(b"\x0a")
    cursor.expect_length_to(ends)
    spans = {}
    for name, kind in layout:
        cursor.expect(b"\x0a")
        end = cursor.length_end()
        key = name.encode()
        cursor.expect(b"\x0a" + varint(len(key)) + key + b"\x12")
        cursor.expect_length_to(end)
        cursor.expect(bytes([kind << 3 | LENGTH]))
        cursor.expect_length_to(end)
        cursor.expect(b"\x0a")
        cursor.expect_length_to(end)
        spans[name] = cursor.at, end
        cursor.at = end
    fits = cursor.fits & (cursor.at == ends)
    columns, good = {}, np.flatnonzero(fits)
    for name, kind in layout:
        begin, end = (bound[good] for bound in spans[name])
        columns[name] = _column(data, begin, end, kind)
        if columns[name] is None:  # one by one then, which names the record
            return np.zeros(len(begins), bool), {}
    return fits, columns


class _Cursor:
    """A place in each of many records, moved onwards together; `fits` says which still are as expected."""

    def __init__(self, data, begins, ends):
        self.data, self.at, self.ends = data, begins, ends
        self.fits = np.ones(len(begins), bool)

    def expect(self, text: bytes):
        """These bytes come next."""
        for place, byte in enumerate(text):
            self.fits &= self.data.take(self.at + place, mode="clip") == byte
        self.at = self.at + len(text)
        self.fits &= self.at <= self.ends

    def length_end(self) -> np.ndarray:
        """Where that ends whose length comes next; the cursor then stands at its beginning."""
        value = np.zeros(len(self.at), np.int64)
        goes_on, at = np.ones(len(self.at), bool), self.at
        for place in range(5):
            byte = self.data.take(at, mode="clip")
            value |= np.where(goes_on, (byte & np.int64(0x7F)) << 7 * place, 0)
            at = at + goes_on
            goes_on = goes_on & (byte >= 0x80)
            if not goes_on.any():
                break
        end = at + value
        self.fits &= ~goes_on & (end <= self.ends)
        self.at = at
        return np.where(self.fits, end, self.ends)

    def expect_length_to(self, end: np.ndarray):
        """A length comes next, of what fills all up to `end`."""
        self.fits &= self.length_end() == end


def _column(data, begins, ends, kind: int) -> Column | None:
    """The values between the bounds, packed; None where some are not whole."""
    sizes = ends - begins
    borders = np.concatenate([[0], np.cumsum(sizes)])
    if borders[-1] < 16 * len(sizes):
        flat = data[np.repeat(begins - borders[:-1], sizes) + np.arange(borders[-1])]
    else:  # long ones are cheaper as slices
        view = memoryview(data)
        slices = [view[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        flat = np.frombuffer(b"".join(slices), np.uint8)
    if kind == BYTES:
        return Column(kind, flat, borders)
    if kind == FLOAT:
        return None if (borders % 4).any() else Column(kind, flat.view("<f4"), borders // 4)
    values, borders, is_valid = read_varints(flat, borders)
    return Column(kind, values, borders) if is_valid else None
