"""The words of Google's BasicTokenizer, character by character, in Python and in a SavedModel."""

import json
from pathlib import Path

import google_reference
import pytest
import tensorflow as tf
from letter_pieces import letters_tokenizer, spelt

ROWS = json.loads(Path(__file__).with_name("golden_words.json").read_text(encoding="utf-8"))
TEXTS = [text for text, _, _ in ROWS]
LONGEST_WORD = 200


def expected(lowercase: bool) -> list[list[str]]:
    words = [row[1 if lowercase else 2].split() for row in ROWS]
    return [["[UNK]" if len(word) > LONGEST_WORD else word for word in row] for row in words]


class Served(tf.Module):
    def __init__(self, tokenizer):
        super().__init__()
        self.in_graph = tokenizer.in_graph()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def spans(self, texts):
        return self.in_graph.tokenize_with_offsets(texts)


@pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])
def test_python_and_the_served_graph_cut_every_golden_text_as_google_does(lowercase, tmp_path):
    words = (word for row in ROWS for column in row[1:] for word in column.split())
    tokenizer = letters_tokenizer(words, lowercase)
    python = tokenizer.encode_batch(TEXTS, special_tokens=False)
    assert [spelt(tokenizer, encoding.token_ids) for encoding in python] == expected(lowercase)

    tf.saved_model.save(Served(tokenizer), tmp_path)
    served = tf.saved_model.load(tmp_path)
    # One batch with everything in it, and ASCII alone, which goes another way.
    for texts in (TEXTS, [text for text in TEXTS if text.isascii()]):
        encodings = tokenizer.encode_batch(texts, special_tokens=False)
        ids, starts, ends = (ragged.to_list() for ragged in served.spans(tf.constant(texts)))
        assert ids == [encoding.token_ids for encoding in encodings]
        spans = [list(zip(*row, strict=True)) for row in zip(starts, ends, strict=True)]
        assert spans == [encoding.offsets for encoding in encodings]


@pytest.mark.skipif(not google_reference.knows_unicode_14, reason="this Python knows another Unicode")
def test_golden_words_are_what_the_oracle_says():
    for text, *words in ROWS:
        assert words == [
            " ".join(google_reference.words(text, lowercase=lowercase)) for lowercase in (True, False)
        ]


def test_worked_examples():
    words = dict(zip(TEXTS, expected(lowercase=True), strict=True))
    assert words["ah博推zz"] == ["ah", "博", "推", "zz"]
    assert words["[CLS] no special token [SEP] from text [MASK]"][:3] == ["[", "cls", "]"]
