"""SST-2, the same recipe in keras_bert and in Hugging Face/torch, in turn, with scores and seconds.

    python tests/benchmarks/finetune_sst2.py --data=DATA/glue/SST-2 --model=MINILM_FOLDER \
        --peer_python=TORCH_ENV/bin/python --results=results.jsonl --seeds 0 1 2

MiniLM, the first 10,000 training rows, 2 epochs, batch 32, length <= 128, peak rate 5e-5, 10 % warm-up then
linear to 0, weight decay 0.01, gradient norm 1, float32, padding to the longest text of the batch. One line
of JSON is appended for every finished run, and a run that is already there is not repeated: start it again
to go on.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import sys
import time

ROWS, EPOCHS, BATCH, LENGTH, RATE, DECAY = 10_000, 2, 32, 128, 5e-5, 0.01


def read(path, count=None):
    """(texts, labels) of a GLUE file."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:count]
    return [row["text_a"] for row in rows], [int(row["label"]) for row in rows]


def ours(arguments):
    """One run of keras_bert."""
    import keras

    import keras_bert as kb
    from keras_bert.training.fit import fit

    keras.utils.set_random_seed(arguments.seed)
    bert = kb.load(arguments.model, task="classification", labels=["0", "1"], max_length=LENGTH)
    data = pathlib.Path(arguments.data)
    train = bert.dataset(read(data / "train.tsv", ROWS), BATCH, training=True, seed=arguments.seed)
    started = time.perf_counter()
    fit(bert.model, train, epochs=EPOCHS, learning_rate=RATE, weight_decay=DECAY)
    trained = time.perf_counter()
    accuracy = bert.evaluate(read(data / "dev.tsv"))["accuracy"]
    return accuracy, trained - started, time.perf_counter() - trained


def torch(arguments):
    """One run of Hugging Face/torch."""
    import numpy as np
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification, get_linear_schedule_with_warmup

    torch.manual_seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = BertForSequenceClassification.from_pretrained(arguments.model, num_labels=2)
    data = pathlib.Path(arguments.data)
    texts, labels = read(data / "train.tsv", ROWS)

    def batch(texts):
        return tokenizer(texts, truncation=True, max_length=LENGTH, padding="longest", return_tensors="pt")

    plain = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    decayed = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, eps=1e-6)
    total = EPOCHS * -(-len(texts) // BATCH)
    schedule = get_linear_schedule_with_warmup(optimizer, round(0.1 * total), total)
    started = time.perf_counter()
    model.train()
    for _ in range(EPOCHS):
        order = rng.permutation(len(texts))
        for start in range(0, len(texts), BATCH):
            chosen = order[start : start + BATCH]
            loss = model(
                **batch([texts[i] for i in chosen]), labels=torch.tensor([labels[i] for i in chosen])
            ).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    trained = time.perf_counter()
    model.eval()
    dev_texts, dev_labels = read(data / "dev.tsv")
    right = 0
    with torch.no_grad():
        for start in range(0, len(dev_texts), BATCH):
            logits = model(**batch(dev_texts[start : start + BATCH])).logits
            right += int((logits.argmax(-1) == torch.tensor(dev_labels[start : start + BATCH])).sum())
    return right / len(dev_texts), trained - started, time.perf_counter() - trained


def one(arguments):
    """Runs one arm in this process and prints its line."""
    accuracy, training, evaluation = {"ours": ours, "torch": torch}[arguments.arm](arguments)
    line = {"arm": arguments.arm, "seed": arguments.seed, "accuracy": round(accuracy, 4)}
    print(json.dumps({**line, "train_seconds": round(training, 1), "eval_seconds": round(evaluation, 1)}))


def every(arguments):
    """Runs what is missing, in turn, each in a process of its own."""
    results = pathlib.Path(arguments.results)
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    for seed in arguments.seeds:
        for arm, python in (("ours", sys.executable), ("torch", arguments.peer_python)):
            if any(row["arm"] == arm and row["seed"] == seed for row in done):
                continue
            command = [python, __file__, f"--arm={arm}", f"--seed={seed}", f"--data={arguments.data}",
                       f"--model={arguments.model}"]  # fmt: skip
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            with open(results, "a", encoding="utf-8") as file:
                file.write(output.splitlines()[-1] + "\n")
            print(output.splitlines()[-1], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--arm", choices=["ours", "torch"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--peer_python")
    parser.add_argument("--results", default="finetune_sst2.jsonl")
    given = parser.parse_args()
    one(given) if given.arm else every(given)
