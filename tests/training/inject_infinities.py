"""An Inf in one record, so on one replica or worker only: does `keras-bert pretrain` stop on all of them?

    python tests/training/inject_infinities.py OUT.txt [--runs=20] [--replicas=2|4|workers] [--seed=0]

A run trains on records of which one, drawn at random, gets an infinite weight on its masked pieces. All
processes must end within a minute after it with exit code 2; the message and nonfinite.json must name the
feature and that record, which only one replica saw; and the newest state must be finite and of a step before
it. Without --replicas the three ways take turns. A line is appended to OUT.txt for every run; started again,
the script goes on with those that are missing.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import numpy as np
from local_workers import environments

WAYS = {"2": 2, "4": 4, "workers": 2}
BATCH, SAVE_STEPS, LONGEST = 8, 2, 240  # seconds of a whole run, most of them the start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--replicas", choices=list(WAYS))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    report = pathlib.Path(given.out)
    done = len(report.read_text().splitlines()) if report.exists() else 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        examples = corpus(folder)
        for run in range(done, given.runs):
            rng = random.Random(given.seed * 1000 + run)
            way = given.replicas or list(WAYS)[run % len(WAYS)]
            line = f"{way}: {one_run(folder, folder / f'run{run}', way, rng.randrange(examples))}"
            print(line, flush=True)
            with report.open("a") as file:
                file.write(f"run {run}: {line}\n")
    return int(any("stopped" not in line for line in report.read_text().splitlines()))


def corpus(folder) -> int:
    """Records of random words; how many there are."""
    import keras_bert as kb

    words = [f"{first}{second}" for first in "abcdefgh" for second in "aeiou"]
    rng = random.Random(0)
    texts = [
        " ".join(rng.choices(words, k=rng.randint(3, 9))) + "\n" * rng.choice((1, 1, 2)) for _ in range(600)
    ]
    (folder / "text.txt").write_text("".join(texts), encoding="utf-8")
    kb.build_corpus(
        folder / "text.txt", folder / "records",
        kb.Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]),
        kb.CorpusSettings(max_seq_length=24, max_predictions_per_seq=4), num_workers=1,
    )  # fmt: skip
    return kb.PretrainingRecords(folder / "records").num_examples


def one_run(folder, out, way, record) -> str:
    """Trains until the record comes; what came of it."""
    command = [sys.executable, __file__, "child", str(record), f"--input_file={folder}/records",
               f"--output_dir={out}", "--preset=tiny", f"--train_batch_size={BATCH}", "--num_train_epochs=2",
               f"--save_steps={SAVE_STEPS}", "--log_steps=1", "--eval_steps=1000",
               "--max_seq_length=24"]  # fmt: skip
    own = [{}]
    if way == "workers":
        command.append("--strategy=multi_worker")
        own = environments(2)
    else:
        devices = ",".join(f"CPU:{i}" for i in range(WAYS[way]))
        command += ["--strategy=mirrored", f"--devices={devices}"]
    started = time.perf_counter()
    logs = [pathlib.Path(f"{out}.{i}.log") for i in range(len(own))]
    processes = [
        subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=log.open("wb"),
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        )
        for log, environment in zip(logs, own, strict=True)
    ]  # fmt: skip
    try:
        codes = [process.wait(LONGEST) for process in processes]
    except subprocess.TimeoutExpired:
        for process in processes:
            process.kill()
        return f"HANGS, record {record}"
    seconds = time.perf_counter() - started
    faults = [f"exit codes {codes}"] * (set(codes) != {2}) + faults_of(out, logs, record)
    if faults:
        return f"WRONG, record {record}: {'; '.join(faults)}"
    found = json.loads((out / "nonfinite.json").read_text())
    place = found["records"].index(record)
    replica = place * WAYS[way] // len(found["records"])
    return (
        f"stopped at step {found['step'] + 1} by record {record} on replica {replica}, {seconds:.0f} s in all"
    )


def faults_of(out, logs, record) -> list[str]:
    from keras_bert.training import run_state

    faults = [
        f"{log.name} does not say it: {log.read_text()[-500:]}"
        for log in logs
        if "is not finite, first the feature mask_weights" not in log.read_text()
    ]
    if not (out / "nonfinite.json").exists():
        return [*faults, "no nonfinite.json"]
    found = json.loads((out / "nonfinite.json").read_text())
    if found["rows"] != [record]:
        faults.append(f"rows {found['rows']}")
    state = run_state.newest_state(out / "states")
    if state is None:
        return faults if found["step"] < SAVE_STEPS else [*faults, "no state"]
    if not found["step"] - SAVE_STEPS < state.facts["step"] <= found["step"]:
        faults.append(f"state of step {state.facts['step']}, fault in step {found['step']}")
    names = [name for name, dtype, _ in state.facts["arrays"] if dtype == "float32"]
    if not all(np.isfinite(array).all() for array in state.arrays(names)):
        faults.append("the state is not finite")
    return faults


def child(record, *flags) -> int:
    """`keras-bert pretrain` with the one record spoilt."""
    from keras_bert.cli.main import main
    from keras_bert.corpus.masking import Masker

    masked = Masker.__call__

    def spoilt(self, rows, epoch, indices):
        found = masked(self, rows, epoch, indices)
        found["mask_weights"][np.asarray(indices) == int(record), 0] = np.inf
        return found

    Masker.__call__ = spoilt
    return main(["pretrain", *flags])


if __name__ == "__main__":
    sys.exit(child(*sys.argv[2:]) if sys.argv[1] == "child" else main())
