"""Pretraining records opened: a folder that we built, or any files of ours or of Google's script."""

import functools
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_bert.corpus.batches import Plan, epoch_batches, num_batches
from keras_bert.corpus.example_proto import decode_google, kind_of
from keras_bert.corpus.examples import Examples
from keras_bert.corpus.manifest import NAME, Manifest, read_manifest
from keras_bert.corpus.masking import Masking
from keras_bert.corpus.parts import Part, decoded
from keras_bert.corpus.proto_wire import parse_example
from keras_bert.corpus.settings import masks_of
from keras_bert.corpus.shard_files import (
    ShardFile,
    faulty,
    files_of,
    files_without_manifest,
    first_record,
    open_shard,
    paths_of,
    salvage,
    size_fault,
)
from keras_bert.errors import DataError, UsageError
from keras_bert.files.manifest import sha256_of
from keras_bert.text.settings import VOCABULARY_FILE
from keras_bert.text.vocabulary import Vocabulary


class PretrainingRecords:
    """Pretraining records, with what is known of them and checked before they are used.

        records = PretrainingRecords("corpus/")
        masker = Masker(records.vocabulary, records.masks, seed=1)
        for batch in records.batches(32, masker=masker, epoch=0): ...

    Args:
        source: path, or sequence of paths. A folder with a manifest, or TFRecord files: paths and patterns,
            perhaps several in one str between commas.
        max_skipped: int. At most so many damaged or missing examples are left out, with a warning. With
            more than 0 every shard is read and checked at once, because what is left out changes every
            batch after it.
        verify: bool. Compare each shard's SHA-256 with the manifest when it is first read. The checksums of
            the records and their number always are.

    Attributes:
        manifest: Manifest, or None where files are read without one.
        settings: dict. The manifest's `settings`; empty without one.
        kind: str. "dynamic": examples without masks; "static": ours with their masks; "google".
        num_examples: int. Those that can be read.
        max_length: int or None. Pieces of a row; None where only the examples themselves would tell.
        num_slots: int or None. Masked slots of a row, of records that hold their masks.
        has_pairs: bool. Whether there are next-sentence labels.
        skipped: list of Skipped. What is left out, file by file.

    Raises:
        DataError: a shard is missing, cut, too long or of no kind that is known; every such shard is named
            in one error, and all of them in its notes.
    """

    def __init__(self, source, *, max_skipped: int = 0, verify: bool = True):
        if isinstance(max_skipped, bool) or not isinstance(max_skipped, int) or max_skipped < 0:
            raise UsageError(f"The value is {max_skipped!r}", where="max_skipped", expected="0 or more")
        self.verify, self.skipped, self._sound = verify, [], None
        self.manifest: Manifest | None = None
        if isinstance(source, str | os.PathLike) and os.path.isdir(source):
            self.source, self.manifest = str(source), read_manifest(source)
            self.files = files_of(self.manifest, Path(source))
            faults = [] if max_skipped else list(filter(None, map(size_fault, self.files)))
        else:
            self.source = str(source)
            self.files, faults = files_without_manifest(paths_of(source), tolerant=max_skipped > 0)
        if faults:
            raise faulty(self.source, faults)
        if max_skipped:
            self._skip(max_skipped)
        if not self.num_examples:
            raise DataError("There is no example in the records", where=self.source, expected="one or more")
        if self.manifest is None:
            self._look_at_the_first()
        else:
            self._take_settings()

    @property
    def counts(self) -> list[int]:
        """How many examples of each file can be read."""
        if self._sound is None:
            return [file.examples for file in self.files]
        return [len(numbers) for numbers in self._sound]

    @property
    def num_examples(self) -> int:
        return sum(self.counts)

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary that lies in the folder.

        Raises:
            DataError: there is none, or it is not the one that the corpus was built with.
        """
        path = Path(self.source, VOCABULARY_FILE)
        if self.manifest is None or not path.is_file():
            raise DataError(
                f"There is no {VOCABULARY_FILE} beside the records",
                where=self.source,
                expected="a folder that `keras-bert corpus` built",
                remedy="give the vocabulary of the model itself",
            )
        if sha256_of(path) != self.manifest.vocabulary["sha256"]:
            raise DataError(
                "The vocabulary is not the one that the corpus was built with",
                where=str(path),
                expected=f"the sha256 of the {NAME}",
                remedy="copy the vocabulary again",
            )
        return Vocabulary.from_file(path)

    @property
    def pad_id(self) -> int:
        """What rows of ours are filled with; 0 where the vocabulary is not known, as Google has it."""
        known = self.manifest is not None and Path(self.source, VOCABULARY_FILE).is_file()
        return self.vocabulary.pad_id if known else 0

    @property
    def masks(self) -> Masking:
        """How the corpus was meant to be masked; Google's way where that stands nowhere."""
        return masks_of(self.settings)

    def part(self, shard_number: int, order=None) -> Part:
        """Some of the examples of a shard.

        Args:
            shard_number: int.
            order: int array (K,) or None. Which of the examples that can be read; None: all.
        Raises:
            DataError: the shard is not as it was written; names the record.
        """
        return self.reader(shard_number)(slice(None) if order is None else order)

    def reader(self, shard_number: int):
        """A function of places in a shard, int array (K,), to their Part; the shard is read now."""
        file = self.files[shard_number]
        if file.path not in {row.path for row in self.skipped}:
            shard = open_shard(file, self.verify)
        else:
            shard, _ = salvage(file, verify=False)
            if shard is None or not np.array_equal(shard.numbers, self._sound[shard_number]):
                raise DataError("The shard has changed since it was opened", where=file.path)
        num_pieces = self.manifest.vocabulary["pieces"] if self.manifest else None

        def read(order) -> Part:
            numbers = shard.numbers[order]
            return decoded(
                self.kind, shard.data, shard.begins[order], shard.ends[order], file.path, numbers,
                file.first + numbers, self.num_slots, num_pieces,
            )  # fmt: skip

        return read

    def examples(self, shard_number: int) -> Examples:
        """The examples of a shard of ours, in the order they were written, with the masks if they have any.

        Raises:
            DataError: as for `part`.
            UsageError: the records are Google's, which hold rows: see `masked`.
        """
        if self.kind == "google":
            raise UsageError("These records hold padded rows", where=self.source, remedy="use `masked`")
        return self.part(shard_number).examples

    def masked(self, shard_number: int) -> dict[str, np.ndarray]:
        """The rows of a shard whose records hold their masks: what a Masker would return, and the label.

        Raises:
            DataError: as for `part`.
            UsageError: the records hold no masks.
        """
        if self.kind == "dynamic":
            raise UsageError(
                "These records hold no masks", where=self.source, remedy="use `examples` and a Masker"
            )
        part = self.part(shard_number)
        rows = part.rows(self.max_length or int(part.lengths.max(initial=0)), self.pad_id)
        rows.pop("continues", None)
        return {**rows, "next_sentence_label": part.label} if self.has_pairs else rows

    def num_batches(self, batch_size: int, drop_remainder: bool = True) -> int:
        """How many batches an epoch has, unless examples are packed."""
        return num_batches(self.num_examples, batch_size, drop_remainder)

    def batches(self, batch_size: int, **options) -> Iterator[dict[str, np.ndarray]]:
        """The batches of one epoch.

        Args:
            batch_size: int. GLOBAL: of all readers together.
            **options: the other fields of `batches.Plan`: `masker`, `epoch`, `seed`, `shuffle`,
                `drop_remainder`, `max_length`, `start`, `shard`, `buckets`, `packed`.
        Returns:
            iterator of dicts of NumPy arrays: what the masker returns, `record_indices` int64 (N,): each
            example's number in the whole corpus, `next_sentence_label` int32 (N,) where there are pairs,
            and what `row_packing.packed_rows` makes of these.
        Raises:
            UsageError: options that do not go together; at once, not when the first batch is taken.
        """
        return epoch_batches(self, Plan(batch_size, **options))

    def _skip(self, max_skipped: int):
        """Finds out what can be read of every shard."""
        self._sound = []
        for file in self.files:
            shard, skipped = salvage(file, self.verify)
            self._sound.append(np.empty(0, np.int64) if shard is None else shard.numbers)
            if skipped:
                self._check_not_another(file)
                self.skipped.append(skipped)
        lost = sum(row.examples for row in self.skipped)
        faults = [f"{row.path}: {row.reason} ({row.examples:,} examples lost)" for row in self.skipped]
        if lost > max_skipped:
            raise faulty(self.source, faults, f"{lost:,} examples are lost, and {max_skipped:,} may be. ")
        if faults:
            warnings.warn(f"{lost:,} examples are skipped: {'; '.join(faults)}", stacklevel=4)

    def _check_not_another(self, file: ShardFile):
        """A shard under the name of another one, with fewer records than that, looks as if it were cut."""
        if self.manifest is None or not os.path.isfile(file.path):
            return
        digest = sha256_of(file.path)
        for shard in self.manifest.shards:
            if shard.sha256 == digest:
                raise DataError(
                    f"The file is another shard, {shard.name}",
                    where=file.path,
                    expected="the shard of this name",
                    remedy="copy the folder again",
                )

    def _take_settings(self):
        """What the manifest says of the records."""
        settings = self.settings = self.manifest.settings
        for name in ("max_seq_length", "max_predictions_per_seq"):
            if not isinstance(settings.get(name), int) or not 0 < settings[name] < 2**31:
                raise DataError(
                    f"The setting `{name}` is {settings.get(name)!r}",
                    where=str(Path(self.source, NAME)),
                    expected="an integer of 1 or more",
                )
        is_google, is_static = settings.get("format") == "google", settings.get("masking") == "static"
        self.kind = "google" if is_google else "static" if is_static else "dynamic"
        self.max_length = settings["max_seq_length"]
        self.num_slots = settings["max_predictions_per_seq"] if is_static else None
        self.has_pairs = bool(settings.get("next_sentence"))

    def _look_at_the_first(self):
        """Tells what the records are from the first of them."""
        self.settings = {}
        file = next(file for file, count in zip(self.files, self.counts, strict=True) if count)
        record, number = first_record(file)
        where = f"{file.path}, record {number}"
        features = parse_example(record, where)
        self.kind, self.max_length, self.num_slots = kind_of(features), None, None
        if self.kind is None:
            raise DataError(
                f"These are no pretraining records: the features are {', '.join(sorted(features)) or 'none'}",
                where=where,
                expected="those of `keras-bert corpus`, or those of create_pretraining_data.py",
            )
        if self.kind == "google":
            rows = decode_google(record, [0], [len(record)], file.path, [number])
            self.max_length, self.num_slots = rows["token_ids"].shape[1], rows["mask_ids"].shape[1]
        self.has_pairs = not {"next_sentence_label", "next_sentence_labels"}.isdisjoint(features)
