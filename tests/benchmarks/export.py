"""What export does to the models that tasks.py fine-tuned: every format, scored on their evaluation files.

    python tests/benchmarks/export.py --data=DATA --work=FOLDER [--only sst2 wnut] [--formats float32]

FOLDER is the one that tasks.py worked in; its models of seed 0 are exported. One line of JSON is appended to
FOLDER/exports.jsonl for every artefact, and what is there is not repeated. Nothing is refused for its score
here, so that a loss is seen.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import tasks_data

FORMATS = ("tf_saved_model", "float32", "float16", "dynamic_int8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument(
        "--only", nargs="*", default=["sst2", "stsb", "wnut", "wnut_crf", "squad", "multi_task"]
    )
    parser.add_argument("--formats", nargs="*", default=list(FORMATS), choices=FORMATS)
    given = parser.parse_args()
    results = given.work / "exports.jsonl"
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    for name in given.only:
        for kind in given.formats:
            if not any((row["run"], row["kind"]) == (name, kind) for row in done):
                rows = [{"run": name, "kind": kind, **row} for row in exported(given, name, kind)]
                done += rows
                with results.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in rows)
    report(done)


def exported(given, name, kind) -> list:
    """The proof of one export, a dict an artefact."""
    verb = pathlib.Path(sys.executable).with_name("keras-bert")
    flags = {
        "model_dir": given.work / "models" / f"{name}_0",
        "eval_file": tasks_data.files(given.data, given.work, name)["eval_file"],
        "max_metric_drop": 100,
        "format": "tf_saved_model" if kind == "tf_saved_model" else "tflite",
    }
    flags |= {} if kind == "tf_saved_model" else {"quantize": kind}
    with tempfile.TemporaryDirectory() as folder:
        command = [verb, "export", f"--output_dir={folder}/{name}", *(f"--{k}={v}" for k, v in flags.items())]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(printed.splitlines()[-1])["proof"]


def report(rows):
    print("| run | artefact | MB | p50 ms | examples/s | model | score | points | agreement | difference |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['run']} | {row['kind']} ({row['artefact']}, {row['asked']}) | {row['bytes'] / 1e6:.1f} "
            f"| {row['latency_ms']:.1f} | {row['examples_per_second']:.0f} | {row['reference']:.4f} "
            f"| {row['score']:.4f} | {row['change']:+.2f} | {100 * row['agreement']:.2f} % "
            f"| {row['max_difference']:.1e} |"
        )


if __name__ == "__main__":
    main()
