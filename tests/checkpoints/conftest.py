"""A BERT small enough to read by eye, as weights of ours and as a saved folder."""

import numpy as np
import pytest

from keras_bert.checkpoints import names
from keras_bert.checkpoints.folder import write_folder
from keras_bert.config import BertConfig
from keras_bert.text.tokenizer import Tokenizer

PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "warm", "film", "##s", "我")
CONFIG = BertConfig(
    vocabulary_size=len(PIECES),
    num_layers=2,
    num_heads=2,
    hidden_dim=4,
    intermediate_dim=6,
    max_sequence_length=8,
)
LABELS = ("negative", "neutral", "positive")


@pytest.fixture
def config():
    return CONFIG


@pytest.fixture
def weights():
    """Every weight of encoder, pooler and classifier in our names, no two entries alike."""
    sizes = {"V": len(PIECES), "P": 8, "S": 2, "D": 4, "E": 4, "F": 6, "C": len(LABELS)}
    result, start = {}, 0
    for row in names.rows_of(CONFIG, ("encoder", "pooler", "classifier")):
        *inputs, last = (sizes[letter] for letter in row.shape)
        shape = (*inputs, last * (3 if row.fused else 1))
        result[row.ours] = np.arange(start, start + np.prod(shape), dtype=np.float32).reshape(shape)
        start += np.prod(shape)
    return result


@pytest.fixture
def tokenizer():
    return Tokenizer(PIECES)


@pytest.fixture
def saved(tmp_path, weights, tokenizer):
    """A folder of ours with a classifier."""
    folder = tmp_path / "model"
    write_folder(
        folder,
        CONFIG,
        weights,
        architecture="BertForSequenceClassification",
        tokenizer=tokenizer,
        labels=LABELS,
        extras={"task": {"name": "classification"}},
    )
    return folder


@pytest.fixture
def downloaded(saved):
    """The same folder as Hugging Face would hand it out, without anything of ours."""
    (saved / "keras_bert.json").unlink()
    return saved
