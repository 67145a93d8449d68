"""Damaged HDF5 files: each is read or refused by our own error, quickly and in little memory.

    python tests/checkpoints/fuzz_hdf5_file.py 100000       # files; some minutes on one core

Restartable: `--first 25000` goes on at file 25,000. test_hdf5_file.py runs a sample.
"""

import argparse
import collections
import pathlib
import random
import resource
import tempfile
import time

import h5py
import ml_dtypes
import numpy as np

from keras_bert.checkpoints.hdf5_file import Hdf5File
from keras_bert.errors import CheckpointError

LAYOUTS = pathlib.Path(__file__).parents[1] / "golden" / "layouts"
GOLDEN = ("hf4_tf_classification/tf_model.h5", "keras_hub_classifier/task.weights.h5")
NUMBERS = [
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    16,
    24,
    255,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
]
MARKS = (b"TREE", b"SNOD", b"HEAP", b"OHDR", b"GCOL", b"FRHP", b"BTHD", b"OCHK", b"FHDB", b"BTLF")
MAX_SECONDS, MAX_BYTES_MORE = 2, 64 * 2**20


def write_seeds(folder: pathlib.Path) -> list[bytes]:
    """Healthy files of every kind that Keras writes, and of kinds that only we refuse, as bytes."""
    rng, seeds = np.random.default_rng(0), [(LAYOUTS / name).read_bytes() for name in GOLDEN]
    for kind in ("earliest", "latest", "chunked", "many", "refused"):
        path = folder / f"{kind}.h5"
        version = ("latest", "latest") if kind in ("latest", "many") else ("earliest", "v110")
        with h5py.File(path, "w", libver=version) as file:
            for i in range(40 if kind == "many" else 3):
                group = file.create_group(f"layers/dense_{i}/vars")
                group.attrs["name"] = f"dense_{i}"
                if kind == "chunked":
                    rows = rng.standard_normal((7, 5)).astype("float32")
                    group.create_dataset("0", data=rows, chunks=(3, 2), compression="gzip", shuffle=i == 0)
                else:
                    group.create_dataset("0", data=rng.standard_normal((2, 3)).astype("float32"))
                bits = rng.standard_normal(3).astype(ml_dtypes.bfloat16)
                group.create_dataset("1", data=bits).attrs["dtype"] = "bfloat16"
            if kind == "refused":
                file["text"] = np.array(["a", "b"], dtype=h5py.string_dtype())
                file["layers"].attrs.create("weight_names", ["dense:0"] * 3, dtype=h5py.string_dtype())
                file["soft"] = h5py.SoftLink("/layers")
                virtual = h5py.VirtualLayout((2,), "float32")
                virtual[:] = h5py.VirtualSource("other.h5", "x", shape=(2,))
                file.create_virtual_dataset("virtual", virtual)
        seeds.append(path.read_bytes())
    return seeds


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The file with one to four places changed, some of them near a structure of libhdf5's."""
    data = bytearray(data)
    marks = [at for mark in MARKS for at in _places(data, mark)]
    for _ in range(rng.randint(1, 4)):
        place, kind = rng.randrange(len(data)), rng.randrange(8)
        if rng.random() < 0.4 and marks:
            place = min(len(data) - 1, rng.choice(marks) + rng.randrange(120))
        elif rng.random() < 0.2:
            place = rng.randrange(100)
        place = min(place, len(data) - 1)  # it may have been cut before
        if kind == 0:
            data[place] = rng.randrange(256)
        elif kind == 1:
            data[place] ^= 1 << rng.randrange(8)
        elif kind in (2, 3):
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice(NUMBERS) % 256**width
            data[place : place + width] = number.to_bytes(width, "little")
        elif kind == 4:
            other = rng.choice(marks or [0]) if rng.random() < 0.5 else rng.randrange(len(data))
            data[place : place + 8] = other.to_bytes(8, "little")
        elif kind == 5:
            other, width = rng.randrange(len(data)), rng.choice((1, 4, 8, 40))
            data[place : place + width] = data[other : other + width]
        elif kind == 6 and rng.random() < 0.3:
            del data[place:]
            data = data or bytearray(b"\x89")
        elif rng.random() < 0.2:
            del data[place : place + rng.randint(1, 9)]
    return bytes(data)


def _places(data: bytearray, mark: bytes):
    at = data.find(mark)
    while at >= 0:
        yield at
        at = data.find(mark, at + 1)


def read_all(path: pathlib.Path) -> str:
    """Reads whatever can be read; what became of it."""
    try:
        file = Hdf5File(path)
    except CheckpointError as refusal:
        assert len(str(refusal)) < 2000
        return "refused"
    outcome, dtypes = "read", file.dtypes
    for name, shape in file.shapes.items():
        try:
            array = file[name]
            assert (array.shape, array.dtype.name) == (shape, dtypes[name])
        except CheckpointError:
            outcome = "refused in part"
    return outcome


def run(folder: pathlib.Path, seeds: list[bytes], numbers: range) -> collections.Counter:
    """Damages and reads; the outcomes counted. Each number stands for the same damage at all times."""
    outcomes, path = collections.Counter(), folder / "damaged.h5"
    for number in numbers:
        rng = random.Random(number)
        path.unlink(missing_ok=True)  # the last one may be mapped still
        path.write_bytes(damaged(rng.choice(seeds), rng))
        start = time.process_time()
        try:
            outcomes[read_all(path)] += 1
        except BaseException:
            print(f"number {number}")
            raise
        outcomes["slow"] += time.process_time() - start > MAX_SECONDS
    return outcomes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        seeds = write_seeds(folder)
        run(folder, seeds, range(100))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcomes = run(folder, seeds, range(arguments.first, arguments.first + arguments.count))
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(dict(outcomes), f"{more / 2**20:.1f} MB more")
    assert not outcomes["slow"] and more < MAX_BYTES_MORE


if __name__ == "__main__":
    main()
