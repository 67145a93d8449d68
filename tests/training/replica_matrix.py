"""Every optimizer and accumulation on 1, 2 and 4 replicas and on 2 processes, against one replica.

    python tests/training/replica_matrix.py OUT.txt        # two cores: about 10 min

One line a case is appended to OUT.txt; started again, the script goes on with the cases that are missing.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np

CASES = [
    f"{optimizer}-{accumulation}{more}"
    for optimizer in ("adamw", "lamb")
    for accumulation in (1, 2, 4)
    for more in ("", "-keyed")
] + ["adamw-2-keyed-ema", "adamw-1-bf16"]
REPLICAS = ("1", "2", "4", "workers")


def main():
    report = pathlib.Path(sys.argv[1])
    done = [line.split()[0] for line in report.read_text().splitlines()] if report.exists() else []
    for case in CASES:
        if case in done:
            continue
        with tempfile.TemporaryDirectory() as folder:
            runs = {
                replicas: run(pathlib.Path(folder, f"{replicas}.npz"), replicas, case)
                for replicas in REPLICAS
            }
        columns = [compared(runs["1"], runs[replicas]) for replicas in REPLICAS[1:]]
        line = f"{case:20} " + "   ".join(
            f"{r}: {text}" for r, text in zip(REPLICAS[1:], columns, strict=True)
        )
        print(line, flush=True)
        with report.open("a") as file:
            file.write(line + "\n")


def run(out, replicas, case) -> dict:
    script = pathlib.Path(__file__).with_name("replica_runs.py")
    command = [sys.executable, str(script), str(out), f"--replicas={replicas}", f"--cases={case}"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    with np.load(out) as file:
        return {name.split("|", 2)[2]: file[name] for name in file.files}


def compared(one, other) -> str:
    """max |w - w'| / max |w| after 1 step and after all, largest relative difference of the logs."""
    found = []
    for step in ("first|", "last|"):
        paths = [name for name in one if name.startswith(step)]
        largest = max(np.abs(one[path]).max() for path in paths)
        found.append(max(np.abs(one[path] - other[path]).max() for path in paths) / largest)
    logs = np.abs(one["losses"] - other["losses"]) / np.maximum(np.abs(one["losses"]), 1)
    return f"{found[0]:.1e} {found[1]:.1e} logs {logs.max():.1e}"


if __name__ == "__main__":
    main()
