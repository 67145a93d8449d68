"""A model folder so small that a whole run of the command line takes seconds."""

import pytest

WORDS = "a the film was is not very good bad warm funny dull slow great awful and but i it , .".split()


def sentence(i):
    """(text, label) number i of a corpus whose labels follow from one word."""
    good, noun = i % 2 == 0, ("film", "it")[i // 2 % 2]
    word = ("good", "warm", "funny", "great")[i % 4] if good else ("bad", "dull", "slow", "awful")[i % 4]
    return f"the {noun} was {'very ' * (i % 3)}{word} .", "positive" if good else "negative"


def write_rows(path, count, first=0):
    """A labelled .tsv with a header."""
    lines = ["text\tlabel", *("\t".join(sentence(i)) for i in range(first, first + count))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A saved encoder with random weights, 32 positions."""
    import keras

    import keras_bert as kb

    keras.utils.set_random_seed(1)
    tokenizer = kb.Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
    config = kb.BertConfig(
        vocabulary_size=len(tokenizer.vocabulary), num_layers=1, num_heads=2, hidden_dim=16,
        intermediate_dim=32, max_sequence_length=32,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny") / "model"
    kb.Bert.from_config(config, tokenizer).save(folder)
    return folder


@pytest.fixture
def rows_file(tmp_path):
    """40 labelled sentences."""
    return write_rows(tmp_path / "train.tsv", 40)
