"""The batches of a whole training run: data-epoch after data-epoch, from any place on.

Which batch is step 1,000 of a run follows from where the run began, so a run that is resumed seeks the place
and goes on with the batches that it would have had.
"""

import dataclasses
import itertools
import threading
from collections.abc import Iterator

import numpy as np

from keras_bert.corpus import dataset as tensors
from keras_bert.corpus.batches import Plan, epoch_batches, packed_batches
from keras_bert.errors import DataError, KerasBertError, UsageError


class PretrainingData:
    """Pretraining records as global batches, counted and to be found again.

        data = PretrainingData(records, 256, masker=masker, seed=1)
        data.seek(step=1000, epoch=3, number=17)
        model.fit(data.dataset(targets), steps_per_epoch=500, initial_epoch=2)
        data.position(1234)                          # (epoch, number) of the batch of that step

    An epoch here is one pass over the records; order and masks are another one's in every epoch. A batch has
    the features of `PretrainingRecords.batches`, `record_indices` among them.

    Args:
        records: PretrainingRecords.
        batch_size: int. GLOBAL: examples, or rows where they are packed, of all replicas together.
        masker: Masker or None. Lays the masks; None for records that hold theirs, such as Google's.
        seed: int. Of the order.
        shuffle: bool. Without, examples come as they were written.
        drop_remainder: bool. Leave out the last examples of an epoch, which do not fill a batch.
        max_length: int or None. T of the rows. None: the records' own.
        buckets: bool. Batches of about one length each, padded to it only.
        packed: int or None. Put examples together into rows of so many pieces.

    Attributes:
        fault: KerasBertError or None. What stopped a dataset: tf.data itself tells of it in its own words
            only.

    Raises:
        UsageError: a value out of its range, or options that do not go together.
        DataError: an epoch has no batch.
    """

    def __init__(self, records, batch_size: int, *, masker=None, seed: int = 0, shuffle: bool = True,
                 drop_remainder: bool = True, max_length: int | None = None, buckets: bool = False,
                 packed: int | None = None):  # fmt: skip
        if masker is None and records.kind == "dynamic":
            raise UsageError(
                "These records hold no masks",
                where="masker",
                expected="a Masker",
                remedy="Masker(records.vocabulary, records.masks, seed=1)",
            )
        self.records, self.fault = records, None
        self._plan = Plan(
            batch_size, masker, seed=seed, shuffle=shuffle, drop_remainder=drop_remainder,
            max_length=max_length, buckets=buckets, packed=packed,
        )  # fmt: skip
        epoch_batches(records, self._plan)  # what is wrong shows now, not in the first step
        if not (self.num_batches() if packed is None else any(packed_batches(records, self._plan))):
            raise self._no_batch(0)
        self._courses = [_Course(0, 0, 0)]

    @property
    def batch_size(self) -> int:
        """Of the whole batch, of all replicas together."""
        return self._plan.batch_size

    def num_batches(self, epoch: int = 0) -> int:
        """How many batches an epoch has. Of packed rows all lengths are read for it, and no row is built.

        Args:
            epoch: int. All have the same number, but for packed rows.
        """
        if self._plan.packed is None:
            return self.records.num_batches(self.batch_size, self._plan.drop_remainder)
        return sum(1 for _ in packed_batches(self.records, dataclasses.replace(self._plan, epoch=epoch)))

    def seek(self, step: int, epoch: int, number: int):
        """Says where every iteration that is begun from now on begins.

        Args:
            step: int. The step of the run, from 0, that takes the first batch.
            epoch: int. Of this batch, from 0.
            number: int. This batch's place in its epoch, from 0. The end of an epoch is the begin of the
                next one.
        Raises:
            UsageError: there is no such place.
        """
        for name, value in (("step", step), ("epoch", epoch), ("number", number)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
                raise UsageError(f"The value is {value!r}", where=name, expected="0 or more")
        if self._plan.packed is None and number > self.num_batches():
            raise self._no_such_batch(epoch, number)
        self._courses.append(_Course(int(step), *self._place(int(epoch), int(number))))

    def position(self, step: int) -> tuple[int, int]:
        """Which batch a step has.

        Args:
            step: int. One that was handed out in this process, the one after it, or the one sought.
        Returns:
            (epoch, number), as `seek` takes them. Of the step after the last one that was handed out, number
            may be that of the end of a packed epoch.
        Raises:
            UsageError: the step is not known.
        """
        # Of two courses that have the step the later one is the true one.
        for course in reversed(self._courses):
            if course.first <= step:
                if step <= course.end:
                    return self._place(*course.position(step))
                break
        known = self._courses[-1]
        raise UsageError(
            f"The batch of step {step} is not known",
            where="step",
            expected=f"a step that was handed out; the last ones are {known.first} to {known.end}",
        )

    def batch(self, epoch: int, number: int) -> dict[str, np.ndarray]:
        """A global batch again.

        Args:
            epoch, number: int. As `position` returns them.
        Raises:
            UsageError: there is no such batch.
        """
        batches = epoch_batches(self.records, dataclasses.replace(self._plan, epoch=epoch, start=number))
        batch = next(batches, None)
        if batch is None:
            raise self._no_such_batch(epoch, number)
        return batch

    def dataset(self, targets=None, *, strategy=None, num_epochs: int | None = None):
        """The batches for `fit`; every iteration begins at the place last sought, at first with epoch 0.

        Args:
            targets: function of a dict of tensors, a batch or a replica's part of one, that returns
                (x, y, sample_weight). None: the dicts themselves.
            strategy: tf.distribute.Strategy or None. Under MultiWorkerMirroredStrategy each worker reads,
                decodes and masks its part of every global batch only. (Buckets and packed rows need the
                lengths of all examples, so there all are decoded.)
            num_epochs: int or None. None: without end. With a number, a place that is sought afterwards
                must have the same `number` in its epoch, since the length of the dataset is fixed by it.
        Returns:
            tf.data.Dataset of global batches, or, of several workers, tf.distribute.DistributedDataset of
            their replicas' parts.
        Raises:
            UsageError: a value out of its range.
        """
        if num_epochs is not None and (
            isinstance(num_epochs, bool) or not isinstance(num_epochs, int) or num_epochs < 1
        ):
            raise UsageError(
                f"The value is {num_epochs!r}", where="num_epochs", expected="1 or more, or None"
            )
        if strategy is not None and strategy.num_replicas_in_sync > self.batch_size:
            raise UsageError(
                f"A batch of {self.batch_size} is too small for {strategy.num_replicas_in_sync} replicas",
                where="batch_size",
                expected="one row or more for each replica: the batch size is that of all together",
            )
        if strategy is None or tensors.num_workers(strategy) == 1:
            return self._part(targets, num_epochs, 0, 1, 1)
        return tensors.distributed(strategy, lambda *part: self._part(targets, num_epochs, *part))

    def _part(self, targets, num_epochs, worker: int, num_workers: int, num_parts: int):
        """The dataset of one worker: of each global batch an element for each of its replicas."""
        plan = dataclasses.replace(self._plan, shard=(worker, num_workers))
        number, count = self._courses[-1].place[1], -1
        if num_epochs is not None:
            # tf.distribute would take the parts of several replicas for as many steps.
            is_known = plan.packed is None and num_parts == 1
            count = self.num_batches() * num_epochs - number if is_known else None

        def parts():
            course = self._courses[-1]
            try:
                if num_epochs is not None and course.place[1] != number:
                    raise UsageError(
                        f"The dataset was made to begin at batch {number} of an epoch, not {course.place[1]}",
                        where="seek",
                        remedy="seek first, then call `dataset`",
                    )
                for batch in self._batches(plan, course, num_epochs):
                    yield from _parts(batch, num_parts)
            except KerasBertError as error:
                self.fault = error
                raise

        return tensors.dataset(parts, tensors.specs_of(self.records, plan, num_parts), targets, count)

    def _batches(self, plan: Plan, course: "_Course", num_epochs: int | None) -> Iterator[dict]:
        """The batches from a place on; the course is told of each before it is handed out."""
        step, (first, start) = course.first, course.place
        for epoch in itertools.count(first) if num_epochs is None else range(first, first + num_epochs):
            batches = epoch_batches(self.records, dataclasses.replace(plan, epoch=epoch, start=start))
            number = start
            for batch in batches:
                course.note(step, epoch, number)
                yield batch
                step, number = step + 1, number + 1
            if number == 0:
                raise self._no_batch(epoch)  # it would go on for ever
            if number == start and start > self.num_batches(epoch):
                raise self._no_such_batch(epoch, start)
            start = 0

    def _place(self, epoch: int, number: int) -> tuple[int, int]:
        """The same place; the end of an epoch as the begin of the next one, where it is known."""
        is_end = self._plan.packed is None and number == self.num_batches()
        return (epoch + 1, 0) if is_end else (epoch, number)

    def _no_such_batch(self, epoch: int, number: int) -> UsageError:
        return UsageError(
            f"Epoch {epoch} has {self.num_batches(epoch):,} batches, none of them is number {number}",
            where="number",
            expected="a place in the same records, with the same batch size and options",
        )

    def _no_batch(self, epoch: int) -> DataError:
        return DataError(
            f"Epoch {epoch} has no batch: the records have {self.records.num_examples:,} examples, and a "
            f"batch has {self.batch_size:,} {'rows' if self._plan.packed else 'of them'}",
            where=self.records.source,
            expected="one batch or more",
            remedy="take a smaller batch size, or drop_remainder=False",
        )


class _Course:
    """The steps from one sought place on. Iterations in several threads tell of the same batches."""

    def __init__(self, step: int, epoch: int, number: int):
        self.first, self.end, self.place = step, step, (epoch, number)
        self._runs, self._lock = {step: (epoch, number)}, threading.Lock()

    def note(self, step: int, epoch: int, number: int):
        """A step has this batch, and those after it have the ones that follow in its epoch."""
        with self._lock:
            if number == 0:
                self._runs[step] = (epoch, number)
            self.end = max(self.end, step + 1)

    def position(self, step: int) -> tuple[int, int]:
        """Of a step up to `end`."""
        with self._lock:
            begin = max(run for run in self._runs if run <= step)
            epoch, number = self._runs[begin]
        return epoch, number + step - begin


def _parts(batch: dict, count: int) -> Iterator[dict]:
    """A batch in so many parts, of one size or differing by one, in order."""
    size = len(batch["token_ids"])
    for i in range(count):
        yield {name: rows[size * i // count : size * (i + 1) // count] for name, rows in batch.items()}
