"""Rows of 512 pieces with real texts: examples/s packed and padded, in turn.

    python tests/benchmarks/packing.py --input_file=TEXTS --vocab_file=VOCAB --work=FOLDER [--length=512]

A document is an example, or several where it is longer than a row. Both models are `mini`, without next
sentence; both steps are compiled with XLA and have as many rows; a round trains so many steps of each.
"""

import argparse
import pathlib
import time

import keras
import numpy as np

import keras_bert as kb
from keras_bert.corpus.masking import Masker
from keras_bert.tasks.pretraining import Pretraining


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--input_file", required=True)
    parser.add_argument("--vocab_file", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    folder = given.work / f"packing_{given.length}"
    if not folder.exists():
        settings = kb.CorpusSettings(
            max_seq_length=given.length, next_sentence=False, short_seq_prob=0.0,
            max_predictions_per_seq=round(0.15 * given.length),
        )  # fmt: skip
        kb.build_corpus(given.input_file, folder, kb.Tokenizer(given.vocab_file), settings)
    records = kb.PretrainingRecords(folder)
    lengths = np.concatenate([records.examples(i).lengths for i in range(len(records.files))])
    print(
        f"{len(lengths):,} examples of {lengths.mean():.0f} pieces; quartiles",
        *np.quantile(lengths, (0.25, 0.5, 0.75)),
    )
    trainers = {packed: trainer(records, packed, given) for packed in (False, True)}
    rates = {packed: [] for packed in trainers}
    for _ in range(given.rounds):
        for packed, train in trainers.items():
            rates[packed].append(train())
        print(f"padded {rates[False][-1]:.2f}, packed {rates[True][-1]:.2f} examples/s", flush=True)
    ratios = np.array(rates[True]) / np.array(rates[False])
    print(f"medians {np.median(rates[False]):.2f} and {np.median(rates[True]):.2f}; ratios", *ratios.round(2))


def trainer(records, packed, given):
    """A function that trains so many steps and returns examples/s."""
    keras.utils.set_random_seed(0)
    config = kb.BertConfig.preset("mini", vocabulary_size=len(records.vocabulary))
    task = Pretraining(max_length=given.length, next_sentence=False, packed=packed)
    model = task.head(kb.bert_encoder(config), config)
    model.compile(kb.AdamW(1e-4), jit_compile=True)
    data = kb.PretrainingData(
        records, given.rows, masker=Masker(records.vocabulary, records.masks, 0),
        packed=given.length if packed else None, max_length=None if packed else given.length,
    )  # fmt: skip
    batches = iter(data.dataset(lambda batch: (*task.batch(batch), batch["record_indices"])))

    def train():
        examples, started = 0, time.perf_counter()
        for _ in range(given.steps):
            x, y, weights, indices = next(batches)
            model.train_on_batch(x, y, weights)
            examples += int((indices.numpy() >= 0).sum())
        return examples / (time.perf_counter() - started)

    train()  # compiles
    return train


if __name__ == "__main__":
    main()
