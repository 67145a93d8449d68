"""The batches of an epoch: a pure function of the records, the seed and the epoch.

The shards are read in random order, each shard's examples in random order, and batches run on over the
borders of shards. So a place in the order says which example stands there, and whoever resumes reads from
there on.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from keras_bert.corpus.parts import Part, joined
from keras_bert.corpus.random_numbers import bits
from keras_bert.corpus.row_packing import length_buckets, pack, packed_rows
from keras_bert.errors import DataError, UsageError

_SHARDS, _EXAMPLES, _BATCHES = 20, 21, 22  # these uses of the random numbers
_AT_ONCE = 4096  # examples decoded at a time
_MASKED_AT_ONCE = 512  # small batches are masked together: NumPy's cost is by the call
# Examples that are sorted by length, or packed, at a time: batches and examples at most.
_WINDOW_BATCHES, _WINDOW = 64, 2**16
_WIDTHS = 8  # packed rows have multiples of so many slots, so that there are few shapes


@dataclasses.dataclass(frozen=True)
class Plan:
    """How an epoch is read.

    Args:
        batch_size: int. GLOBAL: of all readers together. Examples, or rows where they are packed.
        masker: Masker or None. Lays the masks; None for records that hold theirs, and for rows as they are.
        epoch: int. Order and masks are another one's in every epoch.
        seed: int. Of the order.
        shuffle: bool. Without, examples come as they were written.
        drop_remainder: bool. Leave out the last examples, which do not fill a batch.
        max_length: int or None. T of the rows. None: the records' own.
        start: int. Batches to leave out, as they were seen before an interruption. What only they need is
            not read, unless examples are packed: then their lengths say where the batch begins.
        shard: (int, int). This reader's number i, from 0, and the number n of all: it takes the i-th of n
            parts of every batch, which are of one size where n divides it and differ by one where not.
        buckets: bool. Batches of about one length each, padded to it only.
        packed: int or None. Put examples together into rows of so many pieces.

    Raises:
        UsageError: a value out of its range, or options that do not go together.
    """

    batch_size: int
    masker: object = None
    epoch: int = 0
    seed: int = 0
    shuffle: bool = True
    drop_remainder: bool = True
    max_length: int | None = None
    start: int = 0
    shard: tuple[int, int] = (0, 1)
    buckets: bool = False
    packed: int | None = None

    def __post_init__(self):
        for name, least in (("batch_size", 1), ("epoch", 0), ("start", 0), ("max_length", 1), ("packed", 1)):
            value = getattr(self, name)
            if value is None and name in ("max_length", "packed"):
                continue
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise UsageError(f"The value is {value!r}", where=name, expected=f"{least} or more")
        reader, num_readers = self.shard
        if not 0 <= reader < num_readers <= self.batch_size:
            raise UsageError(
                f"The shard is {self.shard} at a batch size of {self.batch_size}",
                where="shard",
                expected="(i, n) with 0 <= i < n, and n at most the batch size",
            )
        if self.buckets and self.packed is not None:
            raise UsageError("Packed rows need no buckets", where="buckets", expected="one of the two")

    def part_of(self, count: int) -> slice:
        """This reader's part of a batch of so many."""
        reader, num_readers = self.shard
        return slice(count * reader // num_readers, count * (reader + 1) // num_readers)


def num_batches(num_examples: int, batch_size: int, drop_remainder: bool) -> int:
    """How many batches an epoch has, unless examples are packed."""
    return num_examples // batch_size if drop_remainder else -(-num_examples // batch_size)


def epoch_batches(records, plan: Plan) -> Iterator[dict[str, np.ndarray]]:
    """The batches of one epoch.

    Args:
        records: PretrainingRecords.
        plan: Plan.
    Returns:
        iterator of dicts of NumPy arrays: see `PretrainingRecords.batches`.
    Raises:
        UsageError: the records do not go with the plan; at once.
    """
    batcher = _batcher(records, plan)
    if plan.packed is not None:
        return batcher.packed()
    return batcher.buckets() if plan.buckets else batcher.plain()


def packed_batches(records, plan: Plan) -> Iterator[int]:
    """The numbers of rows of a packed epoch's batches, of all readers together: no row is built for it.

    Args:
        records: PretrainingRecords.
        plan: Plan. Its `start` leaves nothing out here.
    Raises:
        UsageError: as `epoch_batches`.
    """
    return (len(groups) for _, groups in _batcher(records, plan).packed_groups())


def _batcher(records, plan: Plan) -> "_Batcher":
    """What makes the batches, if the records go with the plan."""
    if plan.masker is not None and records.kind != "dynamic":
        raise UsageError("These records hold their masks", where="masker", expected="None")
    if plan.packed is not None and plan.masker is None and records.kind == "dynamic":
        raise UsageError("Rows can be packed once they are masked", where="masker", expected="a Masker")
    if (plan.max_length or records.max_length) is None:
        raise DataError(
            "How long the longest example is stands nowhere",
            where=records.source,
            expected="a folder with a manifest",
            remedy="name the folder of the files, or say max_length",
        )
    return _Batcher(records, plan)


class _Order:
    """Which example stands where in an epoch, and how it is read."""

    def __init__(self, records, plan: Plan):
        self._records, self._plan = records, plan
        counts = np.array(records.counts, np.int64)
        self._shards = np.arange(len(counts))
        if plan.shuffle:
            self._shards = np.argsort(bits(plan.seed, _SHARDS, plan.epoch, self._shards))
        self._borders = np.concatenate([[0], np.cumsum(counts[self._shards])])
        self._counts, self._open = counts, (None, None, None)

    def __len__(self) -> int:
        return int(self._borders[-1])

    def read(self, places: np.ndarray) -> Part:
        """The examples that stand at these places, which ascend."""
        parts = []
        first, last = np.searchsorted(self._borders, places[[0, -1]], side="right") - 1
        for turn in range(first, last + 1):
            begin, end = self._borders[turn : turn + 2]
            here = places[np.searchsorted(places, begin) : np.searchsorted(places, end)] - begin
            if len(here):
                read, order = self._shard(self._shards[turn])
                parts.append(read(order[here]))
        return joined(parts)

    def _shard(self, number: int):
        """The function that reads a shard, and the order of its examples; one shard is held at a time."""
        if self._open[0] != number:
            self._open = (None, None, None)
            order = np.arange(self._counts[number])
            if self._plan.shuffle:
                order = np.argsort(bits(self._plan.seed, _EXAMPLES, self._plan.epoch, int(number), order))
            self._open = (number, self._records.reader(number), order)
        return self._open[1:]


class _Batcher:
    def __init__(self, records, plan: Plan):
        self.records, self.plan = records, plan
        self.order = _Order(records, plan)
        self.length = plan.max_length or records.max_length
        self.pad_id = records.pad_id
        self.num_batches = num_batches(len(self.order), plan.batch_size, plan.drop_remainder)
        # Where the last batch ends.
        self.end = min(len(self.order), self.num_batches * plan.batch_size)

    def plain(self):
        """Batch by batch as the order has it; only this reader's part is decoded."""
        size, start = self.plan.batch_size, self.plan.start
        step = max(1, _AT_ONCE * self.plan.shard[1] // size)
        for first in range(start, self.num_batches, step):
            numbers = range(first, min(first + step, self.num_batches))
            batches = [np.arange(n * size, min((n + 1) * size, self.end)) for n in numbers]
            batches = [places[self.plan.part_of(len(places))] for places in batches]
            places = np.concatenate(batches)
            # A reader whose part of the last batch is empty has that batch all the same.
            part = self.order.read(places if len(places) else np.array([self.end - 1]))
            bounds = np.concatenate([[0], np.cumsum([len(places) for places in batches])]).tolist()
            together = max(1, _MASKED_AT_ONCE // max(1, size // self.plan.shard[1]))
            for some in range(0, len(batches), together):
                own = bounds[some : some + together + 1]
                rows = self.masked(part.take(np.arange(own[0], own[-1])), self.length)
                for begin, end in zip(own[:-1], own[1:], strict=True):
                    yield {name: values[begin - own[0] : end - own[0]] for name, values in rows.items()}

    def window_batches(self) -> int:
        return min(_WINDOW_BATCHES, max(1, _WINDOW // self.plan.batch_size))

    def window(self, number: int) -> Part | None:
        """The examples of some batches together; None behind the last."""
        size = self.window_batches() * self.plan.batch_size
        places = np.arange(number * size, min((number + 1) * size, self.end))
        return self.order.read(places) if len(places) else None

    def buckets(self):
        """Windows sorted by length before they are cut into batches, which come in random order."""
        plan, per_window = self.plan, self.window_batches()
        number, skip = divmod(plan.start, per_window)
        while (part := self.window(number)) is not None:
            batches = length_buckets(part.lengths, plan.batch_size, max_length=self.length)
            if plan.shuffle:
                turns = bits(plan.seed, _BATCHES, plan.epoch, number, np.arange(len(batches)))
                batches = [batches[i] for i in np.argsort(turns)]
            for places, length in batches[skip:]:
                yield self.masked(part.take(places[plan.part_of(len(places))]), length)
            number, skip = number + 1, 0

    def packed(self):
        """Rows of several examples."""
        for part, groups in itertools.islice(self.packed_groups(), self.plan.start, None):
            yield self.packed_batch(part, groups)

    def packed_groups(self):
        """The examples of some batches, and which of them are in each row of one of these batches.

        Examples whose rows fill no batch go on into the next window.
        """
        plan, left, number = self.plan, None, 0
        self.end = len(self.order)  # a batch is of rows here, so all examples are read
        while True:
            part = self.window(number)
            is_last = part is None
            parts = [some for some in (left, part) if some is not None]
            if not parts:
                return
            part, number = joined(parts), number + 1
            groups = pack(part.lengths, plan.packed)
            whole = len(groups) // plan.batch_size * plan.batch_size
            for begin in range(0, whole, plan.batch_size):
                yield part, groups[begin : begin + plan.batch_size]
            rest = groups[whole:]
            if is_last:
                if rest and not plan.drop_remainder:
                    yield part, rest
                return
            left = part.take(np.sort(np.concatenate(rest))) if rest else None

    def packed_batch(self, part: Part, groups) -> dict[str, np.ndarray]:
        groups = groups[self.plan.part_of(len(groups))]
        numbers = np.concatenate([np.asarray(group, np.int64) for group in groups] or [np.empty(0, np.int64)])
        part = part.take(numbers)
        ends = np.cumsum([len(group) for group in groups]).tolist()
        groups = [range(begin, end) for begin, end in zip([0, *ends][:-1], ends, strict=True)]
        rows = self.masked(part, max(1, int(part.lengths.max(initial=0))))
        used = (rows["mask_weights"] > 0).sum(axis=1)
        widths = [
            max((count(group) for group in groups), default=0)
            for count in (lambda group: int(used[group.start : group.stop].sum()), len)
        ]
        num_slots, num_examples = (-(-max(1, width) // _WIDTHS) * _WIDTHS for width in widths)
        return packed_rows(rows, part.lengths, groups, self.plan.packed, self.pad_id, num_slots, num_examples)

    def masked(self, part: Part, length: int) -> dict[str, np.ndarray]:
        """One batch, of this reader's examples."""
        rows = part.rows(length, self.pad_id)
        if self.plan.masker is not None:
            rows = self.plan.masker(rows, self.plan.epoch, part.indices)
        rows.pop("continues", None)
        rows["record_indices"] = part.indices
        return {**rows, "next_sentence_label": part.label} if self.records.has_pairs else rows
