"""Every task fine-tuned on real data by keras_bert and by Hugging Face/torch, the same recipe.

    python tests/benchmarks/tasks.py --data=DATA --work=FOLDER [--only cola wnut] [--seeds 0 1 2]
        [--peer_python=TORCH_ENV/bin/python] [--precision float32] [--num_train_epochs=1] [--notes]

DATA is the folder of real data. MiniLM is the encoder, of Chinese tasks SimBERT-tiny, both from their
packages on PyPI. Batch 32 (question answering 16), peak rate 5e-5, epochs as `tasks_data.RUNS` says, 10 %
warm-up then linear to 0, weight decay 0.01, gradient norm 1. One line of JSON is appended to
FOLDER/results.jsonl for every finished run, and a run that is already there is not repeated: start it again
to go on. The torch runs need an environment of their own, see requirements-torch.txt. Seconds are those of
the whole process, from its start to its answers; for these alone `--num_train_epochs` shortens a run, with
which its start weighs more. `--report` prints the table, `--notes` appends what both
sides ran to BUILD_NOTES' table of speed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import side_by_side
import tasks_data

HERE = pathlib.Path(__file__).parent
VERB = pathlib.Path(sys.executable).with_name("keras-bert")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=list(tasks_data.RUNS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--peer_python")
    parser.add_argument("--precision", default="float32", choices=["float32", "mixed_bfloat16"])
    parser.add_argument("--num_train_epochs", type=int)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--notes", action="store_true")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results = given.work / "results.jsonl"
    if not given.report:
        for seed in given.seeds:
            for name in given.only:
                for who in ("ours", *(["torch"] if given.peer_python and has_peer(name) else [])):
                    row = {"run": name, "who": who, "seed": seed, "precision": given.precision}
                    row["num_train_epochs"] = recipe(given, name)["num_train_epochs"]
                    if not any(setting(found) == setting(row) for found in read(results)):
                        row |= run(given, name, who, seed)
                        with results.open("a") as file:
                            file.write(json.dumps(row) + "\n")
                        print({key: value for key, value in row.items() if key != "answers"}, flush=True)
    report(read(results))
    if given.notes:
        note_speed(given, [row for row in read(results) if precision(row) == given.precision])


def has_peer(name) -> bool:
    return name not in tasks_data.WITHOUT_PEER


def setting(row) -> tuple:
    """What a run is known by."""
    return row["run"], row["who"], row["seed"], precision(row), epochs(row)


def epochs(row) -> int:
    return row.get("num_train_epochs", tasks_data.RUNS[row["run"]]["num_train_epochs"])


def precision(row) -> str:
    return row.get("precision", "float32")


def read(path) -> list:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(given, name, who, seed) -> dict:
    """One run in a process of its own: {"scores", "seconds"}."""
    files = tasks_data.files(given.data, given.work, name)
    flags = recipe(given, name)
    if who == "ours":
        ending = "" if given.precision == "float32" else f"_{given.precision}"
        ending += f"_{given.num_train_epochs}_epochs" if given.num_train_epochs else ""
        return ours(given.work / "models" / f"{name}_{seed}{ending}", files, flags, seed)
    answers = given.work / f"{name}_{seed}_torch.json"
    job = {
        **files,
        **flags,
        "seed": seed,
        "rows": str(rows_for_torch(given.work, files, name)),
    }
    started = time.perf_counter()
    subprocess.run([given.peer_python, HERE / "tasks_torch.py", json.dumps(job), answers], check=True)
    seconds = time.perf_counter() - started
    found = json.loads(answers.read_text())
    task, gold = task_and_gold(files, name)
    scores = task.scores(gold, found["answers"])
    return {"scores": scores, "seconds": seconds, "fit_seconds": found["seconds"]}


def recipe(given, name) -> dict:
    """The flags of a run, as this call of the script wants them."""
    flags = {**tasks_data.recipe(name), "precision": given.precision}
    return {**flags, "num_train_epochs": given.num_train_epochs or flags["num_train_epochs"]}


def ours(folder, files, recipe, seed) -> dict:
    """`keras-bert finetune`, then `evaluate`."""
    flags = {**files, **recipe, "random_seed": seed, "output_dir": folder, "keep_best": "false"}
    started = time.perf_counter()
    command = [VERB, "finetune", *(f"--{key}={value}" for key, value in flags.items())]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    return {"scores": evaluated(folder, files["eval_file"]), "seconds": seconds}


def evaluated(folder, source) -> dict:
    """What `keras-bert evaluate` says of a folder, in a process of its own."""
    command = [VERB, "evaluate", f"--model_dir={folder}", f"--input_file={source}"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def task_and_gold(files, name, file="eval_file"):
    """The task as its training file decides it, and the checked rows of a file."""
    from keras_bert.data.pipeline import Rows, open_source
    from keras_bert.tasks import task_class

    kind = tasks_data.RUNS[name]["task"]
    task = task_class(kind)(**from_rows(kind, files["train_file"]))
    return task, list(Rows(open_source(files[file], task), task).checked())


def from_rows(task, source) -> dict:
    """The settings of a task that a file decides."""
    from keras_bert.data.pipeline import open_source
    from keras_bert.tasks import task_class

    kind = task_class(task)
    return kind.settings_from_rows(open_source(source, kind)())


def rows_for_torch(work, files, name):
    """Both files as JSON rows that need no reader of ours."""
    path = work / "data" / f"{name}_rows.json"
    if not path.exists():
        made = {}
        for file in ("train_file", "eval_file"):
            task, rows = task_and_gold(files, name, file)
            names = (
                "text",
                "text_pair",
                "label",
                "score",
                "spans",
                "units",
                "question",
                "context",
                "answers",
            )
            made[file] = [{key: row[key] for key in names if key in row} for row in rows]
        made["labels"] = task.labels
        path.write_text(json.dumps(made))
    return path


def report(rows):
    print(f"{'run':22} {'who':6} seeds  mean of the main score, and of each seed; seconds")
    kinds = dict.fromkeys((row["run"], row["who"], precision(row), epochs(row)) for row in rows)
    for name, who, of, count in kinds:
        own = [r for r in rows if (r["run"], r["who"], precision(r), epochs(r)) == (name, who, of, count)]
        main = tasks_data.MAIN.get(name, "accuracy")
        values = [row["scores"][main] for row in own]
        seconds = sum(row["seconds"] for row in own) / len(own)
        each = " ".join(f"{value:.4f}" for value in values)
        interval = own[0]["scores"].get("interval")
        bounds = f"  [{interval['low']:.4f}, {interval['high']:.4f}]" if interval else ""
        mean = sum(values) / len(values)
        ran = f"{seconds:.0f} s, {count} epochs, {of}"
        print(f"{name:22} {who:6} {len(own):5}  {mean:.4f}  {each}{bounds}  {ran}")


def note_speed(given, rows):
    """Whole runs that both sides have, seed by seed, into the table of speed."""
    for name in given.only:
        count = recipe(given, name)["num_train_epochs"]
        own, theirs = (
            {
                row["seed"]: row["seconds"]
                for row in rows
                if (row["run"], row["who"], epochs(row)) == (name, who, count)
            }
            for who in ("ours", "torch")
        )
        seeds = [seed for seed in given.seeds if seed in own and seed in theirs]
        if not seeds:
            continue
        ours, torch = (
            side_by_side.Timed(who, [found[seed] for seed in seeds])
            for who, found in (("keras_bert", own), ("torch", theirs))
        )
        of = given.precision.removeprefix("mixed_")
        work = f"fine-tuning {name}, the whole process, {count} epochs, {of}, {len(seeds)} seeds"
        command = f"tasks.py --only {name} --seeds {' '.join(map(str, seeds))} --precision {given.precision}"
        if given.num_train_epochs:
            command += f" --num_train_epochs {given.num_train_epochs}"
        side_by_side.report(work, ours, [torch], command, "runs an hour", 3600, notes=True)


if __name__ == "__main__":
    main()
