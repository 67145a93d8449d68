"""Answers from a list of questions that knows when to decline, on MRPC's paraphrases.

    python tests/benchmarks/faq.py --data=DATA --work=FOLDER

The list is the first sentence of every second pair of MRPC's test set that is a paraphrase; the queries are
the second sentences of those pairs, each answered by its own row, and of as many other paraphrases, which no
row answers. MiniLM as published. On half of the queries the threshold is chosen, on the other half it is
tried; the command line does both, `keras-bert search`.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import sys

import tasks_data


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    listed, queries = texts_and_queries(given)
    half = len(queries) // 4 * 2
    tuning, held_out = queries[:half], queries[half:]
    faq = written(given.work / "faq.csv", [("text",), *((text,) for text in listed)])
    labels = written(given.work / "tuning.csv", [("text", "row"), *tuning])
    asked = written(given.work / "asked.csv", [("text",), *((text,) for text, _ in held_out)])
    tuned = json.loads(search(faq, f"--labels_file={labels}")[-1])
    flags = [f"--threshold={tuned['threshold']}", f"--queries_file={asked}", "--k=1"]
    found = [json.loads(line)["found"] for line in search(faq, *flags)]
    report(listed, tuned, [row for _, row in held_out], [f[0]["row"] if f else "" for f in found])


def texts_and_queries(given):
    """(list of str, list of (query, its row or "")), a query with an answer and one without in turn."""
    pairs = tasks_data._tsv(given.data / "glue/MRPC/msr_paraphrase_test.txt")[1:]
    pairs = [(row[3], row[4]) for row in pairs if row[0] == "1"]
    listed, others = pairs[::2], pairs[1::2]
    queries = []
    for number, (answered, unanswered) in enumerate(zip(listed, others, strict=False)):
        queries += [(answered[1], number), (unanswered[1], "")]
    return [text for text, _ in listed], queries


def written(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def search(faq, *flags) -> list[str]:
    verb = pathlib.Path(sys.executable).with_name("keras-bert")
    command = [verb, "search", f"--model_dir={tasks_data.minilm()}", f"--input_file={faq}", *flags]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def report(listed, tuned, expected, found):
    answerable = [row != "" for row in expected]
    right = [row == answer for row, answer in zip(expected, found, strict=True)]

    def share(wanted):
        chosen = [r for r, is_answerable in zip(right, answerable, strict=True) if is_answerable == wanted]
        return sum(chosen) / len(chosen)

    print(json.dumps({
        "listed": len(listed), "queries": len(expected), **tuned,
        "held_out": {"accuracy": sum(right) / len(right), "answered": share(True), "declined": share(False)},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
