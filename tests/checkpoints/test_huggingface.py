import json

import pytest

from keras_bert.checkpoints.huggingface import config_from, labels_from, read_config, write_config
from keras_bert.config import BertConfig
from keras_bert.errors import ConfigError

FULL = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "vocab_size": 100,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "hidden_size": 8,
    "intermediate_size": 16,
    "hidden_act": "gelu_new",
    "hidden_dropout_prob": 0.2,
    "attention_probs_dropout_prob": 0,
    "classifier_dropout": 0.3,
    "max_position_embeddings": 40,
    "type_vocab_size": 3,
    "layer_norm_eps": 1e-6,
    "initializer_range": 0.01,
    "pad_token_id": 4,
    "position_embedding_type": "absolute",
    "use_cache": True,
}
SMALL = {
    key: FULL[key]
    for key in ("vocab_size", "num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size")
}


def test_every_key_reaches_its_field():
    assert config_from(FULL, "config.json") == BertConfig(
        vocabulary_size=100,
        num_layers=3,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        activation="gelu_approximate",
        dropout=0.2,
        attention_dropout=0,
        classifier_dropout=0.3,
        max_sequence_length=40,
        num_segments=3,
        layer_norm_epsilon=1e-6,
        initializer_range=0.01,
        pad_token_id=4,
    )


def test_what_a_file_does_not_say_is_the_default_of_transformers():
    config = config_from({**SMALL, "pad_token_id": None, "classifier_dropout": None}, "config.json")
    assert (config.activation, config.dropout, config.layer_norm_epsilon) == ("gelu", 0.1, 1e-12)
    assert (config.max_sequence_length, config.num_segments, config.pad_token_id) == (512, 2, 0)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("gelu", "gelu"),
        ("gelu_new", "gelu_approximate"),
        ("gelu_pytorch_tanh", "gelu_approximate"),
        ("gelu_fast", "gelu_approximate"),
        ("relu", "relu"),
        ("silu", "silu"),
        ("tanh", "tanh"),
    ],
)
def test_the_two_gelus_are_told_apart(theirs, ours):
    assert config_from({**SMALL, "hidden_act": theirs}, "config.json").activation == ours


@pytest.mark.parametrize("activation", ["gelu", "gelu_approximate", "relu", "silu", "tanh"])
def test_what_is_written_is_read_back(activation):
    config = BertConfig(
        100, 3, 2, 8, 16, activation, 0.2, 0.0, 0.3, 40, 3, layer_norm_epsilon=1e-6, pad_token_id=4
    )
    assert config_from(write_config(config, "BertModel"), "config.json") == config


def test_a_config_that_did_not_change_is_written_as_it_was_found():
    for way_of_saying in (
        {},
        {"hidden_act": "gelu_fast"},
        {"pad_token_id": None, "_name_or_path": "someone/x"},
    ):
        raw = {**FULL, **way_of_saying}
        config = config_from(raw, "config.json")
        assert write_config(config, "BertForSequenceClassification", raw_config=raw) == raw


def test_what_the_original_leaves_to_defaults_is_written_out():
    raw = write_config(config_from(SMALL, "config.json"), "BertModel", raw_config=SMALL)
    assert (raw["hidden_act"], raw["layer_norm_eps"], raw["type_vocab_size"]) == ("gelu", 1e-12, 2)


def test_a_changed_value_replaces_theirs():
    config = config_from(FULL, "config.json").replace(activation="gelu", dropout=0.0)
    raw = write_config(config, "BertModel", raw_config=FULL)
    assert (raw["hidden_act"], raw["hidden_dropout_prob"], raw["use_cache"]) == ("gelu", 0.0, True)


def test_stale_labels_and_dtypes_of_the_original_are_dropped():
    stale = {"id2label": {"0": "x"}, "label2id": {"x": 0}, "problem_type": "regression", "num_labels": 1,
             "torch_dtype": "float16", "dtype": "float16"}  # fmt: skip
    config = config_from(FULL, "config.json")
    raw = write_config(config, "BertModel", raw_config={**FULL, **stale})
    assert not raw.keys() & stale.keys()
    raw = write_config(
        config, "BertForSequenceClassification", labels=("a", "b"), raw_config={**FULL, **stale}
    )
    assert raw["id2label"] == {"0": "a", "1": "b"} and raw["label2id"] == {"a": 0, "b": 1}
    assert "problem_type" not in raw


def test_labels_are_in_the_order_of_their_ids():
    names = {str(index): f"class {index}" for index in reversed(range(12))}
    assert labels_from({"id2label": names}, "config.json") == [f"class {index}" for index in range(12)]
    assert labels_from({}, "config.json") is None


@pytest.mark.parametrize("names", [{"0": "a", "2": "b"}, {"0": 1}, ["a"], [], "ab", {"zero": "a"}, 3])
def test_labels_that_are_no_list_of_classes_are_refused(names):
    with pytest.raises(ConfigError, match="id2label"):
        labels_from({"id2label": names}, "config.json")


WRONG = {
    "another_model": ({"model_type": "roberta"}, "`model_type` is 'roberta'"),
    "relative_positions": ({"position_embedding_type": "relative_key_query"}, "'relative_key_query'"),
    "decoder": ({"is_decoder": True}, "`is_decoder` is True"),
    "cross_attention": ({"add_cross_attention": True}, "`add_cross_attention` is True"),
    "missing_field": ({"hidden_size": None}, "Missing: hidden_size"),
    "text_for_a_number": ({"hidden_size": "8"}, "`hidden_size` is '8'"),
    "fraction_for_a_count": ({"vocab_size": 100.0}, "`vocab_size` is 100.0"),
    "true_for_a_count": ({"num_hidden_layers": True}, "`num_hidden_layers` is True"),
    "list_for_a_rate": ({"hidden_dropout_prob": [0.1]}, "`hidden_dropout_prob` is [0.1]"),
    "unknown_activation": ({"hidden_act": "quick_gelu"}, "`hidden_act` is 'quick_gelu'"),
    "rate_above_one": ({"hidden_dropout_prob": 1.5}, "`hidden_dropout_prob` must lie in [0, 1)"),
    "heads_that_do_not_divide": ({"num_attention_heads": 3}, "`hidden_size` must be a multiple of"),
    "a_megabyte_of_text": ({"hidden_act": "x" * 2**20}, "`hidden_act` is 'xxx"),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG)
def test_what_is_no_bert_is_refused_by_the_name_of_the_key(tmp_path, changes, said):
    (tmp_path / "config.json").write_text(json.dumps({**FULL, **changes}))
    with pytest.raises(ConfigError) as refusal:
        read_config(tmp_path)
    assert said in str(refusal.value)
    assert str(tmp_path / "config.json") in str(refusal.value)
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"", b'{"a": 1, "a": 2}'])
def test_what_is_no_json_object_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match="JSON"):
        read_config(tmp_path)


def test_a_byte_order_mark_is_no_obstacle(tmp_path):
    (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(FULL).encode())
    config, raw = read_config(tmp_path)
    assert config == config_from(FULL, "") and raw == FULL
