"""Faults of the training step that a reader of the code found: what Keras scripts give."""

import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.errors import UsageError
from keras_bert.tasks.classification import Classification
from keras_bert.tasks.multi_label import MultiLabel
from keras_bert.tasks.question_answering import QuestionAnswering
from keras_bert.tasks.regression import Regression
from keras_bert.training import model as module
from keras_bert.training.losses import SparseCrossentropy

IDS = np.random.default_rng(0).integers(0, 30, (8, 6)).astype("int32")
X = {"token_ids": IDS, "segment_ids": 0 * IDS, "padding_mask": 0 * IDS + 1}
Y = np.arange(8) % 2
W = np.linspace(0.1, 3.0, 8).astype("float32")
KERAS_LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def small(task=None, dtype=None):
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(30, 1, 2, 8, 16, dropout=0.0, attention_dropout=0.0, initializer_range=0.5)
    return (task or Classification(["a", "b"], 16)).head(kb.bert_encoder(config, dtype=dtype), config)


SMOOTHED = SparseCrossentropy(label_smoothing=0.1)


@pytest.mark.parametrize("loss", [None, KERAS_LOSS, SMOOTHED], ids=["ours", "Keras'", "smoothed"])
def test_a_column_of_pandas_is_labels_and_weights_as_an_array_is(loss):
    def learnt(y, **more):
        model = small()
        model.compile(keras.optimizers.SGD(0.0), loss=loss, metrics=[])
        return model.fit(X, y, batch_size=8, shuffle=False, verbose=0, **more).history["loss"][0]

    plain = learnt(Y)
    for more in ({"class_weight": {0: 1.0, 1: 5.0}}, {"sample_weight": W}):
        expected = learnt(Y, **more)
        assert abs(expected - plain) > 0.01
        assert learnt(pd.Series(Y), **more) == pytest.approx(expected, rel=1e-6)
    expected = learnt(Y, sample_weight=W)
    assert learnt(pd.Series(Y), sample_weight=pd.Series(W)) == pytest.approx(expected, rel=1e-6)
    assert learnt(Y, sample_weight=W[:, None]) == pytest.approx(expected, rel=1e-6)


def test_weights_of_a_column_reach_r_drop_and_other_tasks():
    for task, y in ((Regression(16), W), (MultiLabel(["a", "b", "c"], 16), np.eye(3)[np.arange(8) % 3])):
        learnt = []
        for weights in (W, W[:, None]):
            model = small(task)
            model.compile(keras.optimizers.SGD(0.0), metrics=[], r_drop=1.0)
            learnt.append(model.train_on_batch(X, y, sample_weight=weights))
        assert learnt[0] == pytest.approx(learnt[1], rel=1e-5)


def test_a_loss_that_is_one_number_stays_that_number():
    def loss(y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2)

    model, y = small(Regression(16)), np.ones((8, 1), "float32")
    model.compile(keras.optimizers.SGD(0.0), loss=loss, metrics=[])
    expected = float(loss(y, model(X)))
    assert model.test_on_batch(X, y) == pytest.approx(expected, rel=1e-5)
    assert model.train_on_batch(X, y, sample_weight=np.ones(8, "float32")) == pytest.approx(
        expected, rel=1e-5
    )


def test_a_class_that_is_ignored_is_no_part_of_the_mean():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-100)
    y = np.where(np.arange(8) < 2, Y, -100)
    model = small()
    model.compile(keras.optimizers.SGD(0.0), loss=loss, metrics=[], accumulation_steps=2)
    expected = float(loss(y, model(X)))
    assert model.test_on_batch(X, y) == pytest.approx(expected, rel=1e-5)
    assert model.train_on_batch(X, y) == pytest.approx(expected, rel=1e-5)


def test_one_batch_that_is_not_finite_stops_only_itself():
    model = small()
    model.compile(kb.AdamW(1e-2))
    with pytest.warns(UserWarning, match="In step 1 of this optimizer nothing was learnt"):
        model.train_on_batch(X, Y, sample_weight=np.full(8, np.inf, "float32"))
    before = model.get_weights()
    model.train_on_batch(X, Y)
    assert any(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_layers_may_be_frozen_after_compile():
    model = small()
    model.compile(kb.AdamW(1e-2))
    [embeddings] = [layer for layer in model._flatten_layers() if layer.name == "embeddings"]
    embeddings.trainable = False
    before = [np.asarray(v) for v in embeddings.weights]
    history = model.fit(X, Y, epochs=2, verbose=0).history["loss"]
    assert history[1] != history[0]
    for a, b in zip(before, embeddings.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_list_of_one_loss_is_accumulated_as_that_loss():
    model = small()
    model.compile(keras.optimizers.SGD(0.0), loss=[KERAS_LOSS], metrics=[], accumulation_steps=4, r_drop=1.0)
    assert model.train_on_batch(X, Y) == pytest.approx(model.test_on_batch(X, Y), rel=1e-5)
    model = small(QuestionAnswering(16))
    y = {"start_logits": Y, "end_logits": Y}
    loss = {"start_logits": KERAS_LOSS, "end_logits": None}
    model.compile(keras.optimizers.SGD(0.0), loss=loss, metrics={}, accumulation_steps=4)
    expected = float(KERAS_LOSS(Y, model(X)["start_logits"]))
    assert model.train_on_batch(X, y) == pytest.approx(expected, rel=1e-5)


def test_weights_of_losses_are_told_apart():
    model = small(QuestionAnswering(16))
    with pytest.raises(UsageError, match="There is no loss of 'start' to weigh"):
        model.compile(loss_weights={"start": 1.0, "end": 0.0})
    y = {"start_logits": Y, "end_logits": Y}
    sums = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.0), loss=sums, loss_weights={"start_logits": 0.0}, metrics={})
    expected = float(KERAS_LOSS(Y, model(X)["end_logits"]))  # one loss for both outputs, one of them off
    assert model.test_on_batch(X, y)[0] == pytest.approx(expected, rel=1e-5)


def test_one_object_given_to_two_outputs_divides_each_by_its_own_total():
    model = small(QuestionAnswering(16))
    shared = SparseCrossentropy("mean_with_sample_weight")
    y = {"start_logits": Y, "end_logits": Y}
    weights = {"start_logits": W, "end_logits": np.ones(8, "float32")}
    model.compile(keras.optimizers.SGD(0.0), loss=dict.fromkeys(y, shared), metrics={})
    outputs = model(X)
    expected = sum(float(shared(y[name], outputs[name], weights[name])) for name in y)
    assert model.test_on_batch(X, y, weights)[0] == pytest.approx(expected, rel=1e-5)


def test_an_optimizer_that_was_compiled_clips_in_a_loop_of_the_users_own():
    model = small()
    model.compile(optimizer := kb.AdamW(1e-3, global_clipnorm=1.0))
    optimizer.build(model.trainable_variables)
    [clipped] = optimizer._clip_gradients([tf.fill([100], 9.0)])
    assert float(tf.norm(clipped)) == pytest.approx(1.0, rel=1e-5)


def step(optimizer):
    model = small()
    before = model.get_weights()
    model.compile(optimizer, metrics=[])
    model.train_on_batch(X, Y)
    return [b - a for a, b in zip(before, model.get_weights(), strict=True)]


@pytest.mark.parametrize("how", [{"global_clipnorm": 1e-3}, {"clipnorm": 1e-4}, {"clipvalue": 1e-5}], ids=str)
def test_what_is_scaled_is_clipped_as_if_it_were_not(how):
    plain, scaled = (
        step(keras.optimizers.SGD(0.1, **how, **more)) for more in ({}, {"loss_scale_factor": 1024.0})
    )
    for a, b in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-9)


def test_a_norm_of_0_clips_nothing():
    for a, b in zip(
        step(keras.optimizers.SGD(0.1)), step(keras.optimizers.SGD(0.1, global_clipnorm=0.0)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_float16_layers_are_trained_with_a_scaled_loss():
    model = small(dtype="mixed_float16")
    model.compile()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model.train_on_batch(X, Y)
    model.compile(auto_scale_loss=False)
    assert not isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


def test_the_second_moment_of_bfloat16_weights_grows():
    model = small(dtype="bfloat16")
    model.compile(kb.AdamW(1e-3))
    model.train_on_batch(X, Y)
    moments = [np.asarray(v, "float32") for v in model.optimizer._velocities if "bfloat16" in str(v.dtype)]
    assert moments and max(moment.max() for moment in moments) > 0


def test_eager_steps_compile_nothing(monkeypatch):
    monkeypatch.setattr(module, "_WORTH_COMPILING", 0)
    model = small()
    model.compile(run_eagerly=True)
    assert not model.compiles_parts
    model.compile(jit_compile="auto")
    assert model.compiles_parts and model.leaves_padding_out


def test_a_mask_may_be_bool():
    ids = keras.Input((None,), dtype="int32")
    config = kb.BertConfig(30, 1, 2, 8, 16)
    encoder = kb.bert_encoder(config)
    inputs = {
        "token_ids": ids,
        "segment_ids": keras.ops.zeros_like(ids),
        "padding_mask": keras.ops.not_equal(ids, 0),
    }
    logits = keras.layers.Dense(2)(encoder(inputs)["pooled_output"])
    model = module.BertModel(ids, logits)
    model.compile(kb.AdamW(1e-3), loss=KERAS_LOSS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(model.train_on_batch(IDS, Y))


def test_a_schedule_whose_warm_up_is_all_of_it_is_read_back():
    schedule = kb.WarmupStableDecay(1e-4, 100, 100)
    assert type(schedule).from_config(schedule.get_config()).get_config() == schedule.get_config()
