"""What every benchmark here does: processes that stay, asked by turns, and what they say in one table.

A side is a worker in an environment of its own. It answers one line of JSON to every line `VERB VALUE` on its
standard input (`serve`), so that no two sides ever compute at once. This file needs nothing but NumPy: peers'
environments import it too.
"""

import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import numpy as np

HERE = pathlib.Path(__file__).parent
NOTES = pathlib.Path(__file__).parents[2] / "BUILD_NOTES.md"
# What decides over ratios more than the name does, which on a rented machine says little.
PRODUCTS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 with bfloat16", "avx512f": "AVX-512"}
TABLE = "| work | ours | peer | ratio (95 %) | machine, command |"

# On for every side that is TensorFlow's, as our verbs and README do, where TensorFlow would leave it off;
# `options.prefer_onednn` for environments without keras_bert.
if platform.machine().lower() in ("x86_64", "amd64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


class Side:
    """One worker: `Side("torch", [python, "train_peers.py", "torch", ...])`."""

    def __init__(self, name, command):
        self.name, self.seconds = name, []
        self._process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, verb, value=None):
        """The worker's answer."""
        print(json.dumps([verb, value]), file=self._process.stdin, flush=True)
        while line := self._process.stdout.readline():
            if line.startswith("ANSWER "):
                return json.loads(line[7:])
        raise SystemExit(f"{self.name} ended: {self._process.wait()}. Start its command alone to see why.")

    def close(self):
        self._process.stdin.close()
        self._process.wait()


class Process:
    """A side whose round is a whole process, from its start to its end."""

    def __init__(self, name, command, **environment):
        self.name, self.seconds = name, []
        self._command = [str(word) for word in command]
        self._environment = {**os.environ, **environment}

    def run(self):
        """What the process prints."""
        done = subprocess.run(
            self._command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=self._environment,
        )  # fmt: skip
        return done.stdout

    def ask(self, verb, value=None):
        """Seconds of one."""
        started = time.perf_counter()
        self.run()
        return time.perf_counter() - started

    def close(self):
        """There is nothing that stays."""


class Timed:
    """A side whose seconds are already there, one a round."""

    def __init__(self, name, seconds):
        self.name, self.seconds = name, seconds


def our_side(code, name="keras_bert"):
    """A side in this environment, which runs `code` among the files of this folder."""
    return Side(name, ["env", f"PYTHONPATH={HERE}", sys.executable, "-c", code])


def parser(rounds, seconds=None):
    """A parser of what every benchmark with peers takes; `seconds` is None where a round is one call."""
    made = argparse.ArgumentParser()
    made.add_argument("--work", required=True, type=pathlib.Path)
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--notes", action="store_true")
    if seconds is not None:
        made.add_argument("--seconds", type=float, default=seconds, help="of a round, about")
    return made


def check_scores(sides, expected, limit, what):
    """Ends the benchmark where the scores of a side differ from those expected by more than `limit`."""
    for side in sides:
        difference = np.abs(np.array(side.ask("scores")) - expected).max()
        print(f"{what}: {side.name} differs by {difference:.2g}", flush=True)
        if not difference <= limit:
            raise SystemExit(f"{side.name} computes something else")


def serve(**verbs):
    """The worker's side: answers until its input ends."""
    for line in sys.stdin:
        verb, value = json.loads(line)
        print("ANSWER " + json.dumps(verbs[verb](value)), flush=True)


def by_turns(sides, value, rounds, rest=0.3):
    """Asks every side for `seconds` of `value`, round after round; the first round only warms."""
    for number in range(rounds + 1):
        for side in sides:
            time.sleep(rest)  # the other's threads come to rest
            seconds = side.ask("seconds", value)
            if number:
                side.seconds.append(seconds)


def ratio_to(side, ours):
    """How many times as fast ours is, by rounds: (median, low, high), 95 % of resampled medians."""
    ratios = np.array(side.seconds) / np.array(ours.seconds)
    return float(np.median(ratios)), *interval(ratios)


def interval(values, resamples=10_000):
    """Where 95 % of the medians of resampled rounds lie."""
    drawn = np.random.default_rng(0).choice(values, (resamples, len(values)))
    return [float(x) for x in np.quantile(np.median(drawn, axis=1), [0.025, 0.975])]


def by_clients(function, values, clients):
    """function of every value, by so many threads at once; a list in their order."""
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return list(pool.map(function, values))


def timed(function, count):
    """Mean seconds of a call, of `count` one after the other."""
    started = time.perf_counter()
    for _ in range(count):
        function()
    return (time.perf_counter() - started) / count


def compare(given, work, ours, peers, command, unit="", per_call=0):
    """Times all sides by turns and ends them; then `report`s, where there is a peer.

    Args:
        given: what `parser` parsed. Without `seconds`, a round is one call.
        work, ours, peers, command, unit, per_call: as `report`.
    """
    seconds = getattr(given, "seconds", None)
    count = 1 if seconds is None else max(1, round(seconds / ours.ask("seconds", 3)))
    by_turns([ours, *peers], count, given.rounds)
    for side in (ours, *peers):
        side.close()
    if peers:
        report(work, ours, peers, command, unit, per_call, given.notes)


def report(work, ours, peers, command, unit="", per_call=0, notes=False):
    """Prints ours beside every peer; with `notes` the best peer's line is appended to BUILD_NOTES' table.

    Args:
        work: str. What was done.
        ours, peers: Sides with their seconds.
        command: str. What repeats it.
        unit: str, such as "examples/s".
        per_call: float. Units that one call is worth; 0: milliseconds are told instead.
    """

    def said(side):
        seconds = float(np.median(side.seconds))
        return f"{per_call / seconds:.1f} {unit}" if per_call else f"{1000 * seconds:.1f} ms"

    best = min(peers, key=lambda side: np.median(side.seconds))
    for side in peers:
        ratio, low, high = ratio_to(side, ours)
        mark = "  <- the best peer" if side is best and len(peers) > 1 else ""
        print(f"{work}: {ours.name} {said(ours)}, {side.name} {said(side)}, "
              f"{ratio:.2f} x ({low:.2f} to {high:.2f}){mark}", flush=True)  # fmt: skip
        if notes and side is best:
            day = datetime.date.today().isoformat()
            means = f"{day}, {processor()}; `{command}`"
            cells = (work, f"{ours.name}: {said(ours)}", f"{side.name}: {said(side)}",
                     f"**{ratio:.2f}** ({low:.2f} to {high:.2f})", means)  # fmt: skip
            append("| " + " | ".join(cells) + " |")


def append(row):
    """Puts a row at the end of the table of BUILD_NOTES.md."""
    lines = NOTES.read_text(encoding="utf-8").splitlines()
    at = lines.index(TABLE) + 2
    while at < len(lines) and lines[at].startswith("|"):
        at += 1
    NOTES.write_text("\n".join([*lines[:at], row, *lines[at:]]) + "\n", encoding="utf-8")


def processor():
    """The CPU, its widest instructions for matrix products, TensorFlow's oneDNN where on, and the cores."""
    told = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        told.setdefault(name.strip(), value.strip())
    if "model name" not in told:
        return "unknown"
    flags = told.get("flags", "").split()
    products = next((shown for flag, shown in PRODUCTS.items() if flag in flags), "no AVX-512")
    onednn = "oneDNN, " if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "1" else ""
    return f"{told['model name']}, {products}, {onednn}{len(os.sched_getaffinity(0))} cores"
