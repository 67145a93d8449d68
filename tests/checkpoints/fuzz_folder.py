# ruff: noqa: E501
"""Damaged and hostile model folders: each is read or refused by our own error, quickly and in little memory.

    python tests/checkpoints/fuzz_folder.py 100000      # folders; some ten minutes on one core

Restartable: `--first 25000` goes on at folder 25,000. What is wrong with a folder is printed with its number
and does not end the run. test_fuzz_folder.py runs a sample.
"""

import argparse
import collections
import contextlib
import copy
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback

import numpy as np

from keras_bert.checkpoints import names
from keras_bert.checkpoints.checkpoint import encoder_weights, head_weights, read_folder
from keras_bert.checkpoints.folder import write_folder
from keras_bert.checkpoints.formats import MORE_WEIGHTS
from keras_bert.checkpoints.inspect import describe, inspect
from keras_bert.checkpoints.tokenizer_files import read_tokenizer
from keras_bert.config import BertConfig
from keras_bert.errors import KerasBertError
from keras_bert.text.tokenizer import Tokenizer

LAYOUTS = pathlib.Path(__file__).parents[1] / "golden" / "layouts"
KINDS = (
    "hf5_classification", "hf5_sharded", "hf5_masked_lm_untied", "hf5_bfloat16", "hf5_tagging",
    "sentence_transformers", "sentence_transformers_2", "google_tf1_classifier", "google_tf1_pretrained",
    "keras_hub_classifier", "model_garden_classifier", "tf_hub", "hf4_bin_sharded", "hf4_tf_tagging",
)  # fmt: skip
MAX_SECONDS, SPARE_BYTES, MAX_MESSAGE = 1.0, 64 * 2**20, 4000
# Numbers, strings and shapes that a JSON value may turn into.
NUMBERS = (0, 1, -1, 2, 3, 7, 512, -(2**31), 2**31, 2**53, 2**63, 10**12, 10**400, 0.5, 1e30, 1e308, -0.1)
ODD_VALUES = (None, True, False, "", "0", "gelu", "../..", "/etc/passwd", "a\0b", "\ud800", [], {}, [[]], [{}],
              {"a": {}}, float("nan"), float("inf"), -float("inf"), ["x"], [1, 2], {"content": []})  # fmt: skip
TEXTS = (b"NaN", b"9" * 400, b"9" * 5000, b"-1", b"1e999", b"null", b"{", b"}", b"[", b'"', b"\\ud800", b"\0",
         b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b"[UNK]\n", b"[" * 3000, b'{"a":' * 3000)  # fmt: skip
LINKS = ("/dev/zero", "/etc/hostname", "/nowhere", ".", "..", "../outside.txt", "config.json", "vocab.txt")


class Special:
    """What stands in place of a file: `"folder"`, `"fifo"`, or a link to `target`."""

    def __init__(self, kind: str, target: str = ""):
        self.kind, self.target = kind, target

    def make(self, path: pathlib.Path):
        """Puts it at `path`."""
        if self.kind == "folder":
            path.mkdir()
        elif self.kind == "fifo":
            os.mkfifo(path)
        else:
            path.symlink_to(self.target)


def own_folder(folder: pathlib.Path, architecture: str, parts: tuple[str, ...], extras: dict):
    """A folder as `bert.save` writes it: classes of its own, and keras_bert.json."""
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "warm", "film", "##s", "我")
    config = BertConfig(len(pieces), 2, 2, 4, 6, max_sequence_length=8)
    sizes = {**names.sizes_of(config), "C": 3}
    weights = {}
    for row in names.rows_of(config, parts):
        *inputs, last = (sizes[letter] for letter in row.shape)
        weights[row.ours] = np.ones((*inputs, last * (3 if row.fused else 1)), np.float32)
    write_folder(
        folder,
        config,
        weights,
        architecture=architecture,
        tokenizer=Tokenizer(pieces),
        labels=("bad", "fair", "good"),
        extras=extras,
    )


def content_of(folder: pathlib.Path) -> dict[str, bytes]:
    """Path inside the folder to content, of every file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def seeds() -> list[dict[str, bytes]]:
    """The folders that are mutated."""
    with tempfile.TemporaryDirectory() as scratch:
        classifier, masked_lm = pathlib.Path(scratch, "classifier"), pathlib.Path(scratch, "masked_lm")
        task = {"task": {"name": "classification", "max_length": 8}}
        own_folder(
            classifier, "BertForSequenceClassification", ("encoder", "pooler", "classifier"), extras=task
        )
        # Its pooler lies in keras_bert.safetensors, for the class of transformers has none.
        more = {
            "pooling": {"mode": "mean", "normalize": True, "max_length": 8},
            "head_config": {"activation": "gelu_approximate", "layer_norm_epsilon": 1e-5},
        }
        own_folder(masked_lm, "BertForMaskedLM", ("encoder", "pooler", "masked_lm"), extras=more)
        own = [content_of(classifier), content_of(masked_lm)]
    assert MORE_WEIGHTS in own[1]
    return [*own, *own, *(content_of(LAYOUTS / kind) for kind in KINDS)]


def header_of(content: bytes) -> tuple[bytes, bytes]:
    """A safetensors file's header, which is JSON, and the data after it."""
    length = int.from_bytes(content[:8], "little")
    return content[8 : 8 + length], content[8 + length :]


def damaged_value(rng: random.Random):
    """A JSON value that does not belong where it is put."""
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(NUMBERS)
    if kind < 0.9:
        return copy.deepcopy(rng.choice(ODD_VALUES))
    if kind < 0.93:
        return "x" * 2**20
    if kind < 0.96:
        return list(range(20_000))
    value = 0
    for _ in range(rng.choice((30, 300))):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def damaged_json(content: bytes, rng: random.Random) -> bytes:
    """The JSON with one to three values, keys or entries changed; what is no JSON gets bytes changed."""
    try:
        root = json.loads(content)
    except (ValueError, RecursionError):
        return damaged_bytes(content, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = []  # (container, key)
        stack = [root]
        while stack:
            item = stack.pop()
            keys = (
                list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
            )
            for key in keys:
                places.append((item, key))
                stack.append(item[key])
        if not places:
            return json.dumps(damaged_value(rng)).encode()
        container, key = rng.choice(places)
        kind = rng.random()
        if kind < 0.7:
            container[key] = damaged_value(rng)
        elif kind < 0.8:
            del container[key]
        elif kind < 0.9:
            container[key] = copy.deepcopy(rng.choice(places)[0])
        elif isinstance(container, dict):
            container[rng.choice((str(key) + "x", "", "config", "model_type", "auto_map"))] = container.pop(
                key
            )
    if rng.random() < 0.02:
        root = damaged_value(rng)
    return json.dumps(root, ensure_ascii=rng.random() < 0.9).encode("utf-8", "surrogatepass")


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """One to four changes of bytes; the front is hit more often than the rest."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = int(len(content) * rng.choice((rng.random(), rng.random() ** 3)))
        length = rng.choice((1, 1, 2, 4, 8, 30, 200))
        kind = rng.randrange(6)
        if kind == 0:
            content[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            content[place : place + length] = b""
        elif kind == 2:
            content[place:place] = rng.choice((rng.randbytes(length), content[place : place + length]))
        elif kind == 3:
            content[place:place] = rng.choice(TEXTS)
        elif kind == 4:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice((0, 1, 2**15, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1, len(content)))
            content[place : place + width] = (number & (1 << 8 * width) - 1).to_bytes(width, "little")
        else:
            content = content[: place if rng.random() < 0.5 else length]
    return bytes(content)


def damaged(name: str, content: bytes, rng: random.Random) -> bytes:
    """A file's content, changed where its format is most likely to notice, or not to."""
    if name.endswith(".json") and rng.random() < 0.7:
        return damaged_json(content, rng)
    if name.endswith(".safetensors") and rng.random() < 0.6:
        header, data = header_of(content)
        header = (damaged_json if rng.random() < 0.7 else damaged_bytes)(header, rng)
        return len(header).to_bytes(8, "little") + header + data
    return damaged_bytes(content, rng)


def mutant(number: int, originals: list[dict]) -> dict:
    """Folder number `number`, which depends on its number alone: path to content or `Special`."""
    rng = random.Random(number)
    files = dict(rng.choice(originals))
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        # Small files decide more than their share of bytes.
        name = rng.choice(sorted(name for name in files if not name.startswith(("special", "training"))))
        kind = rng.random()
        if isinstance(files[name], Special):
            continue
        if kind < 0.75:
            files[name] = damaged(name, files[name], rng)
        elif kind < 0.82:
            other = rng.choice(originals)
            files[name] = other[rng.choice(sorted(other))]
        elif kind < 0.85:
            other = rng.choice(originals)
            files |= {added: other[added] for added in rng.sample(sorted(other), min(3, len(other)))}
        elif kind < 0.88:
            files[name] = b""
        elif kind < 0.92:
            del files[name]
            if not files:
                break
        elif kind < 0.97:
            files[name] = Special("link", rng.choice(LINKS))
        else:
            files[name] = Special(rng.choice(("folder", "fifo")))
    return files


def lay_out(files: dict, folder: pathlib.Path) -> int:
    """Writes the folder; returns its bytes. Names that stand in one another's way are left out."""
    size = 0
    folder.mkdir()
    for name, content in sorted(files.items()):
        path = folder / name
        with contextlib.suppress(FileExistsError, NotADirectoryError, OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Special):
                content.make(path)
            else:
                path.write_bytes(content)
                size += len(content)
    return size


def own_error(call) -> str:
    """`"done"`, or `"refused"` by our own error; any other is raised."""
    try:
        call()
    except KerasBertError as error:
        text = str(error)
        assert len(text) < MAX_MESSAGE, f"a message of {len(text)} characters: {text[:300]}"
        return "refused"
    return "done"


def read_all(folder: pathlib.Path):
    """Everything that `keras_bert.load` reads before it builds a model."""
    checkpoint = read_folder(folder)
    assert all(array.dtype == np.float32 for array in dict(encoder_weights(checkpoint).weights).values())
    assert all(array.dtype == np.float32 for array in dict(head_weights(checkpoint)).values())
    read_tokenizer(checkpoint.path)


def outcome(folder: pathlib.Path) -> str:
    """Reads a folder in every way: the outcome of reading it whole, `"done"` or `"refused"`."""
    result = own_error(lambda: read_all(folder))
    own_error(lambda: read_tokenizer(folder))
    facts = inspect(folder)
    json.dumps(facts, default=str)
    describe(facts)
    assert facts["loads"] or facts["problem"]
    return result


def memory(which: str) -> int:
    """`VmRSS`, or its peak `VmHWM`, in bytes."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(which))


class Hang(BaseException):
    """Raised in the midst of a call that takes too long."""


@contextlib.contextmanager
def limits(seconds: int = 2, address_space: int = 4 * 2**30):
    """Within the block nothing runs much longer than `seconds`, and no memory beyond the limit is given."""

    def hang(*_):
        raise Hang(f"over {seconds} s")

    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, hang)
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + address_space, before[1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def examine(number: int, originals: list[dict], scratch: pathlib.Path) -> tuple[str, float, int, int]:
    """One mutant: (outcome, seconds, bytes of memory above those before, bytes of its files).

    The outcome is `"done"`, `"refused"`, or begins with `"FAULT"` and says which.
    """
    folder = scratch / "model"
    shutil.rmtree(folder, ignore_errors=True)
    size = lay_out(mutant(number, originals), folder)
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    before, start = memory("VmRSS"), time.perf_counter()
    try:
        with limits():
            result = outcome(folder)
    except (Exception, Hang) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        ours = [
            frame for frame in traceback.extract_tb(error.__traceback__) if "keras_bert" in frame.filename
        ]
        place = ours[-1] if ours else place
        result = f"FAULT {type(error).__name__} {pathlib.Path(place.filename).name}:{place.lineno}: {error}"[
            :300
        ]
    seconds, used = time.perf_counter() - start, memory("VmHWM") - before
    if not result.startswith("FAULT") and seconds > MAX_SECONDS:
        result = f"FAULT slow: {seconds:.2f} s"
    if not result.startswith("FAULT") and used > 2 * size + SPARE_BYTES:
        result = f"FAULT memory: {used / 2**20:.0f} MB for {size / 2**20:.2f} MB of files"
    return result, seconds, used, size


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    originals, outcomes, kinds = seeds(), collections.Counter(), collections.Counter()
    slowest, largest = (0, 0), (0, 0, 0)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(options.first, options.first + options.count):
            result, seconds, used, size = examine(number, originals, pathlib.Path(scratch))
            outcomes[result.split()[0]] += 1
            if result.startswith("FAULT"):
                kind = result.split(":")[:2] if "slow" not in result else ["FAULT slow"]
                kinds[":".join(kind)] += 1
                if kinds[":".join(kind)] <= 3:
                    print(f"folder {number}: {result}", flush=True)
            slowest = max(slowest, (seconds, number))
            largest = max(largest, (used, number, size))
    print(f"folders {options.first} to {options.first + options.count - 1}: {dict(outcomes)}")
    for kind, count in kinds.most_common():
        print(f"  {count} x {kind}")
    print(f"slowest: {slowest[0]:.3f} s (folder {slowest[1]})")
    print(
        f"most memory: {largest[0] / 2**20:.1f} MB (folder {largest[1]}, {largest[2] / 2**20:.2f} MB of files)"
    )
    return 1 if outcomes["FAULT"] else 0


if __name__ == "__main__":
    sys.exit(main())
