"""The models of tasks.py, each used from nothing but its folder, in fresh processes.

    python tests/benchmarks/tasks_folders.py --data=DATA --work=FOLDER [--only cola wnut] [--seed=0]

FOLDER is that of tasks.py. For every run the texts of its evaluation file go as lines of JSON into
`keras-bert predict`, and what it prints is scored here; `keras-bert export` writes a SavedModel, which a
process with TensorFlow alone opens and answers the same rows with. The scores of both must be those of
`keras-bert evaluate`. A run that is not in FOLDER is taught for a few steps first: what is tried here is the
folder, not how good its answers are.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

import tasks
import tasks_data

import keras_bert as kb
from keras_bert.data.pipeline import Rows, open_source

STEPS, RATE = 30, 5e-4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    differing = []
    with_encoder = [name for name, run in tasks_data.RUNS.items() if run.get("model") != "random"]
    for name in given.only or with_encoder:
        files = tasks_data.files(given.data, given.work, name)
        folder = given.work / "models" / f"{name}_{given.seed}"
        if not folder.exists():
            folder = given.work / "models" / f"{name}_quick"
        if not folder.exists():
            barely_taught(name, files).save(folder)
        main_score = kb.load(folder).task.main_score  # what the export's proof is of
        scores = {
            "evaluate": tasks.evaluated(folder, files["eval_file"])[main_score],
            "predict": predicted(folder, files["eval_file"])[main_score],
            **served(folder, files["eval_file"], given.work / "served"),
        }
        print(name, main_score, *(f"{who} {score:.4f}" for who, score in scores.items()), flush=True)
        if max(scores.values()) - min(scores.values()) > 1e-6:
            differing.append(name)
        elif not max(scores.values()):
            print(f"{name}: a score of 0 compares nothing")
    if differing:
        sys.exit(f"Not the scores of evaluate: {', '.join(differing)}")


def barely_taught(name, files):
    """A model of the run's encoder and task, after a few steps on its training file."""
    recipe, source = tasks_data.RUNS[name], files["train_file"]
    settings = dict(recipe.get("task_settings", {}))
    if "max_seq_length" in recipe:
        settings["max_length"] = recipe["max_seq_length"]
    if "crf" in recipe:
        settings["crf"] = True
    if "parts" in settings:
        source = dict(part.split("=", 1) for part in source.split(","))
        parts = settings["parts"].items()
        settings["parts"] = {
            part: {**tasks.from_rows(one["name"], source[part]), **one} for part, one in parts
        }
    else:
        settings = {**tasks.from_rows(recipe["task"], source), **settings}
    bert = kb.load(files["model_dir"], recipe["task"], **settings)
    bert.model.compile(optimizer=kb.AdamW(RATE))
    bert.model.fit(bert.dataset(source, 16, training=True).take(STEPS), verbose=0)
    return bert


def predicted(folder, source) -> dict:
    """The scores of what `keras-bert predict` answers to the texts alone."""
    task = kb.load(folder).task
    if not task.parts:
        return scored(folder, source, task)
    files = dict(part.split("=", 1) for part in source.split(","))
    return task.scores_of_parts(
        {part: scored(folder, file, task.parts[part], part) for part, file in files.items()}
    )


def scored(folder, file, task, part=None) -> dict:
    rows = Rows(open_source(file, task), task)
    gold = list(rows.checked())
    columns = rows.texts_of(gold)
    lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    command = [tasks.VERB, "predict", f"--model_dir={folder}", "--input_file=-"]
    printed = subprocess.run(
        command, input="\n".join(lines), check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    answers = [json.loads(line) for line in printed.splitlines()]
    return task.scores(gold, [answer[part] for answer in answers] if part else answers)


def served(folder, source, exported) -> dict:
    """The main score of every SavedModel written, by what it was asked with: texts, or ids."""
    for old in (exported, exported.with_name(f"{exported.name}-ids")):
        shutil.rmtree(old, ignore_errors=True)
    command = [
        tasks.VERB,
        "export",
        f"--model_dir={folder}",
        f"--output_dir={exported}",
        f"--eval_file={source}",
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    [proof] = exported.rglob("proof.json")
    rows = json.loads(proof.read_text())["artefacts"]
    return {f"{row['artefact']}, {row['asked']}": row["score"] for row in rows}


if __name__ == "__main__":
    main()
