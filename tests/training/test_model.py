"""`BertModel` is a Keras model that knows its defaults and comes back from a file as it was."""

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.tasks.classification import Classification
from keras_bert.training.losses import SparseCrossentropy
from keras_bert.training.model import BertModel

IDS = np.random.default_rng(0).integers(0, 30, (4, 6)).astype("int32")
X = {
    "token_ids": IDS,
    "segment_ids": IDS % 2,
    "padding_mask": (np.arange(6) < [[6], [4], [5], [2]]).astype("int32"),
}
Y = np.array([0, 1, 2, 0])


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(30, 1, 2, 8, 16, dropout=0.0, attention_dropout=0.0, initializer_range=0.3)
    return Classification(["a", "b", "c"], max_length=16).head(kb.bert_encoder(config), config)


def arrays(variables):
    return {variable.path: keras.ops.convert_to_numpy(variable) for variable in variables}


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for path, array in ours.items():
        np.testing.assert_array_equal(array, theirs[path], err_msg=path)


def test_compile_without_arguments_takes_the_loss_and_metrics_of_the_task(model):
    model.compile()
    assert isinstance(model.optimizer, kb.AdamW)
    assert isinstance(model.loss, SparseCrossentropy)
    assert set(model.evaluate(X, Y, verbose=0, return_dict=True)) == {"loss", "accuracy"}


def test_what_is_given_to_compile_goes_before_the_defaults(model):
    loss, optimizer = keras.losses.SparseCategoricalCrossentropy(from_logits=True), keras.optimizers.SGD(0.1)
    model.compile(optimizer=optimizer, loss=loss, metrics=[])
    assert model.optimizer is optimizer and model.loss is loss
    assert set(model.evaluate(X, Y, verbose=0, return_dict=True)) == {"loss"}


def test_every_compile_starts_with_fresh_metrics(model):
    model.compile()
    model.evaluate(X, Y, verbose=0)
    first = model.metrics[-1]
    model.compile()
    assert model.metrics[-1] is not first


def test_a_compiled_model_comes_back_bit_by_bit_and_trains_on(model, tmp_path):
    optimizer = kb.AdamW(kb.WarmupLinear(1e-2, 100, 10), not_decayed=["/bias$", "pooler/"])
    model.compile(optimizer=optimizer, run_eagerly=True)  # to trace three training functions takes seconds
    for _ in range(3):
        model.train_on_batch(X, Y)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, BertModel)
    assert isinstance(loaded.optimizer, kb.AdamW) and isinstance(loaded.loss, SparseCrossentropy)
    assert loaded.optimizer.not_decayed == ("/bias$", "pooler/")
    assert_equal(arrays(loaded.variables), arrays(model.variables))
    assert_equal(arrays(loaded.optimizer.variables), arrays(model.optimizer.variables))
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    for one in (model, loaded):
        one.train_on_batch(X, Y)
    assert_equal(arrays(loaded.variables), arrays(model.variables))


def test_a_model_that_was_never_compiled_comes_back_too(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(arrays(loaded.variables), arrays(model.variables))


def test_a_clone_is_a_bert_model(model):
    clone = keras.models.clone_model(model)
    assert isinstance(clone, BertModel)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(X, verbose=0), model.predict(X, verbose=0))


def test_sample_weights_reach_the_loss(model):
    model.compile(metrics=[])
    each = [
        float(model.test_on_batch({k: v[i : i + 1] for k, v in X.items()}, Y[i : i + 1])) for i in range(4)
    ]
    weights = np.array([2.0, 0.0, 0.5, 1.0])
    loss = float(model.test_on_batch(X, Y, sample_weight=weights))
    assert loss == pytest.approx((weights * each).sum() / 4, rel=1e-5)


def test_logits_are_float32_under_mixed_bfloat16():
    config = kb.BertConfig(30, 1, 2, 8, 16)
    encoder = kb.bert_encoder(config, dtype="mixed_bfloat16")
    logits = Classification(["a", "b"], max_length=16).head(encoder, config)(X)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"


def test_losses_in_a_list_are_left_to_keras(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=[loss], metrics=[], run_eagerly=True)
    expected = float(loss(Y, model(X)))
    assert float(model.test_on_batch(X, Y)) == pytest.approx(expected, rel=1e-5)
    assert float(model.train_on_batch(X, Y)) == pytest.approx(expected, rel=1e-5)
