"""Presets of keras-hub: read without it, written and read back with the real keras_nlp."""

import json
import pathlib
import shutil
import subprocess
import sys

import h5py
import keras_nlp
import numpy as np
import pytest

from keras_bert.checkpoints import keras_preset_names
from keras_bert.checkpoints.keras_nlp import (
    backbone_tensors,
    is_preset,
    preset_head,
    preset_tensors,
    preset_tokenizer,
    read_preset_config,
    write_preset,
)
from keras_bert.checkpoints.name_table import KERAS_HUB
from keras_bert.checkpoints.names import rows
from keras_bert.config import BertConfig
from keras_bert.encoder import bert_encoder
from keras_bert.errors import CheckpointError, ConfigError, OutputError, VocabularyError

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "layouts" / "keras_hub_classifier"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##c", "é"]
CONFIG = BertConfig(
    vocabulary_size=9, num_layers=3, num_heads=2, hidden_dim=6, intermediate_dim=10, max_sequence_length=7,
    activation="gelu_approximate", dropout=0.2, attention_dropout=0.2,
)  # fmt: skip


def backbone_of(config=CONFIG, dtype="float32"):
    values = {name: getattr(config, name) for name in keras_preset_names.FIELDS}
    return disturbed(keras_nlp.models.BertBackbone(**values, dtype=dtype))


def disturbed(model):
    """The model with a different number in every place of its weights."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.standard_normal(variable.shape))
    return model


def head_of(kind, backbone):
    models = keras_nlp.models
    return disturbed(
        models.BertTextClassifier(backbone, 3, preprocessor=None)
        if kind == "BertTextClassifier"
        else models.BertMaskedLM(backbone, preprocessor=None)
    )


def same(ours, theirs):
    assert list(ours) == list(theirs)
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype and ours[name].shape == theirs[name].shape, name
        assert ours[name].tobytes() == theirs[name].tobytes(), name
    return True


def edited(folder, file, **changes):
    """A file of the preset with values of its `config` changed."""
    raw = json.loads((folder / file).read_text())
    raw["config"].update(changes)
    (folder / file).write_text(json.dumps(raw))
    return folder


def refused(action, *words, error=CheckpointError):
    with pytest.raises(error) as refusal:
        action()
    assert all(word in str(refusal.value) for word in words), refusal.value
    assert len(str(refusal.value)) < 1500


@pytest.fixture
def copy(tmp_path):
    return pathlib.Path(shutil.copytree(GOLDEN, tmp_path / "preset"))


# Reading


def test_a_preset_is_known_by_its_config(copy, saved):
    assert is_preset(GOLDEN) and not is_preset(saved) and not is_preset(copy / "assets")
    (copy / "config.json").write_text("{")
    assert not is_preset(copy)


def test_the_golden_preset_says_its_shape_head_and_tokeniser():
    fields, raw = read_preset_config(GOLDEN)
    config = BertConfig(**fields)
    assert (config.vocabulary_size, config.num_layers, config.num_heads) == (40, 2, 2)
    assert (config.hidden_dim, config.intermediate_dim, config.max_sequence_length) == (8, 20, 24)
    assert (config.activation, config.layer_norm_epsilon) == ("gelu_approximate", 1e-12)
    assert raw == json.loads((GOLDEN / "config.json").read_text())
    assert preset_head(GOLDEN) == {
        "kind": "BertTextClassifier", "num_classes": 3, "activation": "linear", "dropout": 0.1,
    }  # fmt: skip
    pieces, options = preset_tokenizer(GOLDEN)
    assert len(pieces) == 40 and pieces[:2] == ["[PAD]", "[UNK]"] and pieces[-1] == "是"
    assert options == {"lowercase": True, "strip_accents": False, "split_chinese": True}


def test_our_encoder_with_the_tensors_of_the_golden_preset_computes_what_keras_hub_did():
    tensors, expected = preset_tensors(GOLDEN), np.load(f"{GOLDEN}.npz")
    encoder = bert_encoder(BertConfig(**read_preset_config(GOLDEN)[0]))
    for variable in encoder.weights:
        variable.assign(as_ours(tensors, variable.path).reshape(variable.shape))
    features = {name: expected[name] for name in ("token_ids", "segment_ids", "padding_mask")}
    outputs = encoder(features)
    real = features["padding_mask"].astype(bool)
    for name, where in (("sequence_output", real), ("pooled_output", slice(None))):
        np.testing.assert_allclose(np.asarray(outputs[name])[where], expected[name][where], atol=1e-5)
    logits = expected["pooled_output"] @ tensors["logits/kernel"] + tensors["logits/bias"]
    np.testing.assert_allclose(logits, expected["logits"], atol=1e-6)


def as_ours(tensors, path):
    """The preset's weight for a variable of our encoder."""
    names = {
        "attention/output": "self_attention_layer/attention_output",
        "attention_layer_norm": "self_attention_layer_norm",
        "intermediate": "feedforward_intermediate_dense",
        "output": "feedforward_output_dense",
        "output_layer_norm": "feedforward_layer_norm",
    }
    if path.startswith("embeddings/"):
        name = path.removeprefix("embeddings/")
        return tensors[name.replace("layer_norm/", "embeddings_layer_norm/")]
    if path.startswith("pooler/"):
        return tensors[path.replace("pooler", "pooled_dense")]
    block, _, rest = path.partition("/")
    layer, _, kind = rest.rpartition("/")
    start = block.replace("block", "transformer_layer")
    if layer == "attention/query_key_value":
        parts = [tensors[f"{start}/self_attention_layer/{part}/{kind}"] for part in ("query", "key", "value")]
        rows = [part.reshape(-1 if kind == "bias" else (part.shape[0], -1)) for part in parts]
        return np.concatenate([row.reshape(*part.shape[:-2], -1) for row, part in zip(rows, parts)], -1)  # noqa: B905
    return tensors[f"{start}/{names[layer]}/{kind}"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_file_and_the_live_backbone_hold_the_same_bits_under_the_same_names(tmp_path, dtype):
    backbone = backbone_of(dtype=dtype)
    backbone.save_to_preset(str(tmp_path))
    tensors = preset_tensors(tmp_path)
    assert same(tensors, backbone_tensors(backbone))
    assert set(tensors.dtypes.values()) == {dtype}
    assert tensors.shapes == {name: array.shape for name, array in tensors.items()}
    assert tensors.shapes["transformer_layer_2/self_attention_layer/query/kernel"] == (6, 2, 3)
    assert tensors.shapes["transformer_layer_2/self_attention_layer/attention_output/kernel"] == (2, 3, 6)
    assert preset_head(tmp_path) == {"kind": None}


@pytest.mark.parametrize("kind", [None, "BertTextClassifier", "BertMaskedLM"])
def test_the_table_of_names_has_keras_hubs_own_names(kind):
    model = head_of(kind, backbone_of()) if kind else backbone_of()
    parts = (*keras_preset_names.BACKBONE, *keras_preset_names.HEADS.get(kind, ()))
    named = [name for row in rows(CONFIG.num_layers, parts) for name in row.sources(KERAS_HUB, "")]
    assert sorted(named) == sorted(variable.path for variable in model.weights)
    assert sorted(backbone_tensors(model)) == sorted(named)


def test_a_place_in_the_file_is_class_order_and_number():
    places = keras_preset_names.places(12, keras_preset_names.BACKBONE)
    assert places["pooled_dense/bias"] == "layers/dense/vars/1"
    query = "self_attention_layer/query/kernel"
    stored = "_self_attention_layer/query_dense/vars/0"
    assert places[f"transformer_layer_0/{query}"] == f"layers/transformer_encoder/{stored}"
    assert places[f"transformer_layer_11/{query}"] == f"layers/transformer_encoder_11/{stored}"
    assert len(set(places.values())) == len(places) == 5 + 12 * 16 + 2


@pytest.mark.parametrize("kind", ["BertTextClassifier", "BertMaskedLM"])
def test_a_head_is_read_from_the_file_as_it_lives(tmp_path, kind):
    model = head_of(kind, backbone_of())
    model.save_to_preset(str(tmp_path))
    assert same(preset_tensors(tmp_path), backbone_tensors(model))
    assert preset_head(tmp_path)["kind"] == kind


def test_an_embedder_is_a_backbone_and_its_pooling(tmp_path):
    backbone = backbone_of()
    keras_nlp.models.BertTextEmbedder(backbone, pooling_mode="cls").save_to_preset(str(tmp_path))
    assert preset_head(tmp_path) == {"kind": "BertTextEmbedder", "pooling_mode": "cls", "normalize": True}
    assert same(preset_tensors(tmp_path), backbone_tensors(backbone))


def test_shards_are_put_together(tmp_path):
    backbone = backbone_of()
    backbone.save_to_preset(str(tmp_path), max_shard_size=2e-6)
    assert len(list(tmp_path.glob("model_*.weights.h5"))) > 2
    assert same(preset_tensors(tmp_path), backbone_tensors(backbone))
    sorted(tmp_path.glob("*.h5"))[1].unlink()
    refused(lambda: preset_tensors(tmp_path), "model_00001.weights.h5")


def test_shards_elsewhere_are_refused(copy):
    (copy / "model.weights.h5").unlink()
    for value in ("../x.weights.h5", 3, ["a/b.weights.h5"]):
        (copy / "model.weights.json").write_text(json.dumps({"weight_map": {"/layers/dense/vars": value}}))
        refused(lambda: preset_tensors(copy), "weight_map")


def test_paths_of_the_first_versions_are_understood(copy):
    with h5py.File(copy / "model.weights.h5", "r+") as file:
        file.move("layers", "_layer_checkpoint_dependencies")
        block = file["_layer_checkpoint_dependencies/transformer_encoder_1/_self_attention_layer"]
        block.move("query_dense", "_query_dense")
        file["_layer_checkpoint_dependencies/dropout/seed_generator/vars/0"] = np.zeros(2, "uint32")
    assert same(preset_tensors(copy), preset_tensors(GOLDEN))


def test_a_missing_and_a_foreign_weight_are_named(copy):
    with h5py.File(copy / "model.weights.h5", "r+") as file:
        file["layers/adapter/vars/0"] = np.zeros(2, "float32")
    refused(lambda: preset_tensors(copy), "0 weights are missing", "layers/adapter/vars/0")
    with h5py.File(copy / "model.weights.h5", "r+") as file:
        del file["layers/dense/vars/1"]
    refused(lambda: preset_tensors(copy), "pooled_dense/bias", "layers/adapter/vars/0", "model.weights.h5")


def test_another_models_preset_is_refused_by_name(copy):
    for file, kind in (("task.json", "BertNextSentence"), ("config.json", "RobertaBackbone")):
        raw = json.loads((copy / file).read_text())
        (copy / file).write_text(json.dumps({**raw, "registered_name": f"keras_hub>{kind}"}))
        refused(lambda: read_preset_config(copy), kind, file, error=ConfigError)
        assert is_preset(copy)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dtype": {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}}, "quantisation"),
        ({"dtype": {"class_name": "DTypePolicyMap"}}, "DTypePolicyMap"),
        ({"num_heads": 3}, "num_heads"),
        ({"hidden_dim": None}, "hidden_dim"),
        ({"dropout": "much"}, "dropout"),
    ],
)
def test_a_config_no_bert_can_have_is_refused(copy, changes, words):
    refused(lambda: read_preset_config(edited(copy, "config.json", **changes)), words, error=ConfigError)


@pytest.mark.parametrize(
    "changes", [{"suffix_indicator": "@@"}, {"oov_token": "<unk>"}, {"split": False}, {"lowercase": "yes"}]
)
def test_a_tokeniser_that_cuts_otherwise_is_refused(copy, changes):
    [key] = changes
    refused(lambda: preset_tokenizer(edited(copy, "tokenizer.json", **changes)), key, error=VocabularyError)


def test_reading_imports_neither_keras_nlp_nor_tensorflow_nor_h5py():
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['keras_nlp', 'keras_hub', 'tensorflow', 'h5py', 'keras']))\n"
        "from keras_bert.checkpoints import keras_nlp as k\n"
        "print(len(dict(k.preset_tensors(sys.argv[1]))), k.preset_tokenizer(sys.argv[1])[1]['lowercase'])"
    )
    run = subprocess.run([sys.executable, "-c", code, str(GOLDEN)], capture_output=True, text=True)
    assert run.stdout.split() == ["41", "True"], run.stderr


# Writing


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_written_backbone_computes_the_same_in_keras_hub(tmp_path, dtype):
    backbone = backbone_of(dtype=dtype)
    notes = write_preset(tmp_path / "out", CONFIG, backbone_tensors(backbone), PIECES, True)
    assert notes == []
    again = keras_nlp.models.BertBackbone.from_preset(str(tmp_path / "out"), dtype=dtype)
    features = {name: np.ones((2, 5), "int32") for name in ("token_ids", "segment_ids", "padding_mask")}
    for name, output in backbone(features).items():
        assert np.asarray(output).tobytes() == np.asarray(again(features)[name]).tobytes()
    assert same(preset_tensors(tmp_path / "out"), backbone_tensors(backbone))
    fields, _ = read_preset_config(tmp_path / "out")
    assert BertConfig(**fields) == CONFIG
    pieces, options = preset_tokenizer(tmp_path / "out")
    assert (pieces, options["lowercase"], options["strip_accents"]) == (PIECES, True, True)
    tokenizer = keras_nlp.models.BertTokenizer.from_preset(str(tmp_path / "out"))
    assert tokenizer.get_vocabulary() == PIECES


def test_kernels_with_the_heads_as_one_axis_are_written_too(tmp_path):
    tensors = dict(backbone_tensors(backbone_of()))
    flat = {
        name: array.reshape(-1, 6) if "attention_output/kernel" in name
        else array.reshape(*array.shape[:-2], 6) if name.split("/")[-2] in ("query", "key", "value")
        else array
        for name, array in tensors.items()
    }  # fmt: skip
    assert flat["transformer_layer_0/self_attention_layer/query/kernel"].shape == (6, 6)
    write_preset(tmp_path / "out", CONFIG, flat, PIECES, False)
    assert same(preset_tensors(tmp_path / "out"), tensors)


def test_a_classifier_goes_there_and_back(tmp_path):
    config = CONFIG.replace(classifier_dropout=0.3)
    model = head_of("BertTextClassifier", backbone_of())
    write_preset(tmp_path / "out", config, backbone_tensors(model), PIECES, True)
    again = keras_nlp.models.BertTextClassifier.from_preset(str(tmp_path / "out"))
    assert again.num_classes == 3
    assert same(backbone_tensors(again), backbone_tensors(model))
    assert read_preset_config(tmp_path / "out")[0]["classifier_dropout"] == 0.3


def test_what_keras_hub_computes_otherwise_is_written_on_request_alone(tmp_path):
    model, erf = head_of("BertMaskedLM", backbone_of()), CONFIG.replace(activation="gelu")
    out, tensors = tmp_path / "out", backbone_tensors(model)
    backbone = {name: array for name, array in tensors.items() if not name.startswith("mlm_head")}
    refused(lambda: write_preset(out, erf, backbone, PIECES, True), "erf form", "allow_approximate")
    refused(lambda: write_preset(out, CONFIG, tensors, PIECES, True), "1e-05", "allow_approximate")
    assert not out.exists()
    notes = write_preset(out, erf, tensors, PIECES, True, allow_approximate=True)
    assert len(notes) == 2 and "erf form" in notes[0]
    assert same(preset_tensors(out), tensors)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"activation": "relu"}, "relu"),
        ({"layer_norm_epsilon": 1e-5}, "1e-05"),
        ({"embedding_dim": 4}, "width 4"),
    ],
)
def test_what_keras_hub_cannot_hold_is_refused_by_name(tmp_path, changes, word):
    tensors = backbone_tensors(backbone_of())
    config = CONFIG.replace(**changes)
    refused(
        lambda: write_preset(tmp_path / "out", config, tensors, PIECES, True, allow_approximate=True), word
    )


def test_another_dropout_of_attention_is_noted(tmp_path):
    tensors = backbone_tensors(backbone_of())
    [note] = write_preset(tmp_path / "out", CONFIG.replace(attention_dropout=0.0), tensors, PIECES, True)
    assert "0.0" in note and "0.2" in note


def test_weights_that_do_not_fit_leave_nothing_behind(tmp_path):
    tensors = dict(backbone_tensors(backbone_of()))
    for changed in (
        {name: array for name, array in tensors.items() if name != "pooled_dense/bias"},
        {**tensors, "pooled_dense/bias": np.zeros(5, "float32")},
        {**tensors, "extra": np.zeros(5, "float32")},
        {**tensors, "pooled_dense/kernel": np.zeros(36, "float32")},
    ):
        refused(lambda: write_preset(tmp_path / "out", CONFIG, changed, PIECES, True), "do not fit")  # noqa: B023
    refused(lambda: write_preset(tmp_path / "out", CONFIG, tensors, [*PIECES, "x"], True), "10 pieces")
    assert not (tmp_path / "out").exists()


def test_a_preset_is_replaced_and_anything_else_is_not(tmp_path):
    tensors, out = backbone_tensors(backbone_of()), tmp_path / "out"
    for _ in range(2):
        write_preset(out, CONFIG, tensors, PIECES, True)
    (out / "notes.txt").write_text("mine")
    refused(lambda: write_preset(out, CONFIG, tensors, PIECES, True), "something else", error=OutputError)
    assert (out / "notes.txt").read_text() == "mine"


def test_other_live_models_are_refused():
    refused(lambda: backbone_tensors(object()), "object")
