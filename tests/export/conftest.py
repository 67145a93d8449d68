"""A small model whose answers differ from text to text, and a reader that needs no fresh process."""

import keras
import numpy as np
import pytest
import unread

import keras_bert as kb
from keras_bert.export import proof

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *LETTERS,
    *(f"##{c}" for c in LETTERS),
    "film",
    ".",
    "我",
]


def _small_bert(**config):
    keras.utils.set_random_seed(3)
    shape = kb.BertConfig.preset("tiny", vocabulary_size=len(PIECES), initializer_range=0.1, **config)
    labels = ["negative", "positive", "neither"]
    return kb.Bert.from_config(shape, kb.Tokenizer(PIECES), "classification", labels=labels, max_length=32)


@pytest.fixture(scope="session")
def small_bert():
    """Makes a tiny BERT, with random weights large enough that its answers depend on the text."""
    return _small_bert


@pytest.fixture(scope="session")
def bert():
    """One such BERT for all tests here: its graphs are traced once."""
    return _small_bert()


@pytest.fixture
def no_process(monkeypatch):
    """Artefacts are "read back" without a fresh process: every answer is the expected one."""
    monkeypatch.setattr(proof, "ask", unread.ask)


@pytest.fixture
def read_wrongly(monkeypatch, no_process):
    """Lets that reader be wrong: every score of the artefact of a number is off by 1e-4."""
    right = proof.ask

    def spoil(number):
        def ask(artefacts):
            results = right(artefacts)
            results[number]["answers"] = [
                {**answer, "scores": answer["scores"] + np.float32(1.2e-4)}
                for answer in results[number]["answers"]
            ]
            return results

        monkeypatch.setattr(proof, "ask", ask)

    return spoil


def pytest_itemcollected(item):
    """A real export with its fresh process takes ten seconds; the quick run has one in test_every_task.py."""
    if {"report", "reports"} & set(item.fixturenames):
        item.add_marker(pytest.mark.slow)
