"""Does it learn? A mini BERT on IMDB by both recipes and by keras-hub's MaskedLM, the same minutes each.

    python tests/benchmarks/pretrain_imdb.py --data=DATA --work=FOLDER [--minutes=30] [--seeds 0 1 2]

DATA is the folder of real data. 4 layers, 256 wide, a vocabulary of 8,000 pieces learnt from the reviews, of
which 98 % are trained on and 2 % held out. Every arm trains in a process of its own, alone on the machine;
its number of steps follows from its own rate, measured beforehand, so that with its evaluations it needs the
given minutes. Then SST-2 (10,000 rows) is fine-tuned from each of them, and from random weights, for an epoch
(`random_longer`: random weights for three) and tried on its 872 dev rows and on 1,839 sentences of its
training file of which no part was trained on.

keras-hub gets the texts of the efficient recipe as ids, so that its tokeniser costs it nothing, and whatever
of that recipe it can do: the share of masks, optimizer, rate and schedule, no dropout. `random_start` is
`efficient` without its two starts, which keras-hub's model does not have either. All steps are compiled with
XLA, which is the faster way for each of them here.

Everything is kept in FOLDER, and what is finished is not repeated: start it again to go on. --only=STAGE ends
after one stage. The last stage prints the table and draws curves.png.
"""

import argparse
import functools
import gzip
import json
import pathlib
import subprocess
import sys

import numpy as np
import pretrain_imdb_arms as arms

HELD_OUT_EVERY, PIECES, EVALUATIONS = 50, 8_000, 8
CALIBRATION = (20, 60)  # the rate is that between these steps
ARMS = ("paper", "efficient", "random_start", "keras_hub")
FINETUNED = ("random", "paper", "efficient", "keras_hub", "random_longer")


def main():
    parser = common_arguments()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--only")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    stages = {"texts": texts, "records": records}
    stages |= {arm: functools.partial(pretrain, arm=arm) for arm in ARMS} | {"sst2": sst2}
    finish({name: stage for name, stage in stages.items() if given.only in (None, name)}, given)
    if given.only in (None, "report"):
        report(given)


def common_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    return parser


def finish(stages, given):
    """Runs the stages that have not been run."""
    for name, stage in stages.items():
        mark = given.work / f"{name}.done"
        if not mark.exists():
            stage(given)
            mark.touch()


def texts(given):
    """The reviews, apart, and the vocabulary of those to train on."""
    with gzip.open(given.data / "corpora/imdb_reviews.jsonl.gz", "rt", encoding="utf-8") as file:
        reviews = [json.loads(line)["text"].replace("<br />", " ") for line in file]
    for name, is_held_out in (("train", False), ("held_out", True)):
        lines = [
            json.dumps({"text": text}) + "\n"
            for i, text in enumerate(reviews)
            if (i % HELD_OUT_EVERY == 0) == is_held_out
        ]
        (given.work / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    vocab_file = given.work / "vocabulary/vocab.txt"
    vocab_file.parent.mkdir(exist_ok=True)
    keras_bert("vocabulary", input_file=given.work / "train.jsonl", output_file=vocab_file, vocab_size=PIECES)


def records(given):
    """Pairs with static masks, and single texts with masks to come; the same two of what is held out."""
    static, single = {"masking": "static"}, {"next_sentence": "false"}
    for name, text, flags in (
        ("paper", "train", static),
        ("efficient", "train", single),
        ("held_out_paper", "held_out", {**static, "dupe_factor": 1}),
        ("held_out_efficient", "held_out", {**static, **single, "dupe_factor": 1}),
    ):
        keras_bert(
            "corpus", input_file=given.work / f"{text}.jsonl", output_dir=given.work / "records" / name,
            vocab_file=given.work / "vocabulary/vocab.txt", max_seq_length=arms.LENGTH,
            max_predictions_per_seq=round(0.15 * arms.LENGTH), **flags,
        )  # fmt: skip


def pretrain(given, arm):
    """One arm for so many minutes: its rate first, then the run."""
    plan = given.work / f"{arm}.json"
    if not plan.exists():
        first, last = CALIBRATION
        trial = given.work / "trials" / arm
        train(given, arm, trial, last, log_steps=first, evaluations=1)
        rows = {row["step"]: row["seconds"] for row in read_rows(trial) if "learning_rate" in row}
        evaluation = read_rows(trial)[-1]["seconds"] - rows[last]
        seconds = (rows[last] - rows[first]) / (last - first)
        steps = round((60 * given.minutes - EVALUATIONS * evaluation) / seconds)
        plan.write_text(json.dumps({"steps": steps, "step_seconds": seconds, "evaluation": evaluation}))
        print(arm, plan.read_text(), flush=True)
    train(given, arm, given.work / arm, json.loads(plan.read_text())["steps"])


def train(given, arm, output, steps, log_steps=20, evaluations=EVALUATIONS):
    eval_steps = steps // evaluations
    if arm == "keras_hub":
        run(sys.executable, arms.__file__, given.work, output, steps, log_steps, eval_steps)
        return
    recipe = "paper" if arm == "paper" else "efficient"
    keras_bert(
        "pretrain", recipe=recipe, preset="mini", input_file=given.work / "records" / recipe,
        output_dir=output, eval_file=given.work / "records" / f"held_out_{recipe}", num_train_steps=steps,
        log_steps=log_steps, eval_steps=eval_steps, **arms.SETTINGS[arm],
    )  # fmt: skip


def sst2(given, names=FINETUNED, file="sst2.jsonl"):
    """Fine-tunes of every arm with every seed, line by line."""
    results = given.work / file
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    known = {(row["arm"], row["seed"]) for row in done}
    for seed in given.seeds:
        for arm in names:
            if (arm, seed) not in known:
                row = {"arm": arm, "seed": seed, "right": arms.finetune(given, arm, seed)}
                print(arm, seed, np.mean(row["right"]), flush=True)
                with results.open("a") as file:
                    file.write(json.dumps(row) + "\n")


def report(given):
    """The table, and the curves of all arms in one picture."""
    from keras_bert.reports.plots import curves_plot

    runs = {arm: read_rows(given.work / arm) for arm in ARMS if (given.work / f"{arm}.done").exists()}
    curves_plot(
        runs, "val_mlm_accuracy", given.work / "curves.png", over="seconds",
        title="Masked pieces of held-out IMDB reviews found by a mini BERT",
    )  # fmt: skip
    print(f"{'':13} steps  seconds  tokens/s  held-out accuracy and loss     SST-2, 95 % over rows and seeds")
    for arm in ("random", "random_longer", *ARMS):
        row = {} if arm not in runs else runs[arm][-1]
        rates = [row["tokens_per_second"] for row in runs.get(arm, []) if "tokens_per_second" in row]
        cells = [
            f"{row.get(name, 0):{form}}"
            for name, form in (("step", "6"), ("seconds", "8.0f"), ("val_mlm_accuracy", "10.4f"))
        ]
        cells.append(f"{row.get('val_mlm_loss', row.get('val_loss', 0)):8.3f}")
        cells.insert(2, f"{np.median(rates) if rates else 0:9.0f}")
        print(f"{arm:13}", *cells, " " * 6, interval(given.work / "sst2.jsonl", arm))


def interval(results, arm, resamples=10_000) -> str:
    """Mean accuracy, and where 95 % of the bootstrap over rows and seeds lie."""
    rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    right = np.array([row["right"] for row in rows if row["arm"] == arm], float)
    if not len(right):
        return "-"
    rng = np.random.default_rng(0)
    means = [
        right[rng.integers(0, len(right), len(right))].mean(0)[
            rng.integers(0, right.shape[1], right.shape[1])
        ].mean()
        for _ in range(resamples)
    ]  # fmt: skip
    low, high = np.quantile(means, [0.025, 0.975])
    seeds = " ".join(f"{mean:.4f}" for mean in right.mean(1))
    return f"{right.mean():.4f} [{low:.4f}, {high:.4f}] of {seeds}"


def read_rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def run(*command):
    command = [str(part) for part in command]
    print("+", *command, flush=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def keras_bert(verb, **flags):
    command = pathlib.Path(sys.executable).with_name("keras-bert")
    run(command, verb, *(f"--{name}={value}" for name, value in flags.items()))


if __name__ == "__main__":
    main()
