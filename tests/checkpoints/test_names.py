import numpy as np
import pytest

from keras_bert.checkpoints import names
from keras_bert.checkpoints.dialects import find_dialect, find_prefix
from keras_bert.checkpoints.name_table import DIALECTS as ALL_DIALECTS
from keras_bert.checkpoints.name_table import PREFIXES
from keras_bert.checkpoints.names import from_ours, to_ours
from keras_bert.config import BertConfig

DIALECTS = {"huggingface": "bert.", "google": "bert/"}
Q, K, V = "query", "key", "value"
PARTS = ("encoder", "pooler", "classifier")


def test_every_weight_of_the_network_is_named_exactly_once(config):
    from keras_bert.encoder import bert_encoder

    paths = [variable.path for variable in bert_encoder(config).weights]
    named = [row.ours for row in names.rows(config.num_layers, (names.ENCODER, names.POOLER))]
    assert sorted(named) == sorted(paths)
    assert len(set(named)) == len(named)


@pytest.mark.parametrize(("dialect", "prefix"), DIALECTS.items())
def test_no_source_is_claimed_twice(dialect, prefix):
    sources = [source for row in names.rows(3) for source in row.sources(dialect, prefix)]
    assert len(set(sources)) == len(sources)


@pytest.mark.parametrize(("dialect", "prefix"), [*DIALECTS.items(), ("huggingface", "")])
def test_there_and_back_is_bit_identical(config, weights, dialect, prefix):
    weights = {path: array.astype(np.float16) for path, array in weights.items()}
    there = from_ours(weights, config, prefix, dialect=dialect, parts=PARTS)
    back = to_ours(there.weights, config, prefix, dialect=dialect, parts=PARTS)
    assert not (there.missing or there.unexpected or back.missing or back.unexpected)
    assert list(back.weights) == list(weights)
    for path, array in weights.items():
        assert back.weights[path].dtype == array.dtype
        assert back.weights[path].tobytes() == array.tobytes(), path


def test_the_fused_kernel_is_query_key_value_side_by_side(config, weights):
    theirs = from_ours(weights, config, "bert.", parts=PARTS).weights
    query, key, value = (theirs[f"bert.encoder.layer.1.attention.self.{part}.weight"] for part in (Q, K, V))
    fused = weights["block_1/attention/query_key_value/kernel"]  # (D, 3D)
    np.testing.assert_array_equal(fused, np.concatenate([query.T, key.T, value.T], axis=1))


def test_hugging_face_stores_kernels_turned_and_tables_as_they_are(config, weights):
    theirs = from_ours(weights, config, "bert.", parts=PARTS).weights
    assert theirs["bert.encoder.layer.0.intermediate.dense.weight"].shape == (6, 4)
    assert theirs["bert.embeddings.word_embeddings.weight"].shape == (10, 4)
    assert theirs["classifier.weight"].shape == (3, 4)


def test_google_stores_kernels_like_us_and_the_head_turned(config, weights):
    theirs = from_ours(weights, config, "bert/", dialect="google", parts=PARTS).weights
    assert theirs["bert/encoder/layer_0/intermediate/dense/kernel"].shape == (4, 6)
    assert theirs["output_weights"].shape == (3, 4)


def test_google_names_are_those_of_a_checkpoint_of_google(data_folder):
    import tensorflow as tf

    path = data_folder / "tf1_checkpoint_fixture" / "bert_model.ckpt"
    shapes = dict(tf.train.list_variables(str(path)))
    config = BertConfig(vocabulary_size=15, num_layers=2, num_heads=1, hidden_dim=4, intermediate_dim=16)
    rows = names.rows(config.num_layers, (names.ENCODER, names.POOLER))
    sizes = {"V": 15, "P": 16, "S": 2, "D": 4, "E": 4, "F": 16}
    for row in rows:
        for source in row.sources("google", "bert/"):
            assert shapes[source] == [sizes[letter] for letter in row.source_letters("google")]
    ours = {source for row in rows for source in row.sources("google", "bert/")}
    left = {name for name in shapes if name.startswith("bert/") and not name.endswith(("adam_m", "adam_v"))}
    assert left == ours


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_every_dialect_brings_back_every_weight_it_has_a_name_for(config, dialect):
    rng = np.random.default_rng(0)
    sizes = {**names.sizes_of(config), "C": 3}
    weights = {}
    for row in names.rows_of(config):
        *inputs, last = (sizes[letter] for letter in row.shape)
        if row.sources(dialect, ""):
            weights[row.ours] = rng.normal(size=(*inputs, last * (3 if row.fused else 1))).astype(np.float32)
    there = from_ours(weights, config, PREFIXES[dialect], dialect=dialect)
    shapes = {array.shape for array in there.weights.values()}
    assert not there.unexpected and not there.missing and len(shapes) > 5
    back = to_ours(there.weights, config, PREFIXES[dialect], dialect=dialect)
    assert back.unexpected == [] and list(back.weights) == list(weights)
    for path, array in weights.items():
        assert back.weights[path].tobytes() == array.tobytes(), path
    assert len(weights) >= (35 if dialect != "cyberzhg" else 33)


@pytest.mark.parametrize("dialect", ALL_DIALECTS)
def test_a_dialect_is_known_by_its_own_names_alone(config, dialect):
    prefix = PREFIXES[dialect]
    theirs = [name for row in names.rows_of(config) for name in row.sources(dialect, prefix)]
    assert (find_dialect(theirs), find_prefix(theirs, dialect)) == (dialect, prefix)
    assert [other for other in ALL_DIALECTS if find_prefix(theirs, other) is not None] == [dialect]


def test_our_own_paths_are_no_dialect(config):
    """`embeddings/token_embedding/embeddings` ends in keras-hub's name, which stands bare there."""
    ours = [row.ours for row in names.rows_of(config)]
    assert find_dialect(ours) is None
    assert find_dialect([f"bert/{path}" for path in ours]) is None


def test_kernels_with_an_axis_for_the_heads_are_the_same_numbers(config):
    kernels = {
        "attention/query_key_value/kernel": (4, 2, 2),
        "attention/query_key_value/bias": (2, 2),
        "attention/output/kernel": (2, 2, 4),
    }
    row_of = {row.ours: row for row in names.rows(1)}
    for path, shape in kernels.items():
        row = row_of[f"block_0/{path}"]
        flat = names.flat_shape(row, shape)
        assert flat == tuple(4 for _ in row.shape)


def test_what_is_left_over_is_listed_on_both_sides(config, weights):
    theirs = dict(from_ours(weights, config, "bert.", parts=PARTS).weights)
    del theirs["bert.encoder.layer.1.attention.self.key.bias"]
    theirs["cls.predictions.bias"] = np.zeros(10)
    result = to_ours(theirs, config, "bert.", parts=PARTS)
    assert result.missing == {
        "block_1/attention/query_key_value/bias": ["bert.encoder.layer.1.attention.self.key.bias"]
    }
    assert result.unexpected == ["cls.predictions.bias"]

    del weights["pooler/bias"]
    weights["crf/transitions"] = np.zeros((3, 3))
    result = from_ours(weights, config, "bert.", parts=PARTS)
    assert result.missing == {"bert.pooler.dense.bias": ["pooler/bias"]}
    assert result.unexpected == ["crf/transitions"]


def test_layer_norms_of_old_checkpoints_are_found_under_their_old_names(config, weights):
    theirs = from_ours(weights, config, "bert.", parts=PARTS).weights
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): array
        for name, array in theirs.items()
    }
    assert old.keys() != theirs.keys()
    result = to_ours(old, config, "bert.", parts=PARTS)
    assert not result.missing and not result.unexpected


def test_constant_buffers_are_neither_used_nor_reported(config, weights):
    theirs = {
        **from_ours(weights, config, "", parts=PARTS).weights,
        "embeddings.position_ids": np.arange(8)[None],
    }
    assert to_ours(theirs, config, "", parts=PARTS).unexpected == []


@pytest.mark.parametrize(
    ("tensors", "prefix"),
    [
        (["embeddings.word_embeddings.weight", "pooler.dense.bias"], ""),
        (["cls.predictions.bias", "bert.embeddings.word_embeddings.weight"], "bert."),
        (["transformer.wte.weight"], None),
    ],
)
def test_the_prefix_is_what_stands_before_the_word_embeddings(tensors, prefix):
    assert find_prefix(tensors) == prefix
