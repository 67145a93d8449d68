"""What the arms of pretrain_imdb.py train: the settings of ours, keras-hub's masked LM, and the fine-tune.

python pretrain_imdb_arms.py WORK OUTPUT STEPS LOG_STEPS EVAL_STEPS       # keras-hub's arm
"""

import csv
import pathlib
import sys

LENGTH, BATCH, RATE, SHARE, WARMUP = 64, 32, 1e-3, 0.3, 0.06
# The recipes in small: rows of 64 pieces and batches of 32, since there is time for some million pieces only;
# float32, for these cores have no bfloat16. With so few pieces `paper` would learn no more than how frequent
# they are, if it did not begin locally and from counts too.
_SMALL = {"train_batch_size": BATCH, "precision": "float32", "jit_compile": "true"}


def _starts(flag):
    return {"local_start": flag, "cooccurrence_start": flag}


SETTINGS = {
    "paper": {**_SMALL, "learning_rate": RATE, "warmup_proportion": WARMUP, **_starts("true")},
    "efficient": _SMALL,
    "random_start": {**_SMALL, **_starts("false")},
}
ROWS, FINETUNE_RATE, FINETUNE_LENGTH = 10_000, 3e-4, 64
# One epoch is the best of 1 to 3 for what was pretrained. Random weights get better with more: three, in a
# row of their own.
EPOCHS = {"random_longer": 3}


def keras_hub(work, output, steps, log_steps, eval_steps):
    """keras-hub's MaskedLM as its users train it, with the settings of `efficient`."""
    import keras
    import keras_hub

    import keras_bert as kb
    from keras_bert.training.metrics_log import MetricsLog

    keras.utils.set_random_seed(0)
    records = kb.PretrainingRecords(work / "records/efficient")
    vocabulary = records.vocabulary
    train, tokens = training_data(records)
    held_out = evaluation_data(kb.PretrainingRecords(work / "records/held_out_efficient"))
    backbone = keras_hub.models.BertBackbone(
        len(vocabulary), 4, 4, 256, 1024, dropout=0.0, max_sequence_length=LENGTH
    )
    model = keras_hub.models.BertMaskedLM(backbone)
    rate = kb.WarmupLinear(RATE, steps, round(WARMUP * steps))
    model.compile(
        kb.AdamW(rate, weight_decay=0.01, global_clipnorm=1.0),
        weighted_metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="mlm_accuracy"),
            keras.metrics.SparseCategoricalCrossentropy(name="mlm_loss", from_logits=True),
        ],
        jit_compile=True,
    )
    output.mkdir(parents=True, exist_ok=True)
    log = MetricsLog(
        BATCH, log_steps, file=output / "metrics.jsonl", windowed=("mlm_accuracy", "mlm_loss"),
        tokens_per_example=tokens,
    )  # fmt: skip
    model.fit(
        train, steps_per_epoch=eval_steps, epochs=-(-steps // eval_steps), verbose=0, callbacks=[log],
        validation_data=held_out,
    )  # fmt: skip
    tokenizer = keras_hub.models.BertTokenizer(list(vocabulary), lowercase=True)
    model.preprocessor = keras_hub.models.BertMaskedLMPreprocessor(tokenizer, sequence_length=LENGTH)
    model.save_to_preset(str(output / "model"))


def training_data(records):
    """Batches without end with keras-hub's own masks, and the mean number of pieces of a row."""
    import keras_hub
    import numpy as np
    import tensorflow as tf

    vocabulary = records.vocabulary
    rows = [records.examples(i).padded(LENGTH)["token_ids"] for i in range(len(records.files))]
    rows = np.concatenate(rows)
    masks = keras_hub.layers.MaskedLMMaskGenerator(
        len(vocabulary), SHARE, vocabulary.mask_id, round(SHARE * LENGTH),
        [vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id],
    )  # fmt: skip

    def masked(token_ids):
        rows = masks(token_ids)
        return features(rows["token_ids"], rows["mask_positions"]), rows["mask_ids"], rows["mask_weights"]

    data = tf.data.Dataset.from_tensor_slices(rows).shuffle(len(rows), seed=0).repeat()
    data = data.batch(BATCH, drop_remainder=True).map(masked, tf.data.AUTOTUNE).prefetch(2)
    return data, float((rows != vocabulary.pad_id).sum(1).mean())


def evaluation_data(records):
    """The held-out texts with the masks that they have."""
    import numpy as np
    import tensorflow as tf

    batches = list(records.batches(64, shuffle=False, drop_remainder=False))
    names = ("token_ids", "mask_positions", "mask_ids", "mask_weights")
    columns = [np.concatenate([batch[name] for batch in batches]) for name in names]
    data = tf.data.Dataset.from_tensor_slices(tuple(columns))
    return data.batch(64).map(lambda ids, places, answers, weights: (features(ids, places), answers, weights))


def features(token_ids, positions):
    """What BertMaskedLM takes; pieces of id 0 are padding."""
    import tensorflow as tf

    padding = tf.cast(token_ids != 0, "int32")
    return {"token_ids": token_ids, "padding_mask": padding, "segment_ids": tf.zeros_like(token_ids),
            "mask_positions": positions}  # fmt: skip


def finetune(given, arm, seed) -> list[int]:
    """Which of SST-2's dev rows, and then of `sentences_apart`, a fine-tune of the arm gets right."""
    import keras

    import keras_bert as kb
    from keras_bert.training.fit import fit

    keras.utils.set_random_seed(seed)
    settings = {"labels": ["0", "1"], "max_length": FINETUNE_LENGTH}
    if arm in ("random", "random_longer"):
        tokenizer = kb.Tokenizer(given.work / "vocabulary/vocab.txt")
        config = kb.BertConfig.preset("mini", vocabulary_size=len(tokenizer.vocabulary))
        bert = kb.Bert.from_config(config, tokenizer, "classification", **settings)
    else:
        bert = kb.load(given.work / arm / "model", task="classification", dropout=0.1, **settings)
    texts, labels = rows_of(given.data / "glue/SST-2/train.tsv")
    train = bert.dataset((texts[:ROWS], labels[:ROWS]), 32, training=True, seed=seed)
    fit(bert.model, train, epochs=EPOCHS.get(arm, 1), learning_rate=FINETUNE_RATE, weight_decay=0.01)
    apart = sentences_apart(texts)
    texts, labels = ([rows[i] for i in apart] for rows in (texts, labels))
    more_texts, more_labels = rows_of(given.data / "glue/SST-2/dev.tsv")
    answers = bert.predict([*more_texts, *texts])
    expected = [str(label) for label in [*more_labels, *labels]]
    return [int(row["label"] == label) for row, label in zip(answers, expected, strict=True)]


def sentences_apart(texts) -> list[int]:
    """The rows of the training file that are sentences, as the dev rows are, with no part that is trained on.

    Every phrase of a sentence is a row of its own there. A sentence is a row that is part of no other; those
    that hold a row of the first 10,000, one longer than a word, are left out.
    """
    rows = [tuple(text.split()) for text in texts]
    places, trained, inside = {row: i for i, row in enumerate(rows)}, set(rows[:ROWS]), set()
    for row in places:
        inside |= places.keys() & parts(row, 1) - {row}
    sentences = places.keys() - inside
    return sorted(places[row] for row in sentences if not trained & (parts(row, 2) | {row}))


def parts(row, shortest) -> set:
    """Every run of so many words or more."""
    ends = range(len(row) + 1)
    return {row[i:j] for i in ends for j in ends[i + shortest :]}


def rows_of(path, count=None):
    """(texts, labels) of a GLUE file."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:count]
    return [row["text_a"] for row in rows], [int(row["label"]) for row in rows]


if __name__ == "__main__":
    keras_hub(*map(pathlib.Path, sys.argv[1:3]), *map(int, sys.argv[3:]))
