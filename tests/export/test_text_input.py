"""TFLite files that take texts: the dense tokeniser against the exact one, and what it cannot do."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text

import keras_bert as kb
from keras_bert.errors import UsageError
from keras_bert.export import export
from keras_bert.export.dense_tokenizer import CUSTOM_OPS, MAX_WORD_BYTES, DenseTokenizer
from keras_bert.export.signatures import static_text_signatures

TEXTS = [
    "a film",
    "",
    "  no FILM, é è 我我. z",
    "[SEP] [CLS] film",
    "Это был zz",
    "a" * MAX_WORD_BYTES + " b",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 2,
]


@pytest.fixture(scope="module")
def dense(bert):
    return DenseTokenizer(bert.tokenizer, tensorflow_text.FastBertTokenizer)


@pytest.mark.parametrize("truncation", ["longest_first", "only_second"])
@pytest.mark.parametrize("length", [8, 64])
@pytest.mark.parametrize("pair", [None, "film b", TEXTS[-1], ""])
def test_every_text_has_the_ids_of_the_exact_tokeniser(bert, dense, pair, length, truncation):
    for text in TEXTS:
        if truncation == "only_second" and len(bert.tokenizer.encode(text).token_ids) > length - 2:
            continue  # the first text alone is too long, which that truncation refuses
        pairs = None if pair is None else tf.constant([pair])
        features = dense.features(tf.constant([text]), pairs, length, truncation)
        exact = bert.tokenizer.encode(text, pair, max_length=length, truncation=truncation)
        kept = len(exact.token_ids)
        assert {name: tuple(tensor.shape) for name, tensor in features.items()} == dict.fromkeys(
            ("token_ids", "segment_ids", "padding_mask"), (1, length)
        )
        padding = [0] * (length - kept)
        np.testing.assert_array_equal(features["token_ids"][0], [*exact.token_ids, *padding])
        np.testing.assert_array_equal(features["segment_ids"][0], [*exact.segment_ids, *padding])
        np.testing.assert_array_equal(features["padding_mask"][0], [1] * kept + padding)


def test_a_word_that_is_too_long_is_unknown(bert, dense):
    features = dense.features(tf.constant(["a" * (MAX_WORD_BYTES + 1)]), max_length=8)
    assert features["token_ids"].numpy()[0, 1] == bert.tokenizer.vocabulary.unk_id


@pytest.mark.slow
def test_a_file_of_texts_answers_as_the_model_in_a_fresh_process(bert, tmp_path):
    rows = {
        "text": ["a film", "b", "zz 我.", "No FILM é"],
        "text_pair": ["good", "", "film.", "x"],
        "label": ["negative", "neither", "positive", "neither"],
    }
    options = {"format": "tflite", "quantize": "float32", "text_input": True, "eval_file": rows}
    report = export(bert, tmp_path / "model.tflite", max_metric_drop=0, **options)
    assert {name: each["inputs"] for name, each in report["signatures"].items()} == {
        "serving_default": ["text"],
        "text_text_pair": ["text", "text_pair"],
    }
    assert report["max_difference"] < 1e-5 and report["agreement"] == 1.0
    assert report["custom_ops"] == sorted(CUSTOM_OPS) and set(CUSTOM_OPS) <= set(report["ops"])
    assert report["proof"][0]["asked"] == "text"


def test_what_the_tokeniser_of_tflite_cannot_do_is_refused(bert, tmp_path):
    def refused(task, tokenizer=bert.tokenizer, **settings):
        other = kb.Bert.from_config(bert.config, tokenizer, task, max_length=32, **settings)
        with pytest.raises(UsageError) as caught:
            export(other, tmp_path / "model.tflite", format="tflite", text_input=True)
        assert "text_input" in str(caught.value) and caught.value.remedy
        return str(caught.value)

    assert "where each piece stands" in refused("tagging", labels=["O", "B-X", "I-X"])
    assert "in windows" in refused("question_answering", stride=4)
    assert "more than plain texts" in refused("multiple_choice")
    assert "more than plain texts" in refused("fill_mask")
    whole = kb.Tokenizer(bert.tokenizer.vocabulary, never_split=["film"])
    assert "never_split" in refused("classification", whole, labels=["a", "b"])
    accents = kb.Tokenizer(bert.tokenizer.vocabulary, strip_accents=False)
    assert "strip_accents" in refused("classification", accents, labels=["a", "b"])
    assert not list(tmp_path.iterdir())


def test_a_pair_that_is_two_sequences_has_no_signature_and_one_text_has(bert, dense):
    similar = kb.Bert.from_config(bert.config, bert.tokenizer, "similarity", max_length=16)
    [name] = static_text_signatures(similar, 16, dense)
    assert name == "serving_default"
