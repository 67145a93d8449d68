"""What `load` says when the checkpoint is not all that was asked for, and heads that go out again."""

import json
import pathlib
import warnings

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints.safetensors_file import read_tensors
from keras_bert.cli.main import main

LAYOUTS = pathlib.Path(__file__).parent / "golden" / "layouts"
WITH_HEADS = sorted(
    path.name
    for path in LAYOUTS.glob("hf5_*")
    if path.is_dir() and path.name not in ("hf5_cache", "hf5_decoder", "hf5_bfloat16", "hf5_float16")
)


def quiet_load(folder, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kb.load(folder, *arguments, **options)


def test_another_head_than_asked_for_is_left_and_named_and_the_new_one_starts_fresh():
    with pytest.warns(UserWarning) as caught:
        bert = kb.load(LAYOUTS / "hf5_pretraining", "classification", labels=["a", "b"])
    [message] = [str(warning.message) for warning in caught if "is not used" in str(warning.message)]
    for fragment in ("pretraining", "cls.predictions.transform.dense.weight", "cls.seq_relationship.bias"):
        assert fragment in message
    assert message.endswith("starts fresh: classifier/kernel, classifier/bias")
    expected = quiet_load(LAYOUTS / "hf5_pretraining").weights()
    for path, array in bert.weights().items():
        if not path.startswith("classifier"):
            np.testing.assert_array_equal(array, expected[path], err_msg=path)


def test_the_same_head_with_other_classes_starts_fresh_and_says_so():
    with pytest.warns(UserWarning, match=r"sequence_classification.*classifier\.weight.*classifier/kernel"):
        bert = kb.load(LAYOUTS / "hf5_classification", "classification", labels=["a", "b"])
    assert bert.task.labels == ("a", "b")


@pytest.mark.parametrize("name", WITH_HEADS)
def test_every_head_is_saved_as_the_class_of_transformers_it_came_from(name, tmp_path):
    bert = quiet_load(LAYOUTS / name)
    bert.save(tmp_path / "out")
    theirs, ours = (
        json.loads((folder / "config.json").read_text()) for folder in (LAYOUTS / name, tmp_path / "out")
    )
    assert ours["architectures"] == theirs["architectures"]
    for key in ("id2label", "problem_type"):
        assert ours.get(key) == theirs.get(key), key
    again = quiet_load(tmp_path / "out")
    assert again.head == bert.head
    expected, found = bert.weights(), again.weights()
    fresh = () if "pooler" in " ".join(expected) and _has_pooler(LAYOUTS / name) else ("pooler/",)
    for path, array in expected.items():
        if not path.startswith(fresh or "-"):
            assert found[path].tobytes() == array.tobytes(), path


def test_an_untied_decoder_is_saved_with_all_that_transformers_reads(tmp_path):
    quiet_load(LAYOUTS / "hf5_masked_lm_untied").save(tmp_path / "untied")
    tensors = read_tensors(tmp_path / "untied" / "model.safetensors")
    theirs = read_tensors(LAYOUTS / "hf5_masked_lm_untied" / "model.safetensors")
    for name in ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias"):
        np.testing.assert_array_equal(tensors[name], theirs[name])
    assert "cls.predictions.bias" in tensors  # dead, but missed where it is not
    assert json.loads((tmp_path / "untied" / "config.json").read_text())["tie_word_embeddings"] is False
    quiet_load(LAYOUTS / "hf5_masked_lm").save(tmp_path / "tied")
    assert json.loads((tmp_path / "tied" / "config.json").read_text())["tie_word_embeddings"] is True
    assert "cls.predictions.decoder.weight" not in read_tensors(tmp_path / "tied" / "model.safetensors")


@pytest.mark.parametrize("name", ["sentence_transformers", "sentence_transformers_2"])
def test_the_pooling_survives_saving(name, tmp_path):
    bert = quiet_load(LAYOUTS / name)
    bert.save(tmp_path / "out")
    again = quiet_load(tmp_path / "out")
    assert again.pooling == bert.pooling and bert.pooling is not None
    np.testing.assert_array_equal(again.embed(["a film"]), bert.embed(["a film"]))


def _has_pooler(folder) -> bool:
    from keras_bert.checkpoints.checkpoint import encoder_weights, read_folder

    return not encoder_weights(read_folder(folder)).missing


@pytest.mark.parametrize(
    ("format", "source"),
    [
        ("huggingface", "google_tf1_pretrained"),
        ("google", "google_tf1_pretrained"),
        ("keras_hub", "google_tf1_classifier"),
        ("huggingface", "keras_hub_classifier"),
        ("google", "model_garden"),
    ],
)
def test_convert_writes_what_loads_with_the_same_bits(format, source, tmp_path, capsys):
    source = LAYOUTS / source
    arguments = [f"--model_dir={source}", f"--output_dir={tmp_path / 'out'}", f"--format={format}"]
    assert main(["convert", *arguments]) == 0
    assert f"{format}, " in capsys.readouterr().out
    expected, found = quiet_load(source).weights(), quiet_load(tmp_path / "out").weights()
    assert expected.keys() == found.keys()
    assert all(found[path].tobytes() == array.tobytes() for path, array in expected.items())


@pytest.mark.parametrize("name", ["model_garden", "hf4_bin", "google_tf1_squad", "tf_hub"])
def test_inspect_knows_every_kind_without_tensorflow(name, capsys):
    assert main(["inspect", "--json", str(LAYOUTS / name)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["loads"] and facts["problem"] is None
    assert facts["config"]["hidden_dim"] == 8 and facts["num_parameters"] > 1000


@pytest.mark.slow
def test_a_live_backbone_of_keras_hub_loads_with_a_vocabulary():
    import keras_nlp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backbone = keras_nlp.models.BertBackbone(
            vocabulary_size=40,
            num_layers=2,
            num_heads=2,
            hidden_dim=8,
            intermediate_dim=20,
            max_sequence_length=24,
        )
    bert = kb.load(backbone, vocabulary=LAYOUTS / "model_garden" / "vocab.txt")
    golden = np.load(LAYOUTS / "model_garden.npz")
    features = {key: golden[key] for key in ("token_ids", "segment_ids", "padding_mask")}
    theirs = backbone(dict(features), training=False)
    ours = bert.encoder(features, training=False)
    is_token = features["padding_mask"].astype(bool)
    for key in ("sequence_output", "pooled_output"):
        expected, found = np.asarray(theirs[key]), np.asarray(ours[key])
        if key == "sequence_output":
            expected, found = expected[is_token], found[is_token]
        np.testing.assert_allclose(found, expected, atol=5e-6, rtol=0)
