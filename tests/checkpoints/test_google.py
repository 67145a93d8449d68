"""Google's TensorFlow 1 checkpoints: every tensor used, every tensor back out bit for bit."""

import json
import pathlib
import warnings

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.errors import CheckpointError, OutputError

LAYOUTS = pathlib.Path(__file__).parents[1] / "golden" / "layouts"


def tensors_of(folder) -> dict:
    [index] = folder.glob("*.index")
    reader = tf.train.load_checkpoint(str(index.with_suffix("")))
    names = reader.get_variable_to_shape_map()
    return {
        name: reader.get_tensor(name)
        for name in names
        if not name.endswith(("adam_m", "adam_v", "global_step"))
    }


def assert_same_bits(found: dict, expected: dict):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("name", ["google_tf1_pretrained", "google_tf1_classifier", "google_tf1_squad"])
def test_a_checkpoint_of_googles_code_goes_out_as_it_came_in(name, tmp_path):
    bert = kb.load(LAYOUTS / name)
    bert.save(tmp_path / "out", format="google")
    assert_same_bits(tensors_of(tmp_path / "out"), tensors_of(LAYOUTS / name))
    theirs, ours = (
        json.loads((folder / "bert_config.json").read_text()) for folder in (LAYOUTS / name, tmp_path / "out")
    )
    assert ours == theirs
    again = kb.load(tmp_path / "out")
    assert again.config == bert.config and again.tokenizer.lowercase == bert.tokenizer.lowercase


def test_every_tensor_of_the_random_fixture_is_used_and_goes_back_out(data_folder, tmp_path):
    fixture = data_folder / "tf1_checkpoint_fixture"
    expected = tensors_of(fixture)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is left over, nothing starts fresh
        bert = kb.load(fixture)
    bert.save(tmp_path / "out", format="google")
    assert_same_bits(tensors_of(tmp_path / "out"), expected)


@pytest.mark.parametrize("name", ["hf5_pretraining", "hf5_classification", "hf5_question_answering"])
def test_a_hugging_face_model_survives_the_way_through_google(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bert = kb.load(LAYOUTS / name)
        expected = bert.weights()
        bert.save(tmp_path / "google", format="google")
        options = {} if bert.task is None else {"task": bert.task.name, **bert.task.settings()}
        back = kb.load(tmp_path / "google", **options)
    assert back.config == bert.config  # the exact gelu, too
    assert_same_bits(back.weights(), expected)


def test_the_other_gelu_is_told_when_google_cannot_compute_it(tmp_path):
    bert = kb.load(LAYOUTS / "hf5_next_sentence")
    with pytest.warns(UserWarning, match="erf form of gelu"):
        bert.save(tmp_path / "out", format="google")


def test_an_epsilon_that_google_does_not_have_is_refused(tmp_path):
    bert = kb.load(LAYOUTS / "keras_bert_cyberzhg")
    with pytest.raises(CheckpointError, match="1e-14"):
        bert.save(tmp_path / "out", format="google")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_not_overwritten(tmp_path):
    bert = kb.load(LAYOUTS / "google_tf1_pretrained")
    (tmp_path / "vocab.txt").write_text("mine")
    with pytest.raises(OutputError):
        bert.save(tmp_path, format="google")
    assert (tmp_path / "vocab.txt").read_text() == "mine"


def test_a_bundle_without_its_config_says_what_is_missing(tmp_path):
    for file in (LAYOUTS / "google_tf1_pretrained").iterdir():
        if file.name != "bert_config.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(CheckpointError, match=r"number of attention heads.*bert_config\.json"):
        kb.load(tmp_path)


def test_the_values_of_the_weights_are_those_of_the_checkpoint():
    bert = kb.load(LAYOUTS / "google_tf1_pretrained")
    stored, weights = tensors_of(LAYOUTS / "google_tf1_pretrained"), bert.weights()
    np.testing.assert_array_equal(
        weights["block_1/intermediate/kernel"], stored["bert/encoder/layer_1/intermediate/dense/kernel"]
    )
    np.testing.assert_array_equal(
        weights["next_sentence/kernel"], stored["cls/seq_relationship/output_weights"].T
    )
