"""How cost grows with length, batch, layers, vocabulary and corpus, measured and drawn.

    python tests/benchmarks/growth.py --work=FOLDER [--only length rows layers vocabulary corpus] [--rounds 5]

Of a model of mini's width: the answer to full rows, and a training step of the masked-language model with
all heads, against sequence length (8 rows), rows (128 pieces), layers and vocabulary; of `build_corpus`
the whole build against the size of the text. One value at a time changes, the rest are a row of the table
below. A point is a process of its own, which stays while the values are gone through by turns; medians.
Writes FOLDER/growth.jsonl, which is appended to, and FOLDER/growth.png: both axes logarithmic, in the legend
the exponent between the last two points. Expected: 1 for rows, layers, vocabulary and corpus; between 1 and
2 for length, whose attention is quadratic.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import side_by_side

USUAL = {"length": 128, "rows": 8, "layers": 4, "vocabulary": 8192}
VALUES = {
    "length": [64, 128, 256, 512, 1024],
    "rows": [2, 4, 8, 16, 32],
    "layers": [2, 4, 8, 16],
    "vocabulary": [4096, 16384, 65536, 131072],
    "corpus": [1, 2, 4, 8],  # MB
}
WIDTH, HEADS = 256, 4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=list(VALUES))
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results = given.work / "growth.jsonl"
    for what in given.only:
        for row in corpus(given.rounds) if what == "corpus" else models(what, given.rounds):
            with results.open("a") as file:
                file.write(json.dumps(row) + "\n")
    draw([json.loads(line) for line in results.read_text().splitlines()], given.work / "growth.png")


def models(what, rounds):
    """Rows of {"what", "value", "work", "seconds"}."""
    sides = []
    for value in VALUES[what]:
        code = f"import growth; growth.worker({json.dumps({**USUAL, what: value})})"
        sides.append((value, side_by_side.our_side(code, f"{what} {value}")))
    for work in ("answer", "training step"):
        seconds = {value: [] for value, _ in sides}
        for number in range(rounds + 1):
            for value, side in sides:
                taken = side.ask("seconds", work)
                if number:
                    seconds[value].append(taken)
        for value, taken in seconds.items():
            yield said(what, value, work, float(np.median(taken)))
    for _, side in sides:
        side.close()


def worker(shape):
    import keras
    import tensorflow as tf

    import keras_bert as kb
    from keras_bert.inference import TracedModel

    keras.utils.set_random_seed(0)
    config = kb.BertConfig(
        shape["vocabulary"], shape["layers"], HEADS, WIDTH, 4 * WIDTH,
        max_sequence_length=max(512, shape["length"]),
    )  # fmt: skip
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(shape["vocabulary"] - 5))]
    model = kb.Bert.from_config(config, kb.Tokenizer(pieces), "pretraining", max_length=shape["length"]).model
    model.compile(kb.AdamW(1e-4))
    random, size = np.random.default_rng(0), (shape["rows"], shape["length"])
    slots = max(1, round(0.15 * shape["length"]))
    x = {
        "token_ids": random.integers(5, shape["vocabulary"], size), "segment_ids": np.zeros(size),
        "padding_mask": np.ones(size), "mask_positions": np.repeat([np.arange(slots)], size[0], 0),
    }  # fmt: skip
    x = {name: tf.constant(value.astype("int32")) for name, value in x.items()}
    y = {"mlm_logits": np.zeros((size[0], slots), "int32"), "nsp_logits": np.zeros(size[0], "int32")}
    weights = {name: np.ones(target.shape, "float32") for name, target in y.items()}
    traced = TracedModel(model)

    def seconds(work):
        if work == "answer":
            return side_by_side.timed(lambda: traced(x)["nsp_logits"].numpy(), 3)
        return side_by_side.timed(lambda: model.train_on_batch(x, y, weights), 3)

    side_by_side.serve(seconds=seconds)


def corpus(rounds):
    """The same for texts of random words, the rows of which `build_corpus` makes with one worker."""
    random = np.random.default_rng(0)
    words = [f"w{i}" for i in range(2000)]
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        vocabulary = folder / "vocab.txt"
        vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]) + "\n")
        texts = {}
        for size in VALUES["corpus"]:
            lines, count = [], 0
            while count < size * 1_000_000:
                line = " ".join(random.choice(words, random.integers(5, 40)))
                lines.append(line if random.random() < 0.9 else line + "\n")
                count += len(lines[-1]) + 1
            texts[size] = folder / f"{size}.txt"
            texts[size].write_text("\n".join(lines))
        seconds = {size: [] for size in texts}
        for number in range(rounds):
            for size, text in texts.items():
                command = [
                    pathlib.Path(sys.executable).with_name("keras-bert"), "corpus", f"--input_file={text}",
                    f"--vocab_file={vocabulary}", f"--output_dir={folder / f'{size}_{number}'}",
                    "--num_workers=1",
                ]  # fmt: skip
                started = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                seconds[size].append(time.perf_counter() - started)
        for size, taken in seconds.items():
            yield said("corpus", size, "build", float(np.median(taken)))


def said(what, value, work, seconds):
    print(f"{what} {value}: {work} {1000 * seconds:.1f} ms", flush=True)
    return {"what": what, "value": value, "work": work, "seconds": seconds}


def draw(rows, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    kinds = list(dict.fromkeys(row["what"] for row in rows))
    figure, axes = plt.subplots(1, len(kinds), figsize=(4.2 * len(kinds), 4), squeeze=False)
    for axis, what in zip(axes[0], kinds, strict=True):
        for work in dict.fromkeys(row["work"] for row in rows if row["what"] == what):
            points = {r["value"]: r["seconds"] for r in rows if (r["what"], r["work"]) == (what, work)}
            x, y = np.array(sorted(points.items())).T
            exponent = np.log(y[-1] / y[-2]) / np.log(x[-1] / x[-2])
            axis.loglog(x, 1000 * y, "o-", label=f"{work}: exponent {exponent:.2f}")
        axis.set_xlabel({"corpus": "corpus, MB", "length": "length, pieces"}.get(what, what))
        axis.set_ylabel("ms")
        axis.set_xticks(x, [f"{value:g}" for value in x])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
