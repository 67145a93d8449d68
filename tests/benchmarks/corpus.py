"""Raw text to masked batches, beside tf-models-official's create_pretraining_data; memory; two cores.

python tests/benchmarks/corpus.py speed --data=$DATA --vocab_file=vocab.txt --peer=PEER/bin/python [--notes]
python tests/benchmarks/corpus.py cores --data=$DATA --vocab_file=vocab.txt
python tests/benchmarks/corpus.py memory --data=$DATA --vocab_file=vocab.txt [--megabytes=100,1000]

`speed`: 4 MB of IMDB reviews, a sentence a line, to five epochs of masked batches of sequence 128, whole
processes in turn; theirs writes five static copies and stops there. CPU seconds are user and system of the
process and its children, with and without those that importing takes. `memory`: the largest PSS of all
processes together while a corpus is built by two workers. `PEER` is an environment with tf-models-official.
"""

import argparse
import gzip
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import side_by_side

OURS = """
import sys, time, resource
from keras_bert.corpus.build import build_corpus
from keras_bert.corpus.masking import Masker, Masking
from keras_bert.corpus.reading import PretrainingRecords
from keras_bert.text.tokenizer import Tokenizer
def cpu():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
if __name__ == "__main__":
    text, vocabulary, output, workers, epochs = sys.argv[1:]
    imported, started = cpu(), time.perf_counter()
    tokenizer = Tokenizer(vocabulary, lowercase=True)
    build_corpus(text, output, tokenizer, num_workers=int(workers))
    built = time.perf_counter() - started
    masker, count = Masker(tokenizer.vocabulary, Masking(), 0), 0
    records = PretrainingRecords(output)
    for epoch in range(int(epochs)):
        for batch in records.batches(32, masker=masker, epoch=epoch):
            count += len(batch["token_ids"])
    print(cpu() - imported, time.perf_counter() - started, count, built)
"""
THEIRS = """
import sys, time, resource
from absl import app, flags
from official.nlp.data import create_pretraining_data as their
def main(_):
    started = time.perf_counter()
    before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    their.main(None)
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - before
    print(used, time.perf_counter() - started)
app.run(main)
"""


def write_text(path: Path, data: str, num_bytes: int):
    """IMDB reviews, a sentence a line; beyond their end again, with words varied."""
    size, round_number = 0, 0
    with open(path, "w", encoding="utf-8") as out:
        while size < num_bytes:
            with gzip.open(Path(data, "corpora/imdb_reviews.jsonl.gz"), "rt", encoding="utf-8") as lines:
                for line in lines:
                    text = json.loads(line)["text"].replace("<br />", " ")
                    if round_number:
                        text = re.sub(r"\b(\w{5,})\b", rf"\g<1>{round_number}", text, count=3)
                    block = "\n".join(re.split(r"(?<=[.!?])\s+", text.strip())) + "\n\n"
                    size += out.write(block)
                    if size >= num_bytes:
                        break
            round_number += 1


def run(command, **environment) -> tuple[list[str], float]:
    """(the last line printed, as words; CPU seconds of the process and its children)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout.split("\n")[-2].split(), sum(after[:2]) - sum(before[:2])


def ours(text, vocabulary, folder, workers, epochs):
    """[CPU seconds of the work, wall seconds, examples, wall seconds of building], CPU seconds of all."""
    script = Path(folder, "ours.py")
    script.write_text(OURS)
    with tempfile.TemporaryDirectory(dir=folder) as output:
        command = [
            sys.executable,
            str(script),
            str(text),
            vocabulary,
            f"{output}/out",
            str(workers),
            str(epochs),
        ]
        words, seconds = run(command)
    return [float(word) for word in words], seconds


def theirs(text, vocabulary, folder, python):
    """[CPU seconds of the work, wall seconds], CPU seconds of the process."""
    script = Path(folder, "theirs.py")
    script.write_text(THEIRS)
    flags = {
        "input_file": text, "vocab_file": vocabulary, "output_file": f"{folder}/theirs.tfrecord",
        "do_lower_case": True, "max_seq_length": 128, "max_predictions_per_seq": 20, "dupe_factor": 5,
    }  # fmt: skip
    command = [python, str(script), *(f"--{name}={value}" for name, value in flags.items())]
    words, seconds = run(command, PYTHONPATH="")
    return [float(word) for word in words], seconds


def speed(options, folder: Path):
    text = folder / "imdb.txt"
    write_text(text, options.data, 4_050_000)
    rows = []
    for number in range(options.rounds + 1):
        mine, mine_all = ours(text, options.vocab_file, folder, 1, 5)
        other, other_all = theirs(text, options.vocab_file, folder, options.peer)
        print(f"round {number}: ours {mine[0]:.2f} s ({mine_all:.2f} with imports, {mine[2]:.0f} examples), "
              f"theirs {other[0]:.2f} s ({other_all:.2f})", flush=True)  # fmt: skip
        rows.append((mine[0], mine_all, other[0], other_all))
    mine, mine_all, other, other_all = zip(*rows[1:], strict=True)
    for what, own, peers in (("", mine, other), (", imports included", mine_all, other_all)):
        work = f"corpus, {text.stat().st_size / 1e6:.0f} MB of text to five epochs, CPU seconds{what}"
        sides = [side_by_side.Timed(name, s) for name, s in (("keras_bert", own), ("tf-models", peers))]
        side_by_side.report(work, sides[0], sides[1:], "corpus.py speed", notes=options.notes)


def cores(options, folder: Path):
    text = folder / "imdb.txt"
    write_text(text, options.data, options.text_bytes)
    rows = []
    for number in range(options.rounds + 1):
        one, two = (ours(text, options.vocab_file, folder, workers, 0)[0][3] for workers in (1, 2))
        print(f"round {number}: one worker {one:.2f} s, two {two:.2f} s: {one / two:.2f} times", flush=True)
        rows.append(one / two)
    print(f"median of {options.rounds}: {statistics.median(rows[1:]):.2f} times, "
          f"{options.text_bytes / 1e6:.0f} MB of text")  # fmt: skip


def memory(options, folder: Path):
    for megabytes in map(int, options.megabytes.split(",")):
        text = folder / "text.txt"
        write_text(text, options.data, megabytes * 10**6)
        most, stop = [0], threading.Event()
        watcher = threading.Thread(target=_watch, args=(most, stop), daemon=True)
        watcher.start()
        words, seconds = ours(text, options.vocab_file, folder, 2, 0)
        stop.set()
        watcher.join()
        rate = megabytes / words[3]
        print(
            f"{megabytes} MB: {most[0] / 1e6:.0f} MB of PSS at most; {words[3]:.0f} s, {rate:.1f} MB/s, "
            f"{seconds:.0f} CPU s",
            flush=True,
        )


def _watch(most, stop):
    """Keeps the largest sum of PSS over this process' descendants."""
    while not stop.wait(0.1):
        children = {os.getpid()}
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                except OSError:
                    continue
        found = set()
        while children:
            found |= children
            children = {pid for pid, parent in parents.items() if parent in children} - found
        total = 0
        for pid in found - {os.getpid()}:
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            line = next((line for line in rollup.splitlines() if line.startswith("Pss:")), "Pss: 0")
            total += 1024 * int(line.split()[1])
        most[0] = max(most[0], total)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["speed", "cores", "memory"])
    parser.add_argument("--data", required=True)
    parser.add_argument("--vocab_file", required=True)
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--notes", action="store_true")
    parser.add_argument("--text_bytes", type=int, default=32_000_000)
    parser.add_argument("--megabytes", default="100,1000")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        {"speed": speed, "cores": cores, "memory": memory}[options.what](options, Path(folder))


if __name__ == "__main__":
    main()
