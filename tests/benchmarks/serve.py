"""What is served, in a program without Python (serve.cc), and under load. DATA is $KERAS_BERT_DATA.

    python tests/benchmarks/serve.py publish --data=DATA --work=FOLDER [--count=200] [--plainly]
    python tests/benchmarks/serve.py base --data=DATA --work=FOLDER [--rounds=7]
    python tests/benchmarks/serve.py cobatch --data=DATA --work=FOLDER [--batches=10000] [--model=small]
    python tests/benchmarks/serve.py load --data=DATA --work=FOLDER [--rounds=5] [--seconds=15]

One line of JSON is appended to FOLDER/serve.jsonl (--results) for every measurement, what is there is not
repeated, and each command ends with a summary of its lines. Needs g++, and what `pip install .[test]` brings.

`publish`: versions of a small model, each with other weights, are published one after the other, the oldest
deleted (three are kept), while another process loads the newest version it sees, again and again, with and
without the tokeniser, and asks it the example of each signature that lies in it; the answers are held against
those that lie beside the examples. What is tried is how a version appears, so that its proof in
a fresh process is left out (`serve_models.without_proof`) and the graphs are traced once (`traced_once`).
`--plainly` writes under the final name, as the control that such faults are seen here.

`base`: BERT-base with random weights, as `model.export()` of Keras writes it, as we do for runtimes without
tensorflow-text, which takes ids as that does, and with the tokeniser; loaded by turns in fresh processes:
seconds, the largest resident size of the process, TensorFlow's own included, and bytes of variables.

`cobatch`: random batches of 2 to 8 requests, among them such as no one should send (--hostile), against each
request alone: of strings and of ids, joined as the server joins them (ids are padded with their first
element), and both joined in the graph, by eight threads that ask all the time. `--model=small` does every
kind of answer with tiny models, so many batches over all of them; `--model=minilm` one with the real weights,
on a twentieth of the batches. A row is changed if a number differs by more than 1e-5, or a string or integer
at all. Rows of ids that say a length they do not have are counted apart: only they may read the padding of
the server. Requests without tokens are left out: the server itself refuses a batch that has one.

`load`: sentences of SST-2 and pieces of IMDB reviews in turn, 64 clients in one process, with requests
joined in the graph and without, and one client without; rounds by turns. As 64 clients that wait for their
answers may be more than two cores can answer within 100 ms, the highest rate with 99 % of the answers
within 100 ms is then searched, requests coming at random whatever became of those before.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

import numpy as np
import serve_models as models
from serve_models import programs

LIMIT_MS, CLIENTS = 100, 64
BUNDLES = ("keras", "plain-ids", "plain")
VARIANTS = {
    "joined, 64 clients": ("joined", 64),
    "plain, 64 clients": ("plain", 64),
    "plain, 1 client": ("plain", 1),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("measure", choices=["publish", "base", "cobatch", "load", "make"])
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--results", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--plainly", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--batches", type=int, default=10_000)
    parser.add_argument("--model", nargs="*", default=[])
    parser.add_argument("--hostile", nargs="*", default=list(models.HOSTILE), choices=models.HOSTILE)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--kinds", nargs="*", default=[], help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.measure == "make":
        [name] = given.model
        return models.make(given.data, given.work / name.replace(" ", "_"), name, given.kinds)
    results = Results(given.results or given.work / "serve.jsonl")
    measures = {"publish": publish, "base": base, "cobatch": cobatch, "load": load}
    return measures[given.measure](given, results)


class Results:
    """Lines of JSON; a measurement is known by its first fields."""

    def __init__(self, file):
        self.file = file
        self.rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def of(self, **key) -> list:
        """The rows that have these fields."""
        return [row for row in self.rows if key.items() <= row.items()]

    def add(self, key, row):
        """Appends one."""
        self.rows.append({**key, **row})
        print(json.dumps(self.rows[-1]), flush=True)
        with self.file.open("a") as file:
            file.write(json.dumps(self.rows[-1]) + "\n")


def made(given, name, *kinds) -> pathlib.Path:
    """The folder of a model's exports, made in a process of its own, whose memory is free afterwards."""
    command = [
        sys.executable,
        __file__,
        "make",
        f"--data={given.data}",
        f"--work={given.work}",
        "--model",
        name,
    ]
    subprocess.run([*command, "--kinds", *kinds], check=True)
    return given.work / name.replace(" ", "_")


def run(given, *args, with_text=True) -> dict:
    """The last line that serve.cc prints."""
    process = subprocess.run(
        [models.program(given.work), *map(str, args)],
        check=True, stdout=subprocess.PIPE, text=True, env=programs.environment(with_text),
    )  # fmt: skip
    return json.loads(process.stdout.splitlines()[-1])


def publish(given, results):
    key = {"measure": "publish", "plainly": given.plainly, "published": given.count}
    if not results.of(**key):
        out = given.work / "publish" / "served"
        shutil.rmtree(out.parent, ignore_errors=True)
        out.parent.mkdir()
        stop, answers, log = (out.parent / name for name in ("stop", "answers", "log"))
        folders = [out, out.with_name("served-ids")]
        command = [models.program(given.work), "watch", stop, answers, *folders]
        with log.open("w") as lines:
            loader = subprocess.Popen(command, stdout=lines, env=programs.environment(with_text=True))
            try:
                expected = published(given, out, folders)
            finally:
                stop.touch()
                status = loader.wait()
        loads = [json.loads(line) for line in log.read_text().splitlines()]
        results.add(key, {"loader_status": status, **judged(loads, programs.read_answers(answers), expected)})


def published(given, out, folders) -> dict:
    """Publishes one version after the other; the answers that lie in each, by folder, version, signature."""
    models.without_proof()
    if given.plainly:
        from keras_bert.export import saved_model

        saved_model.atomic_folder = models.plain_folder
    bert = models.small(given.data, "classification", num_pieces=2000)
    random, expected = np.random.default_rng(0), {}
    models.traced_once(bert)
    for version in range(1, given.count + 1):
        for variable in bert.model.trainable_variables:
            variable.assign_add(random.normal(0, 0.01, variable.shape))
        bert.export(out)
        for folder in folders:
            for file in (folder / str(version)).glob("assets.extra/requests/*.answer.json"):
                signature = file.name.removesuffix(".answer.json")
                expected[str(folder), version, signature] = json.loads(file.read_text())["outputs"]
            shutil.rmtree(folder / str(version - 3), ignore_errors=True)
    return expected


def judged(loads, answers, expected) -> dict:
    """Counts of loads, of those that failed, and of answers that are not those in the version."""
    failed, wrong, largest, answers = [load for load in loads if load["error"]], 0, 0.0, iter(answers)
    for load in loads:
        for signature in load["signatures"]:
            answer = next(answers)
            right = expected[load["folder"], load["version"], signature]
            for name, array in answer.items():
                if array.dtype == object:
                    wrong += [text.decode() for text in array.ravel()] != right[name]
                else:
                    difference = float(np.abs(array - np.float32(right[name])).max())
                    largest, wrong = max(largest, difference), wrong + (not difference <= 1e-5)
    return {
        "loads": len(loads),
        "versions_loaded": len({load["version"] for load in loads}),
        "failed": len(failed),
        "first_fault": failed[0]["error"][:200] if failed else "",
        "answers": sum(len(load["signatures"]) for load in loads),
        "wrong": wrong,
        "largest_difference": largest,
    }


def base(given, results):
    folder = made(given, "base", "plain", "keras")
    for number in range(given.rounds or 7):
        for kind in BUNDLES:
            key = {"measure": "base", "kind": kind, "round": number}
            if not results.of(**key):
                results.add(key, run(given, "load", folder / kind / "1", with_text=kind == "plain"))
    print("| bundle | load s | x Keras | largest size MB | x Keras | variables / (4 bytes x parameters) |")
    print("|---|---|---|---|---|---|")
    medians = {}
    for kind in BUNDLES:
        cells, rows = [], results.of(measure="base", kind=kind)
        for name in ("seconds", "peak_mb"):
            values = [row[name] for row in rows]
            medians[kind, name] = statistics.median(values)
            share = medians[kind, name] / medians["keras", name]
            cells += [f"{medians[kind, name]:.2f} ({min(values):.2f} to {max(values):.2f})", f"{share:.2f}"]
        parameters = json.loads((folder / f"{kind.removesuffix('-ids')}.json").read_text())["parameters"]
        stored = sum(file.stat().st_size for file in (folder / kind / "1" / "variables").iterdir())
        print(f"| {kind} | {' | '.join(cells)} | {stored / (4 * parameters):.4f} |")


def cobatch(given, results):
    kinds = given.model or ["small", "minilm"]
    names = [f"small {task}" for task in models.SMALL] if "small" in kinds else []
    names += [kind for kind in kinds if kind != "small"]
    for name in names:
        folder = made(given, name, "plain", "joined")
        batches = given.batches // (len(models.SMALL) if name.startswith("small ") else 20)
        signatures = json.loads((folder / "plain.json").read_text())["signatures"]
        file = folder / "requests"
        for seed, (signature, form) in enumerate(
            (s, form) for form in ("together", "joined") for s in ("serving_default", "ids")
        ):
            key = {"measure": "cobatch", "model": name, "signature": signature, "joined": form == "joined",
                   "hostile": given.hostile, "asked": batches}  # fmt: skip
            if results.of(**key):
                continue
            columns = signatures[signature]["inputs"]
            requests = (
                models.ids_requests(30522, given.hostile, 150, seed)
                if signature == "ids"
                else models.text_requests(given.data, signature, columns, given.hostile, 150, seed)
            )
            programs.write_requests(file, requests)
            told = "joined" if form == "joined" else "ids" if signature == "ids" else "texts"
            args = (folder / "plain" / "1", folder / ("joined" if told == "joined" else "plain") / "1")
            results.add(key, run(given, "cobatch", *args, file, batches, seed, told))
    rows = results.of(measure="cobatch", hostile=given.hostile)
    print(f"{sum(row['batches'] for row in rows)} batches, {sum(row['rows'] for row in rows)} rows: "
          f"{sum(row['changed_rows'] for row in rows)} changed, largest difference "
          f"{max(row['largest'] for row in rows):.2g}")  # fmt: skip


def load(given, results):
    names = given.model or ["minilm", "base"]
    file = given.work / "sentences"
    texts = models.sentences(given.data, 2000)
    requests = [("serving_default", {"text": np.array([text.encode()], object)}) for text in texts]
    programs.write_requests(file, requests)
    for name in names:
        folder = made(given, name, "plain", "joined")
        for number in range(given.rounds or 5):
            for variant, (kind, clients) in VARIANTS.items():
                key = {"measure": "load", "model": name, "variant": variant, "round": number}
                if not results.of(**key):
                    args = (folder / kind / "1", file, clients, given.seconds, 0)
                    results.add(key, run(given, "clients", *args))
        for kind in ("joined", "plain"):
            search(given, results, name, kind, file)
        report(results, name)


def search(given, results, name, kind, file):
    """The highest rate at which 99 % of the answers come in time, between two rates 5 % apart."""
    closed = [row["per_second"] for row in results.of(measure="load", model=name) if kind in row["variant"]]
    low, high = 0.0, 1.3 * max(closed)
    while high > 1.05 * low and high > 1:
        rate = round(high / 2 if low == 0 else (low * high) ** 0.5, 3)
        key = {"measure": "rate", "model": name, "kind": kind, "rate": rate}
        if not results.of(**key):
            args = (given.work / name / kind / "1", file, CLIENTS, given.seconds, rate)
            results.add(key, run(given, "clients", *args))
        [row] = results.of(**key)
        low, high = (rate, high) if row["p99_ms"] <= LIMIT_MS and not row["failed"] else (low, rate)


def report(results, name):
    fields = ("per_second", "p50_ms", "p99_ms", "rows_per_batch", "cpu_ms")
    print(f"| {name} | requests/s | p50 ms | p99 ms | rows a batch | CPU ms a request |")
    print("|---|---|---|---|---|---|")
    for variant in VARIANTS:
        rows = results.of(measure="load", model=name, variant=variant)
        print(f"| {variant} | {_cells(statistics.median(row[field] for row in rows) for field in fields)} |")
    for kind in ("joined", "plain"):
        rows = [r for r in results.of(measure="rate", model=name, kind=kind) if r["p99_ms"] <= LIMIT_MS]
        if rows:
            best = max(rows, key=lambda row: row["rate"])
            told = f"{kind}, at {best['rate']:.1f} a second"
            print(f"| {told} | {_cells(best[field] for field in fields)} |")


def _cells(values):
    return " | ".join(f"{value:.1f}" for value in values)


if __name__ == "__main__":
    main()
