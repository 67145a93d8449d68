"""Damaged TensorFlow checkpoints: each is read, or refused by our own error; none crashes, hangs or swells.

    python tests/checkpoints/fuzz_tensor_bundle.py 100000        # checkpoints; about a minute on one core

Restartable: `--first 50000` goes on there. test_tensor_bundle.py runs a sample.
"""

import argparse
import collections
import pathlib
import random
import resource
import tempfile
import time

import numpy as np

from keras_bert.checkpoints import sstable
from keras_bert.checkpoints.bundle_files import find_bundles
from keras_bert.checkpoints.object_graph import object_graph_names
from keras_bert.checkpoints.protobuf_wire import varint
from keras_bert.checkpoints.tensor_bundle import TensorBundle
from keras_bert.errors import CheckpointError
from keras_bert.files.crc32c import masked_crc32c

MAX_SECONDS, MAX_BYTES_MORE = 1.0, 64 * 2**20
NUMBERS = [varint(2**power + more) for power in (0, 1, 7, 16, 31, 32, 48, 62, 63) for more in (-1, 0, 1)]
NUMBERS += [varint(2**64 - 1), b"\xff" * 10, b"\x80" * 11]
DTYPES = ("float32", "float64", "float16", "int8", "int32", "int64", "uint16", "bool", "complex64")


def write_seeds(folder: pathlib.Path) -> list[dict[str, bytes]]:
    """Healthy checkpoints of every kind, written by TensorFlow: the files of each by name."""
    import tensorflow as tf

    def save(name, tensors, slices=None):
        tf.raw_ops.SaveV2(
            prefix=str(folder / name),
            tensor_names=[key for key, _ in tensors],
            shape_and_slices=slices or [""] * len(tensors),
            tensors=[tf.constant(value) for _, value in tensors],
        )

    save("dtypes", [(f"bert/{dtype}/{i}", np.ones((2, i), dtype)) for i in range(4) for dtype in DTYPES])
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    cut = ["6 2 0,4:-", "6 2 4,2:-", "6 2 0,6:0,1", "6 2 -:1,1"]
    save("slices", [("a", rows[:4]), ("a", rows[4:]), ("b", rows[:, :1]), ("b", rows[:, 1:])], cut)
    save("one", [("a", rows), ("c", ["text", "", "more"])])
    save("two", [("b", rows), ("d", 7)])
    parts = [str(folder / "one"), str(folder / "two")]
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=parts, destination_prefix=str(folder / "shards"), delete_old_dirs=False
    )
    objects = {f"layer_{i}": tf.Variable(rows, name=f"layer_{i}/kernel") for i in range(3)}
    tf.train.Checkpoint(**objects).write(str(folder / "objects"))
    tf.raw_ops.Save(filename=str(folder / "old.ckpt"), tensor_names=["a"], data=[tf.constant(rows)])
    names = ("dtypes", "slices", "shards", "objects", "old.ckpt")
    seeds = [{path.name: path.read_bytes() for path in sorted(folder.glob(f"{name}*"))} for name in names]
    return [*seeds, {"old.index": seeds[-1]["old.ckpt"], "old.data-00000-of-00001": b""}]


def damaged(files: dict[str, bytes], rng: random.Random) -> dict[str, bytes]:
    """The files with a little damage: to bytes, or deeper in, under checksums that are right."""
    files, table = dict(files), min(files, key=len)  # an index has the shortest name
    kind = rng.randrange(6)
    if kind == 0:
        files[table] = spoiled(files[table], rng)
    elif kind == 1:
        name = rng.choice(sorted(files))
        files[name] = spoiled(files[name], rng)
    elif kind == 2:
        files[table] = with_spoiled_block(files[table], rng)
    elif kind == 3 and len(files) > 1:
        one, other = rng.choices(sorted(files), k=2)
        files[one], files[other] = files[other], files[one]
        if rng.random() < 0.5:
            del files[rng.choice(sorted(files))]
    else:
        pairs = sstable.read_table(files[table], table)
        for _ in range(rng.choice((1, 1, 2))):
            place = rng.randrange(len(pairs))
            key, value = pairs[place]
            if rng.random() < 0.15:
                pairs[place] = spoiled(key, rng), value
            else:
                pairs[place] = key, rng.choice((spoiled(value, rng), rng.choice(pairs)[1]))
        files[table] = sstable.write_table(sorted(dict(pairs).items()))
    return files


def spoiled(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to three of them changed, inserted, cut out or replaced by a number of note."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        place, kind = rng.randrange(len(data) + 1), rng.randrange(6)
        if kind == 0:
            data[place : place + 1] = rng.randbytes(1)
        elif kind == 1:
            del data[place : place + rng.randint(1, 9)]
        elif kind == 2:
            data[place:place] = rng.randbytes(rng.randint(1, 9))
        elif kind == 3:
            data[place : place + rng.randint(0, 2)] = rng.choice(NUMBERS)
        elif kind == 4:
            other = rng.randrange(len(data) + 1)
            data[place:place] = data[other : other + rng.randint(1, 20)]
        elif rng.random() < 0.3:
            del data[place:]
    return bytes(data)


def with_spoiled_block(table: bytes, rng: random.Random) -> bytes:
    """A table of one data block, damaged inside one of its blocks, every checksum right."""
    (meta_at, _), _ = sstable._handle(table[-48:], 0, "")
    data, meta, index = table[: meta_at - 5], sstable._BlockWriter(1).contents(), sstable._BlockWriter(1)
    spoil = rng.choice(("data", "data", "meta", "index"))
    data = spoiled(data, rng) if spoil == "data" else data
    index.add(b"\xff", varint(0) + varint(len(data)))
    index = spoiled(index.contents(), rng) if spoil == "index" else index.contents()
    meta = spoiled(meta, rng) if spoil == "meta" else meta
    return as_table(data, meta, index)


def as_table(data: bytes, meta: bytes, index: bytes) -> bytes:
    """The table of three blocks, each with a right checksum."""
    result, handles = b"", []
    for block in (data, meta, index):
        handles.append(varint(len(result)) + varint(len(block)))
        result += block + b"\0" + masked_crc32c(block + b"\0").to_bytes(4, "little")
    return result + (handles[1] + handles[2]).ljust(40, b"\0")[:40] + sstable.MAGIC


def read_all(folder: pathlib.Path, name: str, verify: bool) -> str:
    """Reads whatever can be read; what became of it."""
    outcome = "read"
    for prefix in {folder / name, *find_bundles(folder)}:
        try:
            bundle = TensorBundle(prefix, verify)
        except CheckpointError as refusal:
            assert len(str(refusal)) < 2000
            outcome = "refused"
            continue
        dtypes = bundle.dtypes
        for tensor, shape in bundle.shapes.items():
            try:
                array = bundle[tensor]
                assert (array.shape, array.dtype.name) == (shape, dtypes[tensor])
            except CheckpointError:
                outcome = "refused in part"
        try:
            object_graph_names(bundle)
        except CheckpointError:
            outcome = "refused in part"
    return outcome


def run(folder: pathlib.Path, seeds: list[dict[str, bytes]], numbers: range) -> collections.Counter:
    """Damages and reads; the outcomes counted. Each number stands for the same damage at all times."""
    outcomes = collections.Counter()
    for number in numbers:
        rng = random.Random(number)
        files = rng.choice(seeds)
        name = min(files, key=len).split(".index")[0].split(".data")[0]
        for path in folder.iterdir():
            path.unlink()
        for file, content in damaged(files, rng).items():
            (folder / file).write_bytes(content)
        start = time.process_time()
        try:
            outcomes[read_all(folder, name, verify=rng.random() < 0.5)] += 1
        except BaseException:
            print(f"number {number}: {name}")
            raise
        outcomes["slow"] += time.process_time() - start > MAX_SECONDS
    return outcomes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as healthy, tempfile.TemporaryDirectory() as damaged_folder:
        seeds = write_seeds(pathlib.Path(healthy))
        folder = pathlib.Path(damaged_folder)
        run(folder, seeds, range(100))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcomes = run(folder, seeds, range(arguments.first, arguments.first + arguments.count))
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(dict(outcomes), f"{more / 2**20:.1f} MB more")
    assert not outcomes["slow"] and more < MAX_BYTES_MORE


if __name__ == "__main__":
    main()
