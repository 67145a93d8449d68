"""A small corpus of two kinds of files, and a vocabulary for it."""

import json
import random

import pytest

from keras_bert.text.tokenizer import Tokenizer

WORDS = "the of a film story actor plot scene ending music light shadow river city winter night road".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "##ly", "##er", ".", ",", "!"]


def sentences_of(rng, count):
    """Random sentences of the vocabulary's words."""
    return [
        " ".join(rng.choice(WORDS) + rng.choice(["", "", "s", "ly", "er"]) for _ in range(rng.randint(3, 14)))
        + rng.choice(".!")
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def tokenizer():
    return Tokenizer(PIECES, lowercase=True)


@pytest.fixture(scope="session")
def corpus_files(tmp_path_factory):
    """A folder with a.txt (200 documents, a sentence a line) and b.jsonl (60 documents of running text)."""
    folder, rng = tmp_path_factory.mktemp("text"), random.Random(0)
    documents = [sentences_of(rng, rng.randint(2, 12)) for _ in range(260)]
    (folder / "a.txt").write_text("\n\n".join("\n".join(lines) for lines in documents[:200]) + "\n")
    rows = (json.dumps({"text": " ".join(line.capitalize() for line in lines)}) for lines in documents[200:])
    (folder / "b.jsonl").write_text("\n".join(rows) + "\n")
    return folder
