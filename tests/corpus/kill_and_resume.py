"""kill -9 at random moments, then the same command again: are the bytes those of an undisturbed run?

python tests/corpus/kill_and_resume.py --input_file=TEXT --vocab_file=vocab.txt [--kills=50]   # 5 min

A run is killed after a random part of the time that an undisturbed one takes; when a corpus gets finished all
the same, the next begins in a new folder. Every finished corpus is compared, file by file.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--input_file", required=True)
    parser.add_argument("--vocab_file", required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, kills, runs, compared = random.Random(options.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "keras_bert.cli", "corpus", f"--input_file={options.input_file}",
            f"--vocab_file={options.vocab_file}", "--num_workers=2", "--num_shards=8",
        ]  # fmt: skip
        started = time.perf_counter()
        subprocess.run([*command, f"--output_dir={folder}/whole"], check=True, capture_output=True)
        seconds = time.perf_counter() - started
        expected = hashes_of(Path(folder, "whole"))
        out = Path(folder, "out")
        while kills < options.kills:
            process = subprocess.Popen(
                [*command, f"--output_dir={out}"],
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            runs += 1
            try:
                code = process.wait(rng.uniform(0.1, 0.7) * seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                continue
            assert code == 0, f"exit code {code}"
            compared += compare(out, expected)
            shutil.rmtree(out)
        subprocess.run([*command, f"--output_dir={out}"], check=True, capture_output=True)
        compared += compare(out, expected)
    print(f"{kills} kills in {runs} runs of {seconds:.1f} s; {compared} finished corpora, all equal")


def compare(folder: Path, expected: dict) -> int:
    found = hashes_of(folder)
    assert found == expected, sorted(found.items() ^ expected.items())
    return 1


def hashes_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


if __name__ == "__main__":
    main()
