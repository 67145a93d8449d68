"""kill -9 at random moments, then the same command again: is the model bit for bit the undisturbed one?

python tests/training/kill_and_resume_training.py OUT.txt [--runs=20] [--seed=0]    # each some minutes
    --workers=2            a job of two processes, of which one is killed: the other must end by itself
    --most_kills=2         a run is then left alone
    --signal=TERM          the gentle way: the process must end with 75
    --command="keras-bert pretrain ... --output_dir={out}" --results=model.safetensors   # instead of its own

A run is killed a random time after it has saved a state, or, one of five times, anywhere (not where there are
several workers: before they have found one another TensorFlow waits, for somebody might start the other), and
started again until it gets finished; then its result files are compared. One line for every run is appended
to OUT.txt; started again, the script goes on with the runs that are missing.
"""

import argparse
import hashlib
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from local_workers import environments

LONGEST_END = 60  # seconds that a worker may outlive another
STEPS_PER_EPOCH, EPOCHS = 20, 3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--most_kills", type=int, default=100)
    parser.add_argument("--signal", default="KILL")
    parser.add_argument("--command", default=f"{sys.executable} {__file__} {{out}} --train")
    parser.add_argument("--results", default="result.json")
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    if options.train:
        return train(options.out)
    report = Path(options.out)
    done = len(report.read_text().splitlines()) if report.exists() else 0
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        assert set(wait(start(options, f"{folder}/whole"))) == {0}, "the undisturbed run failed"
        seconds, expected = time.perf_counter() - started, results(options, f"{folder}/whole")
        for run in range(done, options.runs):
            line = one_run(
                options, f"{folder}/run{run}", seconds, expected, random.Random(options.seed * 1000 + run)
            )
            print(line, flush=True)
            with report.open("a") as file:
                file.write(f"run {run}: {line}\n")
    return int("DIFFERENT" in report.read_text())


def one_run(options, out, seconds, expected, rng) -> str:
    """Starts and kills until the job gets finished; what came of it in a line."""
    kills, codes, ends = 0, set(), [0.0]
    while True:
        processes = start(options, out)
        victim = rng.choice(processes)
        try:
            if kills == options.most_kills:
                victim.wait()
            elif options.workers > 1 or rng.random() < 0.8:
                wait_for_progress(out, victim)
                victim.wait(rng.uniform(0, 3))
            else:
                victim.wait(rng.uniform(0, 1) * seconds)
        except subprocess.TimeoutExpired:
            victim.send_signal(getattr(signal, f"SIG{options.signal}"))
            killed = time.perf_counter()
            victim.wait()
            left = wait(processes, LONGEST_END)
            ends.append(time.perf_counter() - killed)
            codes |= set(left)
            kills += 1
            continue
        finished = wait(processes, LONGEST_END)
        if set(finished) != {0}:
            return f"FAILED with exit codes {finished} after {kills} kills"
        equal = "equal" if results(options, out) == expected else "DIFFERENT"
        return f"{equal} after {kills} kills, exit codes {sorted(codes)}, ended within {max(ends):.1f} s"


def wait_for_progress(out, process):
    """Until there is a state that was not there before, or the process has ended."""
    before = set(Path(out).glob("**/step-*"))
    while process.poll() is None and not set(Path(out).glob("**/step-*")) - before:
        time.sleep(0.02)


def start(options, out) -> list:
    command = [part.replace("{out}", str(out)) for part in shlex.split(options.command)]
    if options.workers == 1:
        return [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log_of(out, 0))]
    return [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log_of(out, i), env={**os.environ, **own})
        for i, own in enumerate(environments(options.workers))
    ]


def log_of(out, worker):
    path = Path(f"{out}.worker{worker}.log")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


def wait(processes, seconds=None) -> list:
    """Exit codes; a process that is still there after so many seconds hangs, and ends the script with it."""
    try:
        return [process.wait(seconds) for process in processes]
    except subprocess.TimeoutExpired:
        for process in processes:
            process.kill()
        raise


def results(options, out) -> dict:
    return {
        name: hashlib.sha256(Path(out, name).read_bytes()).hexdigest() for name in options.results.split(",")
    }


# The training process.


def train(out) -> int:
    """A small BERT with dropout, accumulation and averages; writes hashes of all variables, and every log."""
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    import tensorflow as tf
    from small_run import Rows

    from keras_bert.errors import KerasBertError
    from keras_bert.training.interruption import peers_watched
    from keras_bert.training.resume import Resume

    several = "TF_CONFIG" in os.environ
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if several else tf.distribute.get_strategy()
    with strategy.scope():
        task, model = pretraining_model()
    source, rows = Records(task), Rows("loss")
    resume = Resume(Path(out, "states"), source, every_steps=3, callbacks=[rows])
    try:
        with peers_watched(strategy, resume):
            model.fit(
                source.dataset(),
                steps_per_epoch=STEPS_PER_EPOCH,
                epochs=EPOCHS,
                verbose=0,
                callbacks=[rows, resume],
            )
    except KerasBertError as error:
        print(error, file=sys.stderr, flush=True)
        return 75 if type(error).__name__ == "Interrupted" else 2
    if resume.workers.is_chief:
        hashes = [
            hashlib.sha256(v.numpy().tobytes()).hexdigest()
            for v in (*model.variables, *model.optimizer.variables)
        ]
        Path(out, "result.json").write_text(json.dumps({"variables": hashes, "rows": rows.rows}))
    return 0


def pretraining_model():
    import keras

    import keras_bert as kb
    from keras_bert.tasks.pretraining import Pretraining

    keras.utils.set_random_seed(11)
    config = kb.BertConfig(60, 2, 2, 16, 32, max_sequence_length=12, dropout=0.1, attention_dropout=0.1)
    task = Pretraining(max_length=12)
    model = task.head(kb.bert_encoder(config), config)
    model.compile(kb.AdamW(1e-3, use_ema=True, ema_momentum=0.9, global_clipnorm=0.5), accumulation_steps=2)
    return task, model


class Records:
    """Batches that are functions of their place; five to a pass."""

    def __init__(self, task):
        self.task, self.begin = task, 0

    def seek(self, step, epoch, number):
        self.begin = 5 * epoch + number

    def position(self, step):
        return divmod(step, 5)

    def dataset(self):
        import numpy as np
        import tensorflow as tf

        def batches():
            for i in range(self.begin, 10**6):
                time.sleep(0.05)  # so that there is time to be killed in
                rng = np.random.default_rng(i)
                yield {
                    "token_ids": rng.integers(5, 60, (8, 12), "int32"),
                    "segment_ids": np.repeat([[0] * 5 + [1] * 7], 8, 0).astype("int32"),
                    "padding_mask": np.ones((8, 12), "int32"),
                    "mask_positions": rng.integers(1, 12, (8, 4), "int32"),
                    "mask_ids": rng.integers(5, 60, (8, 4), "int32"),
                    "mask_weights": rng.integers(0, 2, (8, 4)).astype("float32"),
                    "next_sentence_label": rng.integers(0, 2, 8, "int32"),
                    "record_indices": np.arange(8) + 8 * i,
                }

        spec = {name: tf.TensorSpec(array.shape, array.dtype) for name, array in next(batches()).items()}
        dataset = tf.data.Dataset.from_generator(batches, output_signature=spec).map(self.task.batch)
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        return dataset.with_options(options)


if __name__ == "__main__":
    sys.exit(main())
