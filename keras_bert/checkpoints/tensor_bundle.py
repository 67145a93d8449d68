"""TensorFlow checkpoints (format V2, "tensor bundles") read without TensorFlow and without trusting a byte.

`PREFIX.index` is a small sorted table that says where each tensor lies; `PREFIX.data-0000K-of-0000N` hold
the tensors' bytes end to end. Reading maps the data files into memory: names and shapes cost the index only,
and a tensor costs its own bytes when it is asked for.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_bert.checkpoints import bundle_files
from keras_bert.checkpoints.bundle_entries import (
    NUMBERS,
    STRING,
    Entry,
    entry_value,
    header_value,
    parse_entry,
    parse_header,
    parse_slice,
)
from keras_bert.checkpoints.json_text import quoted
from keras_bert.checkpoints.lazy_tensors import LazyTensors
from keras_bert.checkpoints.protobuf_wire import read_varint, text
from keras_bert.checkpoints.sstable import DOWNLOAD_AGAIN, MAX_TABLE_BYTES, read_table, write_table
from keras_bert.errors import CheckpointError
from keras_bert.files.atomic import atomic_file
from keras_bert.files.crc32c import masked_crc32c
from keras_bert.files.mapped import MappedFile
from keras_bert.files.regular import read_regular

# Strings describe a checkpoint, they are not its weights: some hundred kilobytes are usual.
MAX_STRINGS, MAX_STRING_BYTES = 2**16, 2**24


class TensorBundle(LazyTensors):
    """The tensors of one checkpoint by name; each is mapped from its file when asked for, never all at once.

    Tensors that a partitioner cut are put together again. Strings come as object arrays of bytes; a tensor of
    the dtype `"variant"` is the state of a tf.data iterator: listed, but refused when asked for.

    Args:
        path: str or Path. The prefix (`bert_model.ckpt`), or the index file itself.
        verify: bool. Whether each tensor's checksum is checked when the tensor is asked for.

    Raises:
        CheckpointError: a file is missing, cut, or contradicts the others.
    """

    def __init__(self, path, verify: bool = False):
        self.path, self.verify = bundle_files.prefix_of(path), verify
        index = bundle_files.index_path(self.path)
        where = str(index)
        pairs = read_table(self._read_index(index), where)
        if not pairs or pairs[0][0]:
            raise CheckpointError("The index has no header", where=where, remedy=DOWNLOAD_AGAIN)
        num_shards = parse_header(pairs[0][1], where)
        missing = f"the checkpoint has {num_shards} data files, which belong beside {index.name}"
        shards = [bundle_files.shard_path(self.path, shard, num_shards) for shard in range(num_shards)]
        self._shards = [(shard, bundle_files.checked_size(shard, missing)) for shard in shards]
        self._mapped = {}
        slices = {key: value for key, value in pairs[1:] if key[0] == 0}
        self._entries, self._slices = {}, {}
        for key, value in pairs[1 + len(slices) :]:
            name = text(key, where)
            self._entries[name] = parse_entry(name, value, self._shards, where)
            if self._entries[name].slices:
                self._slices[name] = self._parse_slices(name, self._entries[name], slices, where)
        if slices:
            raise CheckpointError(
                f"{len(slices)} slices belong to no tensor", where=where, remedy=DOWNLOAD_AGAIN
            )
        self._refuse_overlaps_and_holes()
        super().__init__(
            {name: entry.shape for name, entry in self._entries.items()},
            {name: entry.dtype_name for name, entry in self._entries.items()},
        )

    def __getitem__(self, name: str) -> np.ndarray:
        entry = self._entries[name]
        if entry.slices:
            axis, parts = self._slices[name]
            return np.concatenate([self._array(name, part) for part in parts], axis)
        return self._array(name, entry)

    def _read_index(self, index: Path) -> bytes:
        if not os.path.exists(index) and bundle_files.is_table(self.path):
            raise CheckpointError(
                "This is a checkpoint of TensorFlow's format V1, given up in 2017",
                where=str(self.path),
                expected=f"format V2: {index.name} and its data files",
                remedy="convert it with TensorFlow: `reader = tf.train.load_checkpoint(OLD)`, then"
                " keras_bert.checkpoints.tensor_bundle's `write_bundle(NEW, {name: reader.get_tensor(name)"
                " for name in reader.get_variable_to_shape_map()})`",
            )
        size = bundle_files.checked_size(index, "name the checkpoint by what stands before `.index`")
        if size > MAX_TABLE_BYTES:
            raise CheckpointError(
                f"The index has {size} bytes", where=str(index), expected=f"at most {MAX_TABLE_BYTES} bytes"
            )
        try:
            return read_regular(index, MAX_TABLE_BYTES)
        except OSError as cause:
            raise CheckpointError(f"Cannot be read: {cause.strerror}", where=str(index)) from cause

    def _parse_slices(self, name: str, entry: Entry, slices: dict, where: str) -> tuple[int, list[Entry]]:
        """The axis along which a tensor is cut, and its parts in order; they are taken out of `slices`."""
        parts, cut_axes = [], set()
        for value in entry.slices:
            ranges, key = parse_slice(name, value, entry.shape, where)
            part = parse_entry(name, slices.pop(key), self._shards, where) if key in slices else None
            expected = (entry.dtype, tuple(map(len, ranges)), ())
            if part is None or (part.dtype, part.shape, part.slices) != expected:
                raise CheckpointError(
                    f"A slice of the tensor {quoted(name)} is missing, or of another dtype or shape",
                    where=where,
                    remedy=DOWNLOAD_AGAIN,
                )
            cut_axes |= {axis for axis, r in enumerate(ranges) if len(r) < entry.shape[axis]}
            parts.append((ranges, part))
        axis = min(cut_axes, default=0)
        parts.sort(key=lambda pair: pair[0][axis].start)
        position = 0
        for ranges, _ in parts:
            position = ranges[axis].stop if ranges[axis].start == position else -1
        if len(cut_axes) > 1 or position != entry.shape[axis]:
            raise CheckpointError(
                f"The slices of the tensor {quoted(name)} do not make up the whole",
                where=where,
                expected="slices end to end along one axis, as TensorFlow's partitioners cut",
                remedy=DOWNLOAD_AGAIN,
            )
        return axis, [part for _, part in parts]

    def _refuse_overlaps_and_holes(self):
        ranges = [[] for _ in self._shards]
        for name, entry in self._entries.items():
            for part in self._slices[name][1] if entry.slices else [entry]:
                ranges[part.shard].append((part.offset, part.size, name))
        for (path, size), in_shard in zip(self._shards, ranges, strict=True):
            position, before = 0, "the one before"
            for offset, length, name in sorted(in_shard):
                if offset != position:
                    kind = "overlaps the end of" if offset < position else "leaves a hole after the end of"
                    raise CheckpointError(
                        f"The tensor {quoted(name)} at byte {offset} {kind} {before} at {position}",
                        where=str(path),
                        remedy=DOWNLOAD_AGAIN,
                    )
                position, before = offset + length, quoted(name)
            if position != size:
                raise CheckpointError(
                    f"The file has {size} bytes, the tensors end at {position}",
                    where=str(path),
                    remedy="the files are cut, interchanged or of different checkpoints: download them again",
                )

    def _raw(self, name: str, entry: Entry) -> np.ndarray:
        """The bytes of an entry, as an array of uint8 that cannot be written to."""
        path, size = self._shards[entry.shard]
        if not entry.size:
            return np.frombuffer(b"", np.uint8)
        if entry.shard not in self._mapped:
            try:
                mapped = MappedFile(path)
            except OSError as cause:
                raise CheckpointError(f"Cannot be read: {cause.strerror}", where=str(path)) from cause
            if len(mapped) != size:
                raise CheckpointError(f"The file had {size} bytes, now {len(mapped)}", where=str(path))
            self._mapped[entry.shard] = mapped
        return self._mapped[entry.shard].window(entry.offset, entry.offset + entry.size)

    def _array(self, name: str, entry: Entry) -> np.ndarray:
        raw, where = self._raw(name, entry), f"{self._shards[entry.shard][0]}, tensor {quoted(name)}"
        if entry.dtype is None:
            raise CheckpointError(
                "This is the state of an iterator or another variant",
                where=where,
                expected="a tensor of numbers or strings",
                remedy="leave it out: only TensorFlow can read it",
            )
        if entry.dtype == STRING:
            array, summed = _strings(raw, entry, where)
        else:
            # Readers of NumPy memory may assume alignment, which the format does not promise.
            array, summed = np.require(raw.view(entry.dtype).reshape(entry.shape), requirements="A"), raw
        if self.verify and masked_crc32c(summed) != entry.checksum:
            raise CheckpointError("The checksum is wrong", where=where, remedy=DOWNLOAD_AGAIN)
        return array


def write_bundle(prefix, tensors: Mapping[str, np.ndarray]):
    """Writes a checkpoint of one shard, byte for byte as TensorFlow's `SaveV2` does from sorted names.

    Each of the two files takes its place in one step, the data first. Where a checkpoint of other shapes is
    replaced and the two must change together, write into a folder of `files.atomic.atomic_folder`.

    Args:
        prefix: str or Path. `out/bert_model.ckpt`.
        tensors: mapping from tensor name to array of numbers.

    Raises:
        CheckpointError: a name or dtype that a checkpoint cannot hold.
        OutputError: it cannot be written.
    """
    prefix = Path(prefix)
    names = sorted(tensors, key=lambda name: _key(name, prefix))
    pairs, offset = [(b"", header_value())], 0
    with atomic_file(bundle_files.shard_path(prefix, 0, 1)) as stage, open(stage, "wb") as stream:
        for name in names:
            array = np.asarray(tensors[name])
            dtype = array.dtype if array.dtype.isnative else array.dtype.newbyteorder()
            if dtype not in NUMBERS:
                raise CheckpointError(
                    f"The tensor {quoted(name)} has the dtype {array.dtype}",
                    where=str(prefix),
                    expected=f"one of {', '.join(dtype.name for dtype in NUMBERS)}",
                )
            raw = np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8)
            entry = Entry(dtype, array.shape, 0, offset, raw.size, masked_crc32c(raw))
            pairs.append((_key(name, prefix), entry_value(entry)))
            stream.write(raw)
            offset += raw.size
    with atomic_file(bundle_files.index_path(prefix)) as stage:
        stage.write_bytes(write_table(pairs))


def _key(name: str, prefix: Path) -> bytes:
    try:
        key = name.encode()
    except UnicodeEncodeError:
        key = b""
    if not key or b"\0" in key:
        raise CheckpointError(
            f"A tensor has the name {quoted(name)}", where=str(prefix), expected="text without NUL"
        )
    return key


def _strings(raw: np.ndarray, entry: Entry, where: str) -> tuple[np.ndarray, bytes]:
    """The strings of a tensor, and the bytes that its checksum covers.

    Stored are the lengths as variable-length integers, a checksum of the lengths (summed as integers of four
    bytes, or eight where they need them), then the strings end to end.
    """
    count, position, lengths = math.prod(entry.shape), 0, []
    if count > MAX_STRINGS or len(raw) > MAX_STRING_BYTES:
        raise CheckpointError(
            f"{count} strings of {len(raw)} bytes",
            where=where,
            expected=f"at most {MAX_STRINGS} strings of {MAX_STRING_BYTES} bytes",
        )
    raw = raw.tobytes()
    for _ in range(count):
        length, position = read_varint(raw, position, where)
        lengths.append(length)
    body = position + 4
    summed = b"".join(length.to_bytes(4 if length < 2**32 else 8, "little") for length in lengths)
    checksum = raw[position:body]
    if masked_crc32c(summed).to_bytes(4, "little") != checksum or body + sum(lengths) != len(raw):
        raise CheckpointError(
            "The lengths of the strings do not fit their bytes", where=where, remedy=DOWNLOAD_AGAIN
        )
    array = np.empty(count, object)
    for i, length in enumerate(lengths):
        array[i] = raw[body : body + length]
        body += length
    return array.reshape(entry.shape), summed + raw[position:]
