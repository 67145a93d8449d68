"""What loading costs: BERT-base from its files into a built model, and `keras-bert inspect` of them.

    python tests/benchmarks/load.py        # writes some 1.3 GB into a temporary folder, and removes it

Each figure is of a fresh process; seconds are medians of five readings in it, the memory is the peak of the
resident set above that with TensorFlow imported and the model built, in units of the weights' bytes. The
model is built anew only for the whole of `kb.load`. Pages of the mapped file count as memory, though the
system takes them back when it needs them; the column "own" leaves them out.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FORMATS = ("huggingface", "google", "bin")


def main(scratch: str):
    folder = Path(scratch)
    run("write", folder)
    print(f"{'':<14}{'read + assign':>26}{'peak':>10}{'own':>10}{'inspect':>26}")
    for name in FORMATS:
        if not (folder / name).exists():
            print(f"{name:<14} not written: no torch here")
            continue
        seconds = [run("read", folder / name) for _ in range(3)]
        medians = [result["median"] for result in seconds]
        peaks = [max(result[kind] for result in seconds) for kind in ("peak", "own")]
        inspected = timed_inspect(folder / name)
        print(f"{name:<14}{spread(medians):>26}{peaks[0]:>8.2f} x{peaks[1]:>8.2f} x{spread(inspected):>26}")


def spread(values) -> str:
    return f"{statistics.median(values):.3f} s ({min(values):.3f} to {max(values):.3f})"


def run(step: str, path: Path) -> dict:
    """A step of this file in a process of its own; its last line is JSON."""
    command = [sys.executable, __file__, step, str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def timed_inspect(folder: Path) -> list[float]:
    """Wall seconds of `keras-bert inspect`, which must not import TensorFlow."""
    code = (
        "import sys; from keras_bert.cli.__main__ import main\n"
        "try: main(['keras-bert', 'inspect', sys.argv[1]])\n"
        "finally: assert 'tensorflow' not in sys.modules, 'TensorFlow was imported'"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, stdout=subprocess.DEVNULL)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        command = [sys.executable, "-m", "keras_bert.cli", "inspect", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return times


if __name__ == "__main__" and len(sys.argv) == 1:
    with tempfile.TemporaryDirectory() as scratch:
        main(scratch)
