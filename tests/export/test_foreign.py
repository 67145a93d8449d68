"""Signatures under other libraries' names, and those of `tf.Example`."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from test_scoring import NAMES, small

from keras_bert.errors import UsageError
from keras_bert.export.foreign import example_signature, named_signature

TEXTS = ["a warm film", "a dull play was a cold play"]


def ids_of(bert, texts):
    features = bert.preprocess(tf.constant(texts))
    return {name: tensor.numpy() for name, tensor in features.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_task_has_its_own_outputs_under_the_names_of_others(name):
    bert, _ = small(name)
    ids = ids_of(bert, TEXTS)
    inputs = {
        "input_ids": ids["token_ids"],
        "token_type_ids": ids["segment_ids"],
        "attention_mask": ids["padding_mask"],
    }
    function = named_signature(bert, "huggingface")
    answer = function(**{key: tf.constant(array) for key, array in inputs.items()})
    shapes = {key: tuple(tensor.shape) for key, tensor in answer.items()}
    width = ids["token_ids"].shape[1]
    assert (
        shapes
        == {
            "classification": {"logits": (2, 2)},
            "fill_mask": {"mask_logits": (2, 2, 14), "mask_positions": (2, 2)},
            "multi_label": {"logits": (2, 2)},
            "multiple_choice": {"logits": (2, 1)},
            "multi_task": {"mood_logits": (2, 2), "things_logits": (2, width, 5)},
            "question_answering": {"start_logits": (2, width), "end_logits": (2, width)},
            "regression": {"logits": (2, 1)},
            "similarity": {"embedding": (2, 8)},
            "tagging": {"logits": (2, width, 5)},
        }[name]
    )


def test_logits_are_those_of_the_model_and_google_has_probabilities():
    bert, _ = small("classification")
    ids = ids_of(bert, TEXTS)
    expected = bert.model(ids)
    inputs = {
        "input_ids": ids["token_ids"],
        "segment_ids": ids["segment_ids"],
        "input_mask": ids["padding_mask"],
    }
    answer = named_signature(bert, "google")(**{key: tf.constant(array) for key, array in inputs.items()})
    np.testing.assert_allclose(answer["logits"], expected, atol=1e-6)
    np.testing.assert_allclose(answer["probabilities"], tf.nn.softmax(expected), atol=1e-6)


def test_a_mask_that_a_server_padded_with_its_first_element_hides_no_padding():
    # TensorFlow Serving joins requests of unequal length by repeating the first element of each.
    bert, _ = small("tagging")
    ids = ids_of(bert, TEXTS[:1])
    names = {"token_ids": "input_ids", "segment_ids": "token_type_ids", "padding_mask": "attention_mask"}
    function, width = named_signature(bert, "huggingface"), ids["token_ids"].shape[1]
    alone = function(**{theirs: tf.constant(ids[ours]) for ours, theirs in names.items()})["logits"]
    joined = {
        theirs: np.concatenate([ids[ours], np.repeat(ids[ours][:, :1], 6, axis=1)], axis=1)
        for ours, theirs in names.items()
    }
    assert joined["attention_mask"].all()
    answer = function(**{name: tf.constant(array) for name, array in joined.items()})["logits"]
    np.testing.assert_allclose(answer[:, :width], alone, atol=1e-6)
    # A sequence without [SEP] is read as the mask says.
    joined["input_ids"] = np.where(joined["input_ids"] == 3, 7, joined["input_ids"])
    other = function(**{name: tf.constant(array) for name, array in joined.items()})["logits"]
    assert np.abs(other[:, :width] - alone).max() > 1e-3


def test_an_example_is_classified_and_one_number_is_a_regression():
    bert, _ = small("classification")
    name, method, function = example_signature(bert, ["text"])
    texts = [text.encode() for text in TEXTS]
    examples = [
        tf.train.Example(
            features=tf.train.Features(
                feature={"text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[text]))}
            )
        ).SerializeToString()
        for text in texts
    ]
    answer = function(inputs=tf.constant([*examples, b""]))
    assert (name, method) == ("classify", "tensorflow/serving/classify")
    assert answer["classes"].numpy().tolist() == [[b"bad", b"good"]] * 3
    expected = [row["scores"] for row in bert.predict([*TEXTS, ""])]
    np.testing.assert_allclose(answer["scores"], expected, atol=1e-6)
    bert, _ = small("regression")
    name, method, function = example_signature(bert, ["text"])
    assert (name, method) == ("regress", "tensorflow/serving/regress")
    expected = [row["score"] for row in bert.predict(TEXTS)]
    np.testing.assert_allclose(function(inputs=tf.constant(examples))["outputs"], expected, atol=1e-6)
    for other in ("tagging", "question_answering", "similarity"):
        bert, _ = small(other)
        with pytest.raises(UsageError, match="Predict serves every task"):
            example_signature(bert, bert.task.columns)


@pytest.mark.slow
def test_an_export_has_the_signatures_it_was_asked_for(tmp_path):
    bert, rows = small("classification")
    report = bert.export(
        tmp_path / "film", signature_names="huggingface", examples=True, eval_file=rows
    )  # read back in a fresh process
    assert report["max_difference"] <= 1e-5
    inputs = {name: sorted(each["inputs"]) for name, each in report["signatures"].items()}
    assert inputs == {
        "serving_default": ["attention_mask", "input_ids", "token_type_ids"],
        "text": ["text"],
        "text_text_pair": ["text", "text_pair"],
        "ids": ["length", "segment_ids", "token_ids"],
        "classify": ["inputs"],
    }
    saved = saved_model_pb2.SavedModel.FromString((tmp_path / "film/1/saved_model.pb").read_bytes())
    methods = {name: each.method_name for name, each in saved.meta_graphs[0].signature_def.items()}
    assert methods["classify"] == "tensorflow/serving/classify"
    assert methods["text"] == "tensorflow/serving/predict"
    request = json.loads((tmp_path / "film-ids/1/assets.extra/requests/serving_default.json").read_text())
    assert sorted(request["inputs"]) == inputs["serving_default"]


def test_names_that_no_library_has_are_refused(tmp_path):
    bert, _ = small("classification")
    with pytest.raises(UsageError, match="huggingface, google"):
        bert.export(tmp_path / "film", signature_names="torch")
    assert list(tmp_path.iterdir()) == []
