"""R-Drop, adversarial embeddings and smoothed labels against what their papers say, computed by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.errors import UsageError
from keras_bert.layers.embeddings import embeddings_seen_by
from keras_bert.tasks.classification import Classification
from keras_bert.training.crf_loss import CrfLoss
from keras_bert.training.losses import SparseCrossentropy
from keras_bert.training.regularisers import disagreement

IDS = np.random.default_rng(0).integers(5, 30, (6, 7)).astype("int32")
FEATURES = {"token_ids": IDS, "segment_ids": 0 * IDS, "padding_mask": 0 * IDS + 1}
LABELS = np.array([0, 1, 2, 0, 1, 2], "int32")


def model(dropout=0.0, **compiling):
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(
        30, 2, 2, 16, 32, max_sequence_length=8, dropout=dropout, attention_dropout=dropout,
        initializer_range=0.2,
    )  # fmt: skip
    built = Classification(["a", "b", "c"], max_length=8).head(kb.bert_encoder(config), config)
    built.compile(optimizer=keras.optimizers.SGD(0.1), **compiling)
    return built


def step(built):
    """(loss, weights) after one step."""
    loss = built.train_on_batch(FEATURES, LABELS, return_dict=True)["loss"]
    return float(loss), [np.asarray(weight).copy() for weight in built.trainable_variables]


def test_without_dropout_r_drop_changes_nothing():
    plain, with_r_drop = step(model()), step(model(r_drop=4.0))
    assert with_r_drop[0] == pytest.approx(plain[0], rel=1e-6)
    for a, b in zip(plain[1], with_r_drop[1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_r_drop_adds_the_divergence_of_two_passes(monkeypatch):
    built, seen = model(dropout=0.3, r_drop=2.0), []
    call = type(built).__call__

    def watched(self, *args, **kwargs):
        outputs = call(self, *args, **kwargs)
        if kwargs.get("training"):
            seen.append(outputs.numpy())
        return outputs

    built.run_eagerly = True
    monkeypatch.setattr(type(built), "__call__", watched)
    loss, _ = step(built)
    first, second = (row - np.log(np.exp(row).sum(1, keepdims=True)) for row in seen[-2:])
    assert np.abs(first - second).max() > 0.01
    crossentropy = -np.mean(
        [(a[i, y] + b[i, y]) / 2 for a, b in [(first, second)] for i, y in enumerate(LABELS)]
    )
    p, q = np.exp(first), np.exp(second)
    divergence = np.mean([(p * (first - second)).sum(1) + (q * (second - first)).sum(1)]) / 2
    assert loss == pytest.approx(crossentropy + 2.0 * divergence, rel=1e-4)


def test_the_divergence_of_a_crf_is_that_of_its_units():
    rng, weights = np.random.default_rng(0), np.array([[1, 0, 2, 0], [0.5, 1, 1, 0]], "float32")
    first, second = (rng.normal(size=(2, 4 + 3 + 2, 3)).astype("float32") for _ in range(2))
    tags = np.zeros((2, 4), "int32")

    class OneLoss:
        def losses_of(self, y, sample_weight):
            return [(CrfLoss(), 1.0, None, y, sample_weight)]

    p, q = (np.exp(x[:, :4]) / np.exp(x[:, :4]).sum(-1, keepdims=True) for x in (first, second))
    expected = (weights * ((p - q) * np.log(p / q)).sum(-1) / 2).sum() / weights.sum()
    found = disagreement(OneLoss(), tags, first, second, weights)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_adversarial_training_adds_the_gradients_at_the_pushed_embeddings():
    built = model()
    variables = built.trainable_variables
    pushed = {}

    def loss_at(push):
        with embeddings_seen_by(lambda embedded: embedded + push):
            return SparseCrossentropy()(LABELS, built(FEATURES, training=True))

    zero = tf.zeros((6, 7, 16))
    with tf.GradientTape() as tape:
        tape.watch(zero)
        loss = loss_at(zero)
    gradient = tape.gradient(loss, zero).numpy()
    for row in range(6):
        pushed[row] = 0.7 * gradient[row] / np.linalg.norm(gradient[row])
    push = tf.constant(np.stack([pushed[row] for row in range(6)]))
    expected = []
    for shift in (zero, push):
        with tf.GradientTape() as tape:
            loss = loss_at(shift)
        expected.append([tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, variables)])
    before = [np.asarray(variable).copy() for variable in variables]
    built.compile(optimizer=keras.optimizers.SGD(0.1), adversarial=0.7)
    _, after = step(built)
    for old, new, clean, attacked in zip(before, after, *expected, strict=True):
        np.testing.assert_allclose(old - new, 0.1 * (clean + attacked), atol=2e-5)
    assert float(loss_at(push)) > float(loss_at(zero))


def test_smoothed_labels_are_a_mean_of_the_target_and_all_classes():
    logits = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    ours = SparseCrossentropy(label_smoothing=0.1)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    expected = theirs(np.eye(3, dtype="float32")[LABELS], logits)
    assert float(ours(LABELS, logits)) == pytest.approx(float(expected), rel=1e-6)
    assert SparseCrossentropy.from_config(ours.get_config()).label_smoothing == 0.1


@pytest.mark.parametrize("settings", [{"r_drop": -1}, {"adversarial": "much"}, {"r_drop": True}])
def test_values_that_cannot_be_are_refused(settings):
    with pytest.raises(UsageError):
        model(**settings)


def test_r_drop_needs_masks_that_differ():
    with pytest.raises(UsageError, match="same masks"):
        model(r_drop=1.0, dropout_by_record=True)


@pytest.mark.parametrize("settings", [{"r_drop": 1.0}, {"adversarial": 0.5}])
def test_a_batch_in_parts_learns_what_the_whole_learns(settings):
    whole, parts = step(model(**settings)), step(model(accumulation_steps=3, **settings))
    for a, b in zip(whole[1], parts[1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
