"""The encoder against BERT written a second time in plain NumPy, and what must hold around it."""

import math

import keras
import numpy as np
import pytest
from numpy_bert import batch, by_path, config_with, numpy_bert, random_encoder, run

import keras_bert as kb
from keras_bert.layers import Dropout

VARIANTS = [
    {},
    {"activation": "gelu_approximate"},
    {"activation": "relu", "num_heads": 1, "num_layers": 1},
    {"activation": "silu", "num_heads": 12, "intermediate_dim": 5},
    {"activation": "tanh", "layer_norm_epsilon": 1.0},
    {"hidden_dim": 6, "num_heads": 2, "num_layers": 3, "num_segments": 1},
    {"embedding_dim": 5},
    {"embedding_dim": 20},
    {"embedding_dim": 12},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_the_encoder_equals_bert_in_plain_numpy(changes):
    config = config_with(**changes)
    encoder, features = random_encoder(config), batch(config)
    outputs = run(encoder, features)
    sequence_output, pooled_output = numpy_bert(by_path(encoder), config, **features)
    real = features["padding_mask"] == 1
    np.testing.assert_allclose(outputs["sequence_output"][real], sequence_output[real], rtol=0, atol=2e-6)
    np.testing.assert_allclose(outputs["pooled_output"], pooled_output, rtol=0, atol=2e-6)


def test_evenly_spaced_weights_give_the_expected_numbers():
    # The figures are those of `numpy_bert`: they notice a change that is made here and there alike.
    config = config_with()
    encoder = kb.bert_encoder(config)
    for i, weight in enumerate(sorted(encoder.weights, key=lambda weight: weight.path)):
        size = math.prod(weight.shape)
        weight.assign(np.linspace(-0.5, 0.6, size).reshape(weight.shape) * (-1) ** i)
    ids = np.arange(12, dtype="int32").reshape(2, 6)
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]], "int32")
    outputs = run(encoder, {"token_ids": ids, "segment_ids": ids % 3, "padding_mask": mask})
    x = outputs["sequence_output"]
    measured = [x[mask == 1].mean(), x[0, 0, 0], x[0, 5, 11], x[1, 2, 6], outputs["pooled_output"].mean()]
    assert measured == pytest.approx(EXPECTED, abs=2e-6)


EXPECTED = [-0.2640096728, -1.6356230064, 0.1151771508, 0.0505120269, 0.8472412320]


@pytest.mark.parametrize("config", [config_with(**c) for c in VARIANTS], ids=[str(c) for c in VARIANTS])
def test_the_counted_parameters_are_those_of_the_built_model(config):
    assert kb.bert_encoder(config).count_params() == config.num_parameters


def test_the_counted_parameters_of_a_preset_are_those_of_the_built_model():
    config = kb.BertConfig.preset("small", vocabulary_size=100)
    assert kb.bert_encoder(config).count_params() == config.num_parameters


def test_a_table_as_wide_as_the_network_is_not_projected():
    paths = {weight.path for weight in kb.bert_encoder(config_with(embedding_dim=12)).weights}
    assert not any("embedding_projection" in path for path in paths)
    factorised = {weight.path for weight in kb.bert_encoder(config_with(embedding_dim=5)).weights}
    assert factorised - paths == {f"embeddings/embedding_projection/{name}" for name in ("kernel", "bias")}


def test_padding_length_does_not_change_real_tokens():
    config = config_with()
    encoder = random_encoder(config)
    short = batch(config, lengths=(7, 4))
    longer = batch(config, lengths=(17, 4), seed=1)
    for name, tensor in longer.items():
        tensor[:, :7] = short[name]
    longer["padding_mask"][:, 7:] = 0
    before, after = run(encoder, short), run(encoder, longer)
    real = short["padding_mask"] == 1
    np.testing.assert_allclose(
        after["sequence_output"][:, :7][real], before["sequence_output"][real], rtol=0, atol=2e-6
    )
    np.testing.assert_allclose(after["pooled_output"], before["pooled_output"], rtol=0, atol=2e-6)


def test_the_neighbours_in_a_batch_do_not_change_a_row():
    config = config_with()
    encoder, features = random_encoder(config), batch(config, lengths=(17, 17, 17))
    alone = run(encoder, {name: tensor[1:2] for name, tensor in features.items()})
    together = run(encoder, features)
    for name, output in alone.items():
        np.testing.assert_allclose(together[name][1:2], output, rtol=0, atol=2e-6)


def test_the_order_of_the_words_matters():
    config = config_with()
    encoder, features = random_encoder(config), batch(config, lengths=(6,))
    swapped = {name: tensor.copy() for name, tensor in features.items()}
    swapped["token_ids"][0, [2, 3]] = features["token_ids"][0, [3, 2]]
    assert features["token_ids"][0, 2] != features["token_ids"][0, 3]
    difference = run(encoder, swapped)["pooled_output"] - run(encoder, features)["pooled_output"]
    assert np.abs(difference).max() > 1e-3


def test_the_segment_of_a_word_matters():
    config = config_with()
    encoder, features = random_encoder(config), batch(config, lengths=(6,))
    other = {**features, "segment_ids": (features["segment_ids"] + 1) % 3}
    assert np.abs(run(encoder, other)["pooled_output"] - run(encoder, features)["pooled_output"]).max() > 1e-3


def test_an_input_longer_than_the_position_table_is_refused():
    config = config_with()
    with pytest.raises(ValueError, match="length=18, max_sequence_length=17"):
        kb.bert_encoder(config)(batch(config, lengths=(18,)))


def test_shown_attention_is_that_of_every_block():
    # Recomputed from what the blocks receive: block_1's scores need block_0 to have run first.
    config = config_with()
    encoder, features = random_encoder(config), batch(config)
    scores = run(kb.attention_scores(encoder), features)
    assert list(scores) == ["block_0", "block_1"]
    x = encoder.get_layer("embeddings")(features["token_ids"], features["segment_ids"])
    for name, shown in scores.items():
        block = encoder.get_layer(name)
        expected = keras.ops.convert_to_numpy(block.attention.scores(x, features["padding_mask"]))
        np.testing.assert_allclose(shown, expected, rtol=0, atol=2e-6)
        np.testing.assert_allclose(shown.sum(axis=-1), 1.0, rtol=0, atol=1e-6)
        assert shown.max() > 0.3  # not uniform: it has something to show
        assert (shown[np.broadcast_to(features["padding_mask"][:, None, None] == 0, shown.shape)] == 0).all()
        x = block(x, padding_mask=features["padding_mask"])


def test_showing_attention_adds_no_weight():
    encoder = kb.bert_encoder(config_with())
    ours = {id(weight) for weight in encoder.weights}
    assert {id(weight) for weight in kb.attention_scores(encoder).weights} <= ours


def test_epsilon_and_dropout_reach_every_layer():
    config = config_with(dropout=0.3, attention_dropout=0.2)
    layers = list(kb.bert_encoder(config)._flatten_layers())
    epsilons = [layer.epsilon for layer in layers if isinstance(layer, keras.layers.LayerNormalization)]
    rates = [layer.rate for layer in layers if isinstance(layer, Dropout)]
    assert epsilons == [0.01] * (1 + 2 * config.num_layers)
    assert sorted(rates) == [0.2] * config.num_layers + [0.3] * (1 + 2 * config.num_layers)


def test_without_dropout_training_is_inference():
    config = config_with()
    encoder, features = random_encoder(config), batch(config)
    training, inference = run(encoder, features, training=True), run(encoder, features, training=False)
    for name, output in inference.items():
        np.testing.assert_array_equal(training[name], output)


@pytest.mark.parametrize("rate", ["dropout", "attention_dropout"])
def test_either_dropout_alone_changes_training_and_not_inference(rate):
    keras.utils.set_random_seed(0)
    config = config_with(**{rate: 0.3})
    encoder, features = random_encoder(config), batch(config)
    inference = run(encoder, features)["sequence_output"]
    plain = run(random_encoder(config_with()), features)["sequence_output"]
    np.testing.assert_array_equal(inference, plain)
    first, second = (run(encoder, features, training=True)["sequence_output"] for _ in range(2))
    assert np.abs(first - inference).max() > 0.05
    assert np.abs(first - second).max() > 0.05


def test_mixed_bfloat16_keeps_float32_weights_and_comes_close():
    config = config_with()
    features = batch(config)
    exact, mixed = random_encoder(config), random_encoder(config, dtype="mixed_bfloat16")
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in mixed.weights} == {"float32"}
    dtypes = {keras.backend.standardize_dtype(tensor.dtype) for tensor in mixed(features).values()}
    assert dtypes == {"bfloat16"}
    real = features["padding_mask"] == 1
    difference = run(mixed, features)["sequence_output"][real] - run(exact, features)["sequence_output"][real]
    # bfloat16 keeps 8 binary digits: one rounding of a value near 1 errs by up to 2**-9, about 0.002, and
    # some ten roundings lie one after the other. Less than 0.0005 would be float32 under another name.
    assert 0.0005 < np.sqrt((difference**2).mean()) < 10 * 2**-9


def test_a_saved_encoder_comes_back_bit_by_bit(tmp_path):
    config = config_with(activation="gelu_approximate", dropout=0.3, attention_dropout=0.2, embedding_dim=5)
    encoder, features = random_encoder(config), batch(config)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    expected = run(encoder, features)
    for name, output in run(loaded, features).items():
        np.testing.assert_array_equal(output, expected[name])
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in encoder.weights]
    for name in ("embeddings", "block_0", "block_1", "pooler"):
        assert loaded.get_layer(name).get_config() == encoder.get_layer(name).get_config()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="looks into a TensorFlow graph")
def test_the_traced_encoder_has_no_op_that_converters_do_not_know():
    import tensorflow as tf

    from keras_bert import features

    encoder = kb.bert_encoder(config_with())
    specs = features.tensor_specs(*features.ENCODER_FEATURES)
    graph = tf.function(lambda inputs: encoder(inputs)).get_concrete_function(specs).graph.as_graph_def()
    ops = {node.op for node in graph.node} | {n.op for f in graph.library.function for n in f.node_def}
    assert "Erf" in ops and "Erfc" not in ops


def test_an_encoder_accepts_batches_of_any_size_and_length():
    config = config_with()
    encoder = kb.bert_encoder(config)
    for lengths in [(1,), (3, 3), (17, 2, 9, 4)]:
        outputs = encoder(batch(config, lengths))
        assert outputs["sequence_output"].shape == (len(lengths), max(lengths), 12)
        assert outputs["pooled_output"].shape == (len(lengths), 12)
