"""A classifier small enough to be trained in a test, and rows for it."""

import keras

import keras_bert as kb

WORDS = "a film was warm dull play not good and so it goes".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
ROWS = [
    {"text": "a film", "label": "0"},
    {"text": "a warm film was not so dull", "label": "1"},
    {"text": "it goes", "label": "0"},
    {"text": "so good and so warm it was", "label": "1"},
]


def model(dropout=0.0):
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(
        len(PIECES), 2, 2, 8, 16, dropout=dropout, attention_dropout=dropout, max_sequence_length=16,
        initializer_range=0.3,
    )  # fmt: skip
    return kb.Bert.from_config(config, kb.Tokenizer(PIECES), "classification", labels=["0", "1"])
