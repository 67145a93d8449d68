"""The heads against plain NumPy, and what must hold for every one of them."""

import keras
import numpy as np
import pytest
from numpy_bert import (
    ACTIVATIONS,
    batch,
    by_path,
    config_with,
    numpy_bert,
    numpy_dense,
    numpy_norm,
    random_encoder,
    randomised,
    run,
)  # fmt: skip

import keras_bert as kb
from keras_bert.errors import UsageError
from keras_bert.heads import HEADS, head_model

TABLE = "embeddings/token_embedding/embeddings"
# Every head and variant once: (head, its settings).
EVERY = [
    ("pretraining", {}),
    ("pretraining", {"mask_positions": True}),
    ("pretraining", {"tied": False}),
    ("masked_lm", {}),
    ("masked_lm", {"tied": False, "mask_positions": True}),
    ("next_sentence", {}),
    ("sequence_classification", {"num_labels": 4}),
    ("sequence_classification", {"num_labels": 1}),
    ("token_classification", {"num_labels": 4}),
    ("question_answering", {}),
    ("multiple_choice", {}),
]
every_head = pytest.mark.parametrize(("head", "settings"), EVERY, ids=str)


def one_block(**changes):
    return config_with(num_layers=1, **changes)


def model_of(head, settings, config, **kwargs):
    # Weights as large as these let the texts differ: smaller ones are lost in the biases.
    return randomised(head_model(kb.bert_encoder(config, **kwargs), config, head, **settings), scale=0.8)


def features_of(head, settings, config, lengths=(17, 5, 1), seed=0):
    """Random features of that head's inputs; three choices a row."""
    features = batch(config, lengths, seed)
    if head == "multiple_choice":
        choices = [batch(config, lengths, seed + i) for i in range(3)]
        features = {name: np.stack([choice[name] for choice in choices], axis=1) for name in features}
    if settings.get("mask_positions"):
        places = np.random.default_rng(seed).integers(0, lengths, (4, len(lengths))).T
        features["mask_positions"] = places.astype("int32")
    return features


def numpy_head(head, settings, weights, config, features):
    """The logits of a head in float64."""
    features = dict(features)
    places = features.pop("mask_positions", None)
    if head == "multiple_choice":
        rows, choices, _ = features["token_ids"].shape
        features = {name: tensor.reshape(rows * choices, -1) for name, tensor in features.items()}
    weights = {"pooler/kernel": np.zeros((config.hidden_dim,) * 2), "pooler/bias": 0.0, **weights}
    sequence, pooled = numpy_bert(weights, config, **features)
    outputs = {}
    if head in ("pretraining", "masked_lm"):
        x = ACTIVATIONS[config.activation](numpy_dense(weights, sequence, "masked_lm/transform"))
        x = numpy_norm(weights, x, "masked_lm/layer_norm", config.layer_norm_epsilon)
        table = weights[TABLE] if settings.get("tied", True) else weights["masked_lm/decoder"]
        outputs["mlm_logits"] = x @ table.T + weights["masked_lm/output_bias"]
        if places is not None:
            outputs["mlm_logits"] = np.take_along_axis(outputs["mlm_logits"], places[..., None], axis=1)
    if head in ("pretraining", "next_sentence"):
        outputs["nsp_logits"] = numpy_dense(weights, pooled, "next_sentence")
    if head == "sequence_classification":
        outputs["logits"] = numpy_dense(weights, pooled, "classifier")
    if head == "token_classification":
        outputs["logits"] = numpy_dense(weights, sequence, "classifier")
    if head == "question_answering":
        both = numpy_dense(weights, sequence, "question_answering")
        outputs.update(start_logits=both[..., 0], end_logits=both[..., 1])
    if head == "multiple_choice":
        outputs["logits"] = numpy_dense(weights, pooled, "classifier").reshape(rows, choices)
    return outputs


def real_of(name, output, features):
    """The part of an output that padding may not touch: all of it, or the real tokens' of a (B, T, ...)."""
    mask = features["padding_mask"]
    per_token = output.shape[:2] == mask.shape and "mask_positions" not in features and name != "nsp_logits"
    return output[mask == 1] if per_token and mask.ndim == 2 else output


def test_every_head_is_tested():
    assert {head for head, _ in EVERY} == set(HEADS)


@every_head
@pytest.mark.parametrize("changes", [{}, {"embedding_dim": 5, "activation": "gelu_approximate"}], ids=str)
def test_a_head_equals_plain_numpy(head, settings, changes):
    config = one_block(**changes)
    model, features = model_of(head, settings, config), features_of(head, settings, config)
    outputs = run(model, features)
    expected = numpy_head(head, settings, by_path(model), config, features)
    assert set(outputs) == set(expected)
    for name, output in outputs.items():
        assert output.shape == expected[name].shape and output.std() > 0.03
        real = [real_of(name, x, features) for x in (output, expected[name])]
        np.testing.assert_allclose(*real, rtol=0, atol=1e-5)


WEIGHTS = {
    "masked_lm": {
        "masked_lm/transform/kernel": (12, 5), "masked_lm/transform/bias": (5,),
        "masked_lm/layer_norm/gamma": (5,), "masked_lm/layer_norm/beta": (5,), "masked_lm/output_bias": (31,),
    },
    "next_sentence": {"next_sentence/kernel": (12, 2), "next_sentence/bias": (2,)},
    "sequence_classification": {"classifier/kernel": (12, 4), "classifier/bias": (4,)},
    "question_answering": {"question_answering/kernel": (12, 2), "question_answering/bias": (2,)},
    "multiple_choice": {"classifier/kernel": (12, 1), "classifier/bias": (1,)},
}  # fmt: skip
WEIGHTS["pretraining"] = WEIGHTS["masked_lm"] | WEIGHTS["next_sentence"]
WEIGHTS["token_classification"] = WEIGHTS["sequence_classification"]


@every_head
def test_the_weights_of_a_head_have_the_names_that_checkpoints_are_translated_to(head, settings):
    config = one_block(embedding_dim=5)
    encoder = kb.bert_encoder(config)
    model = head_model(encoder, config, head, **settings)
    ours = {weight.path: tuple(weight.shape) for weight in model.weights}
    expected = dict(WEIGHTS[head])
    if settings.get("tied") is False:
        expected["masked_lm/decoder"] = (31, 5)
    if settings.get("num_labels") == 1:
        expected = {"classifier/kernel": (12, 1), "classifier/bias": (1,)}
    assert {path: ours[path] for path in ours.keys() - by_path(encoder).keys()} == expected
    shared = {id(weight) for weight in encoder.weights if not weight.path.startswith("pooler")}
    assert shared <= {id(weight) for weight in model.weights}


@every_head
def test_a_saved_model_comes_back_bit_by_bit(head, settings, tmp_path):
    config = one_block(dropout=0.3, classifier_dropout=0.2, embedding_dim=5)
    model, features = model_of(head, settings, config), features_of(head, settings, config)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = run(model, features)
    for name, output in run(loaded, features).items():
        np.testing.assert_array_equal(output, expected[name])
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]


@every_head
def test_padding_does_not_change_the_logits_of_real_tokens(head, settings):
    config = one_block()
    model = model_of(head, settings, config)
    short = features_of(head, settings, config, lengths=(7, 4))
    longer = features_of(head, settings, config, lengths=(17, 4), seed=1)
    for name, tensor in short.items():
        longer[name][..., : tensor.shape[-1]] = tensor
    longer["padding_mask"][..., 7:] = 0
    before, after = run(model, short), run(model, longer)
    for name in before:
        real = [real_of(name, x[name], features) for x, features in ((before, short), (after, longer))]
        np.testing.assert_allclose(*real, rtol=0, atol=1e-5)


@every_head
def test_logits_are_float32_under_mixed_bfloat16_and_come_close(head, settings):
    config = one_block()
    features = features_of(head, settings, config)
    exact = run(model_of(head, settings, config), features)
    mixed = model_of(head, settings, config, dtype="mixed_bfloat16")
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in mixed.weights} == {"float32"}
    # The product with the vocabulary, the dearest of all, is one of the encoder's precision.
    heads = [layer for layer in mixed.layers if layer.name == "masked_lm"]
    assert {layer.compute_dtype for layer in heads} <= {"bfloat16"}
    for name, tensor in mixed(features).items():
        assert keras.backend.standardize_dtype(tensor.dtype) == mixed.output[name].dtype == "float32"
        difference = real_of(name, keras.ops.convert_to_numpy(tensor) - exact[name], features)
        # Some ten roundings to 8 binary digits lie one after the other, summed over 12 entries.
        assert 0.0005 < np.sqrt((difference**2).mean()) < 0.15


@pytest.mark.parametrize("head", ["pretraining", "masked_lm"])
@pytest.mark.parametrize("tied", [True, False])
def test_masked_slots_have_the_logits_of_their_places(head, tied):
    config = one_block()
    encoder = kb.bert_encoder(config)
    everywhere = randomised(head_model(encoder, config, head, tied=tied))
    at_slots = head_model(encoder, config, head, tied=tied, mask_positions=True)
    at_slots.get_layer("masked_lm").set_weights(everywhere.get_layer("masked_lm").get_weights())
    features = features_of(head, {"mask_positions": True}, config)
    places = features["mask_positions"]
    slots = run(at_slots, features)["mlm_logits"]
    full = run(everywhere, {name: features[name] for name in features if name != "mask_positions"})
    expected = np.take_along_axis(full["mlm_logits"], places[..., None], axis=1)
    np.testing.assert_allclose(slots, expected, rtol=0, atol=2e-6)


trains = pytest.mark.skipif(keras.backend.backend() == "numpy", reason="NumPy has no gradients")


def one_step(model, features):
    """How one step of plain gradient descent changes each weight, by path."""
    targets = {"mlm_logits": features["token_ids"][:, ::-1].copy()}
    before = by_path(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(5.0), loss={"mlm_logits": loss}, jit_compile=False)
    model.fit(features, targets, batch_size=3, epochs=1, shuffle=False, verbose=0)
    after = by_path(model)
    return {path: after[path] - before[path] for path in before}


@trains
@pytest.mark.parametrize(("embedding_dim", "reloaded"), [(None, False), (5, True)])
def test_a_tied_table_learns_from_both_of_its_uses(embedding_dim, reloaded, tmp_path):
    # An untied copy splits the gradient: what the lookup teaches, and what the product teaches.
    config = one_block(embedding_dim=embedding_dim)
    features = batch(config, lengths=(9, 5, 3))
    tied, untied = (
        head_model(random_encoder(config), config, "masked_lm", tied=tied) for tied in (True, False)
    )
    table = by_path(untied)[TABLE]
    for model in (tied, untied):
        for weight in model.get_layer("masked_lm").weights:
            size = int(np.prod(weight.shape))
            values = np.random.default_rng(size).normal(scale=0.4, size=weight.shape)
            weight.assign(table if weight.path.endswith("decoder") else values)
    np.testing.assert_allclose(*(run(m, features)["mlm_logits"] for m in (tied, untied)), rtol=0, atol=1e-6)
    if reloaded:
        tied.save(tmp_path / "tied.keras")
        tied = keras.saving.load_model(tmp_path / "tied.keras")
    together, apart = one_step(tied, features), one_step(untied, features)
    lookup, product = apart[TABLE], apart["masked_lm/decoder"]
    assert np.abs(lookup).max() > 1e-3 and np.abs(product).max() > 1e-3
    np.testing.assert_allclose(together[TABLE], lookup + product, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("tied", "moves"), [(True, True), (False, False)])
def test_a_row_of_the_table_moves_the_score_of_its_piece_only_where_it_is_tied(tied, moves):
    config = one_block()
    model, features = model_of("masked_lm", {"tied": tied}, config), batch(config)
    absent = config.vocabulary_size - 1
    features["token_ids"][features["token_ids"] == absent] = 0
    before = run(model, features)["mlm_logits"]
    table = model.get_layer("embeddings").token_embedding.embeddings
    table.assign(keras.ops.convert_to_numpy(table) + np.eye(config.vocabulary_size)[:, [absent]])
    difference = np.abs(run(model, features)["mlm_logits"] - before).max(axis=(0, 1))
    assert (difference[absent] > 0.1) == moves
    assert (difference[:absent] == 0).all()


@pytest.mark.parametrize("changes", [{"classifier_dropout": 0.4}, {"dropout": 0.4}], ids=str)
@pytest.mark.parametrize("head", ["sequence_classification", "token_classification", "multiple_choice"])
def test_classifiers_drop_out_at_the_rate_of_the_heads(head, changes):
    settings = {} if head == "multiple_choice" else {"num_labels": 3}
    model = model_of(head, settings, one_block(**changes))
    assert model.get_layer("classifier").dropout_layer.rate == 0.4


@pytest.mark.parametrize("head", ["pretraining", "masked_lm", "next_sentence", "question_answering"])
def test_the_heads_of_pretraining_and_of_answers_have_no_dropout_of_their_own(head):
    config = one_block(classifier_dropout=0.5)
    model, features = model_of(head, {}, config), batch(config)
    training, inference = run(model, features, training=True), run(model, features)
    for name, output in inference.items():
        np.testing.assert_array_equal(training[name], output)


def test_a_choice_does_not_look_at_its_neighbours():
    config = one_block()
    model = model_of("multiple_choice", {}, config)
    features = features_of("multiple_choice", {}, config)
    alone = run(model, {name: tensor[1:2, 2:] for name, tensor in features.items()})["logits"]
    np.testing.assert_allclose(alone[0, 0], run(model, features)["logits"][1, 2], rtol=0, atol=2e-6)


def test_a_head_fits_an_encoder_that_was_saved_and_loaded(tmp_path):
    config = one_block(embedding_dim=5)
    encoder = random_encoder(config)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    features = features_of("pretraining", {"mask_positions": True}, config)
    models = [head_model(e, config, "pretraining", mask_positions=True) for e in (encoder, loaded)]
    expected, outputs = (run(randomised(model), features) for model in models)
    for name, output in outputs.items():
        np.testing.assert_array_equal(output, expected[name])


@pytest.mark.parametrize("tied", [True, False])
def test_new_weights_are_those_that_bert_begins_with(tied):
    # A cut normal distribution for whatever is multiplied with or looked up; it loses 0.12 of its deviation.
    sizes = {"vocabulary_size": 300, "hidden_dim": 48, "intermediate_dim": 100, "max_sequence_length": 100}
    config = config_with(**sizes, initializer_range=0.07, embedding_dim=40)
    model = head_model(kb.bert_encoder(config), config, "pretraining", tied=tied)
    seen = []
    for path, values in by_path(model).items():
        name = path.rpartition("/")[2]
        if name in ("gamma", "beta", "bias", "output_bias"):
            assert (values == (name == "gamma")).all(), path
            continue
        assert np.abs(values).max() <= 0.14 + 1e-6, path
        few = 5 / np.sqrt(values.size)  # deviations that a mean may lie off
        assert values.std() == pytest.approx(0.07 * 0.8796, rel=few), path
        assert abs(values.mean()) < 0.07 * few, path
        assert np.abs(values).max() > 0.14 * (1 - few), path
        seen.append((path, values.ravel()[:12]))
    assert len({tuple(values) for _, values in seen}) == len(seen)  # none is a copy of another
    names = {path.rpartition("/")[2] for path, _ in seen}
    assert names == {"kernel", "embeddings"} | (set() if tied else {"decoder"})


def test_two_heads_on_one_encoder_share_its_weights():
    config = one_block()
    encoder, features = random_encoder(config), batch(config)
    tagger = randomised(head_model(encoder, config, "token_classification", num_labels=3))
    speller = head_model(encoder, config, "masked_lm")
    before = run(tagger, features)["logits"]
    randomised(speller, scale=0.5)
    assert np.abs(run(tagger, features)["logits"] - before).max() > 0.01
    assert set(kb.attention_scores(encoder).output) == {"block_0"}


@pytest.mark.parametrize(
    ("head", "settings", "message"),
    [
        ("tagging", {}, "head: There is no head 'tagging'.*multiple_choice"),
        ("token_classification", {}, "num_labels: .* is None"),
        ("sequence_classification", {"num_labels": 0}, "num_labels: .* is 0.*1 or more"),
        ("sequence_classification", {"num_labels": True}, "num_labels: .* is True"),
        ("multiple_choice", {"num_labels": 3}, "num_labels: .*'multiple_choice' has no classes"),
        ("next_sentence", {"mask_positions": True}, "mask_positions: .*pretraining, masked_lm"),
        ("question_answering", {"tied": False}, "tied: .*predicts no masked pieces"),
    ],
    ids=str,
)
def test_a_head_that_cannot_be_built_is_refused(head, settings, message):
    config = one_block()
    with pytest.raises(UsageError, match=message):
        head_model(kb.bert_encoder(config), config, head, **settings)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="looks into a TensorFlow graph")
@pytest.mark.parametrize(
    ("head", "settings"),
    [("pretraining", {"mask_positions": True}), ("question_answering", {}), ("multiple_choice", {})],
    ids=str,
)
def test_a_traced_head_has_no_op_that_converters_do_not_know(head, settings):
    import tensorflow as tf

    config = one_block()
    model, features = model_of(head, settings, config), features_of(head, settings, config)
    specs = {name: tf.TensorSpec([None] * x.ndim, "int32", name) for name, x in features.items()}
    function = tf.function(lambda inputs: model(inputs)).get_concrete_function(specs)
    graph = function.graph.as_graph_def()
    ops = {node.op for node in graph.node} | {n.op for f in graph.library.function for n in f.node_def}
    assert "Erf" in ops and "Erfc" not in ops
    expected = run(model, features)
    for name, tensor in function(**{k: tf.constant(v) for k, v in features.items()}).items():
        np.testing.assert_allclose(tensor, expected[name], rtol=0, atol=1e-5)
