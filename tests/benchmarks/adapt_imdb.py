"""Domain adaptation: a mini BERT of encyclopaedia and manual, then trained on with film reviews.

    python tests/benchmarks/adapt_imdb.py --data=DATA --work=FOLDER [--steps=1200] [--seeds 0 1 2]

`base` is pretrained on WikiText-2 (valid and test) and the help of LibreOffice, with a vocabulary of their
8,000 pieces. `adapted` goes on from it with the IMDB reviews, and so does `extended` after its vocabulary was
given the reviews' 1,000 most frequent words that it lacked. Measured before and after: masked pieces found in
held-out reviews, and SST-2 (10,000 rows) fine-tuned from it. `extended` has other pieces to find than the
others, so its accuracy is not theirs.

The number of steps is given, so other work beside it changes nothing. Everything is kept in FOLDER (it may be
the one of pretrain_imdb.py, whose texts are the same), and what is finished is not repeated.
"""

import collections
import functools
import gzip
import json
import pathlib
import re

import pretrain_imdb as imdb
import pretrain_imdb_arms as arms

ARMS = ("base", "adapted", "extended")
NEW_WORDS = 1_000
TITLE = re.compile(r"\n = [^=\n]+ = \n")


def main():
    parser = imdb.common_arguments()
    parser.add_argument("--steps", type=int, default=1200)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    stages = {"texts": imdb.texts, "general": general, "general_records": records}
    stages |= {arm: functools.partial(pretrain, arm=arm) for arm in ARMS}
    imdb.finish(stages, given)
    imdb.sst2(given, ARMS, "adapt_sst2.jsonl")
    report(given)


def general(given):
    """One document for every article and page, its vocabulary, and the same with words of the reviews."""
    import keras_bert as kb

    documents = []
    for name in ("valid", "test"):
        text = (given.data / f"corpora/wikitext-2/{name}.txt").read_text(encoding="utf-8")
        documents += [part for part in TITLE.split(text) if part.strip()]
    with gzip.open(given.data / "corpora/libreoffice-help.en-US.jsonl.gz", "rt", encoding="utf-8") as file:
        documents += ["\n".join(json.loads(line)["lines"]) for line in file]
    lines = [json.dumps({"text": text}) + "\n" for text in documents]
    (given.work / "general.jsonl").write_text("".join(lines), encoding="utf-8")
    vocab_file = vocabulary(given, "base")
    vocab_file.parent.mkdir(exist_ok=True)
    imdb.keras_bert(
        "vocabulary", input_file=given.work / "general.jsonl", output_file=vocab_file, vocab_size=imdb.PIECES
    )
    words = collections.Counter(re.findall("[a-z]+", (given.work / "train.jsonl").read_text().lower()))
    old = kb.Tokenizer(vocab_file).vocabulary
    new = [word for word, _ in words.most_common() if word not in old][:NEW_WORDS]
    vocabulary(given, "extended").parent.mkdir(exist_ok=True)
    extended = kb.extend_vocabulary(old, new)
    vocabulary(given, "extended").write_text("".join(f"{piece}\n" for piece in extended), encoding="utf-8")


def vocabulary(given, arm) -> pathlib.Path:
    return given.work / f"vocabulary_{'extended' if arm == 'extended' else 'base'}" / "vocab.txt"


def records(given):
    """Records to train on, and held-out reviews, in the pieces of each arm."""
    for arm, text in (("base", "general"), ("adapted", "train"), ("extended", "train")):
        more = {
            "vocab_file": vocabulary(given, arm), "max_seq_length": arms.LENGTH, "next_sentence": "false",
            "max_predictions_per_seq": round(0.15 * arms.LENGTH),
        }  # fmt: skip
        imdb.keras_bert(
            "corpus", input_file=given.work / f"{text}.jsonl", output_dir=given.work / "records" / arm, **more
        )
        imdb.keras_bert(
            "corpus", input_file=given.work / "held_out.jsonl", masking="static", dupe_factor=1,
            output_dir=given.work / "records" / f"held_out_{arm}", **more,
        )  # fmt: skip


def pretrain(given, arm):
    start = {"preset": "mini"} if arm == "base" else {"model_dir": given.work / "base/model"}
    imdb.keras_bert(
        "pretrain", recipe="efficient", input_file=given.work / "records" / arm,
        eval_file=given.work / "records" / f"held_out_{arm}", output_dir=given.work / arm,
        num_train_steps=given.steps, log_steps=20, eval_steps=given.steps // 4, **start,
        **arms.SETTINGS["efficient"],
    )  # fmt: skip


def report(given):
    print(f"{'':10} held-out accuracy and loss   SST-2, 95 % over rows and seeds")
    for arm in ARMS:
        row = imdb.read_rows(given.work / arm)[-1]
        score = imdb.interval(given.work / "adapt_sst2.jsonl", arm)
        print(f"{arm:10} {row['val_mlm_accuracy']:12.4f} {row['val_loss']:10.3f}      {score}")


if __name__ == "__main__":
    main()
