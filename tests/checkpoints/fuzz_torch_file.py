"""Damaged and hostile `.bin` files: each is read or refused by our own error, quickly and in little memory.

    python tests/checkpoints/fuzz_torch_file.py 100000      # files; some two minutes on one core

Restartable: `--first 25000` goes on at file 25,000. test_torch_file.py runs a sample, and its builders of
archives and pickles by hand are here.
"""

import argparse
import contextlib
import io
import itertools
import pathlib
import random
import struct
import sys
import tempfile
import time
import zipfile

from keras_bert.checkpoints.torch_file import TorchFile
from keras_bert.errors import CheckpointError

BINS = pathlib.Path(__file__).parents[1] / "golden" / "torch_bins"
# What a file that is run instead of read would raise; sys.audit calls it so.
FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "subprocess.Popen", "socket.connect")
# Pieces of pickles that matter to one who builds a trap.
PIECES = [
    b"cposix\nsystem\n", b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n", b"X\x04\x00\x00\x00evil",
    b"X\xff\xff\xff\xff", b"\x8d" + b"\xff" * 8, b"\x96" + b"\xff" * 8, b"\x8a\xff" + b"\x7f" * 255,
    b"\x8b\xff\xff\xff\x7f", b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"J\xff\xff\xff\xff", b"J\xff\xff\xff\x7f",
    b"G\x7f\xf8" + bytes(6), b"M\xff\xff", b"K\x00", b"K\x01", b"K\x02", b"r\xff\xff\xff\xff",
    b"j\xff\xff\xff\xff", b"h\x00", b"q\x00", b"\x82\x01", b"\x80\x05", b"P1\n", b"I99\n", b"Fnan\n",
    b"L" + b"9" * 40 + b"L\n", b"Vx\\ud800\n", b"g0\n", b"p0\n", b"S'\\d'\n",
    *(bytes([opcode]) for opcode in b"(t\x85\x86\x87)]}RQbsuae02.N\x88\x89\x94\x95\x93\x81\x92\x97io"),
]  # fmt: skip
NUMBERS = [0, 1, 2, 4, 8, 24, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]


def archive(members, *, descriptors=True, zip64=False, method=0, flags=0x0808, local_names=None) -> bytes:
    """A zip archive as torch writes it; the arguments make it differ from that.

    Args:
        members: list of (name, bytes).
        zip64: bool. Whether every size stands in the zip64 field, as in archives over 4 GB.
        local_names: dict. Names that differ in the member's own header.
    """
    data, directory = bytearray(), bytearray()
    for name, content in members:
        encoded, at, size = name.encode(), len(data), len(content)
        local = (local_names or {}).get(name, name).encode()
        data += (
            struct.pack("<4s5H3L2H", b"PK\3\4", 0, flags, method, 0, 0, 0, 0, 0, len(local), 0)
            + local
            + content
        )
        if descriptors:
            data += struct.pack("<4sLQQ" if zip64 else "<4sLLL", b"PK\7\x08", 0, size, size)
        more = struct.pack("<2H3Q", 1, 24, size, size, at) if zip64 else b""
        packed, size, at = (2**32 - 1,) * 3 if zip64 else (size, size, at)
        fields = 0, 0, flags, method, 0, 0, 0, packed, size, len(encoded), len(more), 0, 0, 0, 0, at
        directory += struct.pack("<4s6H3L5H2L", b"PK\1\2", *fields) + encoded + more
    begin, size, count = len(data), len(directory), len(members)
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 0, 45, 0, 0, count, count, size, begin)
    end += struct.pack("<4sLQL", b"PK\6\7", 0, begin + size, 1)
    return bytes(data + directory + end) + struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, begin, 0
    )


def with_pickle(content: bytes, pickle: bytes) -> bytes:
    """The archive with another data.pkl, sound apart from that."""
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        members = [(name, old.read(name)) for name in old.namelist()]
    return archive([(name, pickle if name.endswith("data.pkl") else data) for name, data in members])


def seeds() -> list[tuple[bytes, bytes | None]]:
    """(file, its pickle if it is an archive) of every file that torch wrote for the tests."""
    result = []
    for path in sorted(BINS.glob("*.bin")):
        content, pickle = path.read_bytes(), None
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as read:
                pickle = next(read.read(name) for name in read.namelist() if name.endswith("data.pkl"))
        result.append((content, pickle))
    return result


def damage(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """One to four changes, where they are likely to matter."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        # The beginning of the old layout, and the end of an archive, decide more than the numbers between.
        place = int(len(content) * rng.choice((rng.random(), rng.random() ** 3, 1 - rng.random() ** 3)))
        length = rng.choice((1, 1, 2, 4, 8, 30, 200))
        kind = rng.choice((0, 0, 1, 1, 1, 2, 3, 4, 4, 5, 5, 6, 7))
        if kind == 0:
            content[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            content[place : place + 1] = (
                bytes([content[place] ^ 1 << rng.randrange(8)]) if content[place:] else b""
            )
        elif kind == 2:
            del content[place : place + length]
        elif kind == 3:
            content[place:place] = rng.choice((rng.randbytes(length), content[place : place + length]))
        elif kind == 4:
            piece = rng.choice(PIECES)
            content[place : place + rng.choice((0, len(piece)))] = piece
        elif kind == 5:
            width = rng.choice((1, 2, 4, 8))
            number = (rng.choice((*NUMBERS, len(content))) & 2 ** (8 * width) - 1).to_bytes(width, "little")
            content[place : place + width] = number
        elif kind == 6:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            content[place : place + rng.choice((0, length))] = other[start : start + length]
        else:
            content = content[:place] if rng.random() < 0.3 else content[:place] + PIECES[0] + content[place:]
    return bytes(content)


def mutants(first: int, count: int):
    """Files number `first` and on; each depends on its number alone."""
    originals = seeds()
    files, pickles = [file for file, _ in originals], [pickle for _, pickle in originals if pickle]
    for number in range(first, first + count):
        rng = random.Random(number)
        content, pickle = rng.choice(originals)
        if pickle and rng.random() < 0.6:
            yield with_pickle(content, damage(pickle, rng, pickles))
        else:
            yield damage(content, rng, files)


def outcome(path) -> str:
    """Reads every number of a file: `"read"`, or `"refused"` by our own error; any other is raised."""
    try:
        tensors = TorchFile(path)
        for name, shape in tensors.shapes.items():
            array = tensors[name]
            assert array.shape == shape and array.dtype.name == tensors.dtypes[name]
            assert array.nbytes == 0 or len(array.tobytes()) == array.nbytes
    except CheckpointError as error:
        assert len(str(error)) < 2000, f"a message of {len(str(error))} characters"
        return "refused"
    return "read"


@contextlib.contextmanager
def watched():
    """Within the block any of FORBIDDEN is an error. (An audit hook cannot be taken away again.)"""
    within = True

    def hook(event, _):
        if within and event.startswith(FORBIDDEN):
            raise RuntimeError(f"the reader caused {event}")

    sys.addaudithook(hook)
    try:
        yield
    finally:
        within = False


def memory(which: str) -> int:
    """`VmRSS`, or its peak `VmHWM`, in KB."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    outcomes, slowest, largest = {"read": 0, "refused": 0}, (0, 0), (0, 0)
    with watched(), tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "pytorch_model.bin"
        for number, content in zip(itertools.count(options.first), mutants(options.first, options.count)):
            path.write_bytes(content)
            pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
            before, start = memory("VmRSS"), time.perf_counter()
            try:
                outcomes[outcome(path)] += 1
            except BaseException:
                print(f"file {number}: not our own error", flush=True)
                raise
            slowest = max(slowest, (time.perf_counter() - start, number))
            largest = max(largest, (memory("VmHWM") - before, number))
    print(f"files {options.first} to {options.first + options.count - 1}: {outcomes}")
    print(f"slowest: {slowest[0]:.4f} s (file {slowest[1]})")
    print(f"most memory: {largest[0] / 1024:.2f} MB (file {largest[1]})")


if __name__ == "__main__":
    main()
