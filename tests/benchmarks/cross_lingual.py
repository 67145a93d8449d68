"""Across languages: a mini BERT of two languages, taught a task in one, scored in both.

    python tests/benchmarks/cross_lingual.py --data=DATA --work=FOLDER [--steps=1500] [--seeds 0 1 2]

The help of LibreOffice in English and in Chinese, the same pages in each. A mini BERT is pretrained on both,
with one vocabulary of 12,000 pieces and without being told which page is which one's translation; every fifth
page is held out of everything. Then it learns in one language which application a page belongs to, and
`keras-bert evaluate --input_file=en=...,zh=...` scores it in both on the pages held out; beside it the same
from random weights. What the two languages share is words that are not translated, such as those of code, and
what pretraining makes of them.

Everything is kept in FOLDER, and what is finished is not repeated.
"""

import csv
import functools
import gzip
import json

import pretrain_imdb as imdb
import pretrain_imdb_arms as arms

LANGUAGES = {"en": "en-US", "zh": "zh-CN"}
APPLICATIONS = ("sbasic", "scalc", "simpress", "swriter")  # those with 190 pages and more
HELD_OUT_EVERY, PIECES, EPOCHS = 5, 12_000, 4
FLAGS = {
    "task": "classification",
    "max_seq_length": arms.LENGTH,
    "num_train_epochs": EPOCHS,
    "learning_rate": 1e-4,
}


def main():
    parser = imdb.common_arguments()
    parser.add_argument("--steps", type=int, default=1500)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    imdb.finish({"pages": pages, "corpus": corpus, "pretrain": pretrain}, given)
    stages = {
        f"{language}_{start}_{seed}": functools.partial(finetune, start=start, language=language, seed=seed)
        for seed in given.seeds
        for start in ("pretrained", "random")
        for language in LANGUAGES
    }
    imdb.finish(stages, given)
    report(given)


def pages(given):
    """The pages of each language, of which those with a label also as rows, and the vocabulary."""
    documents = []
    for language, name in LANGUAGES.items():
        rows = {"train": [], "dev": []}
        with gzip.open(
            given.data / f"corpora/libreoffice-help.{name}.jsonl.gz", "rt", encoding="utf-8"
        ) as file:
            found = sorted((json.loads(line) for line in file), key=lambda page: page["id"])
        for i, page in enumerate(found):
            part, text = "dev" if i % HELD_OUT_EVERY == 0 else "train", "\n".join(page["lines"])
            application = next((name for name in APPLICATIONS if f"/{name}/" in page["id"]), None)
            if application:
                rows[part].append((text.replace("\n", " "), application))
            if part == "train":
                documents.append(text)
        for part, labelled in rows.items():
            with open(given.work / f"{language}_{part}.csv", "w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([("text", "label"), *labelled])
    lines = (json.dumps({"text": text}) + "\n" for text in documents)
    (given.work / "both.jsonl").write_text("".join(lines), encoding="utf-8")
    (given.work / "vocabulary").mkdir(exist_ok=True)
    imdb.keras_bert(
        "vocabulary", input_file=given.work / "both.jsonl", vocab_size=PIECES,
        output_file=given.work / "vocabulary/vocab.txt",
    )  # fmt: skip


def corpus(given):
    imdb.keras_bert(
        "corpus", input_file=given.work / "both.jsonl", output_dir=given.work / "records",
        vocab_file=given.work / "vocabulary/vocab.txt", max_seq_length=arms.LENGTH,
        max_predictions_per_seq=round(0.15 * arms.LENGTH),
        next_sentence="false",
    )  # fmt: skip


def pretrain(given):
    imdb.keras_bert(
        "pretrain", recipe="efficient", preset="mini", input_file=given.work / "records",
        output_dir=given.work / "pretrained", num_train_steps=given.steps, log_steps=20,
        **arms.SETTINGS["efficient"],
    )  # fmt: skip


def finetune(given, start, language, seed):
    weights = {"model_dir": given.work / "pretrained/model", "dropout": 0.1}
    if start == "random":
        weights = {"preset": "mini", "vocab_file": given.work / "vocabulary/vocab.txt"}
    folder = given.work / f"models/{language}_{start}_{seed}"
    imdb.keras_bert(
        "finetune", train_file=given.work / f"{language}_train.csv", output_dir=folder, random_seed=seed,
        **weights, **FLAGS,
    )  # fmt: skip
    dev = ",".join(f"{name}={given.work}/{name}_dev.csv" for name in LANGUAGES)
    imdb.keras_bert("evaluate", model_dir=folder, input_file=dev, output_file=folder / "scores.json")


def report(given):
    print(
        "start       taught in  scored in: "
        + ", ".join(LANGUAGES)
        + " (accuracy and macro-F1, means of the seeds)"
    )
    for start in ("pretrained", "random"):
        for language in LANGUAGES:
            found = [
                json.loads((given.work / f"models/{language}_{start}_{seed}/scores.json").read_text())[
                    "files"
                ]
                for seed in given.seeds
            ]
            cells = [
                " ".join(
                    f"{sum(f[name][score] for f in found) / len(found):.4f}"
                    for score in ("accuracy", "macro_f1")
                )
                for name in LANGUAGES
            ]
            print(f"{start:11} {language:10}", " | ".join(cells))


if __name__ == "__main__":
    main()
