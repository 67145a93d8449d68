"""What `load` says when the checkpoint is not all that was asked for, and heads that go out again."""

import json
import pathlib
import warnings

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints.safetensors_file import read_tensors, write_tensors
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


def test_dropout_overrides_both_of_the_config_and_is_saved(tmp_path):
    bert = quiet_load(LAYOUTS / "hf5_classification", dropout=0.35)
    assert (bert.config.dropout, bert.config.attention_dropout) == (0.35, 0.35)
    bert.save(tmp_path / "out")
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["hidden_dropout_prob"], config["attention_probs_dropout_prob"]) == (0.35, 0.35)


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
    assert expected.keys() == found.keys()
    # The pooler too, for which not every class has a place: it lies in a file of ours.
    assert all(found[path].tobytes() == array.tobytes() for path, array in expected.items())


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


@pytest.mark.parametrize("name", ["pooler", "head_config"])
def test_what_lies_beside_the_weights_is_not_believed_blindly(name, tmp_path):
    bert = quiet_load(LAYOUTS / "hf5_masked_lm")
    bert.save(tmp_path / "out")
    if name == "pooler":
        tensors = dict(read_tensors(tmp_path / "out" / "model.safetensors"))
        write_tensors(tmp_path / "out" / "keras_bert.safetensors", tensors)
        expected = "also stand in the file of the weights"
    else:
        settings = json.loads((tmp_path / "out" / "keras_bert.json").read_text())
        settings["head_config"] = {"hidden_dim": 3}
        (tmp_path / "out" / "keras_bert.json").write_text(json.dumps(settings))
        expected = "`head_config` is {'hidden_dim': 3}"
    with pytest.raises(kb.errors.CheckpointError, match=expected):
        kb.load(tmp_path / "out")


def test_the_masked_lm_of_keras_hub_has_its_own_gelu_and_epsilon_here_and_after_saving(tmp_path):
    import keras_nlp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backbone = keras_nlp.models.BertBackbone(
            vocabulary_size=9, num_layers=2, num_heads=2, hidden_dim=6, intermediate_dim=10,
            max_sequence_length=7, dropout=0.0,
        )  # fmt: skip
        theirs = keras_nlp.models.BertMaskedLM(backbone, preprocessor=None)
        rng = np.random.default_rng(0)
        for variable in theirs.weights:
            variable.assign(rng.standard_normal(variable.shape))
    ids = {"token_ids": [[2, 5, 6, 3]], "segment_ids": [[0, 0, 0, 0]], "padding_mask": [[1, 1, 1, 1]]}
    ids = {name: np.array(values, "int32") for name, values in ids.items()}
    places = np.arange(4, dtype="int32")[None]
    expected = theirs({**ids, "mask_positions": places})
    expected = np.asarray(expected) - np.asarray(expected).mean(-1, keepdims=True)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d"]

    def differs(bert):
        logits = np.asarray(bert.head_model(ids)["mlm_logits"])[..., : len(pieces)]
        return np.abs(logits - logits.mean(-1, keepdims=True) - expected).max()

    bert = kb.load(theirs, vocabulary=pieces)
    assert differs(bert) < 2e-5
    with pytest.warns(UserWarning, match="there its outputs differ"):
        bert.save(tmp_path / "ours")
    assert differs(kb.load(tmp_path / "ours")) < 2e-5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("error", UserWarning)  # nothing is approximate
        bert.save(tmp_path / "preset", format="keras_hub")
    assert differs(kb.load(tmp_path / "preset")) < 2e-5
    assert differs(bert.with_vocabulary([*pieces, "e"])) < 2e-5


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
