"""`BertConfig`: the published sizes, and what no BERT can be."""

import json

import pytest

from keras_bert.config import PRESETS, BertConfig
from keras_bert.errors import ConfigError

# Encoder and pooler of the published checkpoints, counted from their weight files.
PUBLISHED_PARAMETERS = {
    "tiny": 4_385_920,
    "small": 28_763_648,
    "medium": 41_373_184,
    "base": 109_482_240,
    "base_chinese": 102_267_648,
    "base_multilingual": 177_853_440,
    "large": 335_141_888,
}


def small(**changes):
    shape = {"vocabulary_size": 30, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16}
    return BertConfig(**{**shape, **changes})


@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS)
def test_a_preset_has_the_parameters_of_the_published_model(name):
    assert BertConfig.preset(name).num_parameters == PUBLISHED_PARAMETERS[name]


def test_factorised_embeddings_are_counted_with_their_projection():
    # ALBERT-base shares one block among its layers, so it has the parameters of this BERT: encoder and
    # pooler of albert-base-v2, its published count.
    config = BertConfig(30_000, 1, 12, 768, 3072, embedding_dim=128)
    assert config.num_parameters == 11_683_584


@pytest.mark.parametrize(("embedding_dim", "width"), [(None, 8), (8, 8), (4, 4), (16, 16)])
def test_the_tables_are_as_wide_as_the_network_unless_told_otherwise(embedding_dim, width):
    assert small(embedding_dim=embedding_dim).embedding_width == width


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_heads_of_width_64(name):
    assert BertConfig.preset(name).head_dim == 64


def test_a_preset_can_be_changed():
    config = BertConfig.preset("mini", dropout=0.0, vocabulary_size=100)
    assert (config.dropout, config.vocabulary_size, config.hidden_dim) == (0.0, 100, 256)


def test_an_unknown_preset_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigError, match="no preset 'huge'.*tiny, mini, small"):
        BertConfig.preset("huge")


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_layers": 0},
        {"vocabulary_size": -1},
        {"hidden_dim": 8.0},
        {"intermediate_dim": "16"},
        {"num_segments": True},
        {"max_sequence_length": None},
        {"num_heads": 3},
        {"activation": "swish"},
        {"dropout": 1.0},
        {"attention_dropout": -0.1},
        {"classifier_dropout": float("nan")},
        {"dropout": None},
        {"layer_norm_epsilon": 0.0},
        {"layer_norm_epsilon": float("inf")},
        {"initializer_range": "0.02"},
        {"pad_token_id": 30},
        {"pad_token_id": -1},
        {"pad_token_id": None},
        {"embedding_dim": 0},
        {"embedding_dim": 4.0},
        {"embedding_dim": True},
    ],
    ids=str,
)
def test_a_value_that_no_bert_can_have_is_refused_by_name(wrong):
    [(name, value)] = wrong.items()
    with pytest.raises(ConfigError) as refusal:
        small(**wrong)
    assert f"{name}={value!r}" in str(refusal.value)


def test_a_change_is_checked_again():
    with pytest.raises(ConfigError, match="hidden_dim=8, num_heads=5"):
        small().replace(num_heads=5)


def test_a_config_cannot_be_changed_in_place():
    with pytest.raises(AttributeError):
        small().num_layers = 2


def test_a_config_survives_json():
    config = small(classifier_dropout=0.3, activation="gelu_approximate", pad_token_id=4, embedding_dim=4)
    assert BertConfig(**json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(("classifier_dropout", "expected"), [(None, 0.2), (0.0, 0.0), (0.4, 0.4)])
def test_heads_drop_out_as_the_encoder_does_unless_told_otherwise(classifier_dropout, expected):
    assert small(dropout=0.2, classifier_dropout=classifier_dropout).head_dropout == expected
