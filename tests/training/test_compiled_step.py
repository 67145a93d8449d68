"""A step whose parts XLA compiles ends at the weights of a step without it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_classifier import ROWS, model

import keras_bert as kb
from keras_bert.layers import compiled
from keras_bert.training import model as module

OPTIMIZERS = {
    "AdamW": lambda: kb.AdamW(kb.WarmupLinear(0.01, total_steps=9, warmup_steps=2), layer_decay=0.9),
    "AdamW with an average": lambda: kb.AdamW(0.01, use_ema=True, ema_momentum=0.9),
    "AMSGrad": lambda: kb.AdamW(0.01, amsgrad=True),
    "Lamb": lambda: kb.Lamb(0.01),
    "SGD": lambda: keras.optimizers.SGD(0.1, momentum=0.9, clipnorm=0.5),
}


def trained(monkeypatch, smallest, optimizer, dropout=0.0, steps=3, **settings):
    """The model, its weights and those of its optimizer after some steps."""
    monkeypatch.setattr(module, "_WORTH_COMPILING", smallest)
    bert = model(dropout)
    bert.model.compile(OPTIMIZERS[optimizer](), **settings)
    batches = bert.dataset(ROWS, 2).repeat()
    history = bert.model.fit(batches, steps_per_epoch=steps, verbose=0)
    return bert.model, bert.model.get_weights(), bert.model.optimizer.variables, history.history


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_ends_at_the_same_weights(optimizer, monkeypatch):
    plain, compiled = (trained(monkeypatch, size, optimizer) for size in (10**9, 0))
    assert (plain[0].compiles_parts, compiled[0].compiles_parts) == (False, True)
    for weight, a, b in zip(plain[0].weights, plain[1], compiled[1], strict=True):
        if weight.path.endswith("query_key_value/bias"):
            a, b = (
                np.delete(a, slice(8, 16)),
                np.delete(b, slice(8, 16)),
            )  # the keys': rounding has a direction
        np.testing.assert_allclose(b, a, rtol=0, atol=2e-5, err_msg=weight.path)
    for a, b in zip(plain[2], compiled[2], strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != (24,):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-5 * max(np.abs(a).max(), 1))
    assert plain[3]["loss"] == pytest.approx(compiled[3]["loss"], abs=1e-5)


MORE = [{"r_drop": 1.0}, {"adversarial": 0.5}, {"accumulation_steps": 2}, {"steps_per_execution": 2}]


@pytest.mark.parametrize("more", MORE, ids=str)
def test_what_else_a_step_may_hold(more, monkeypatch):
    plain, compiled = (trained(monkeypatch, size, "SGD", steps=4, **more) for size in (10**9, 0))
    for a, b in zip(plain[1], compiled[1], strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=2e-5)


def test_with_dropout_a_run_is_repeated_to_the_last_bit(monkeypatch):
    first, second = (trained(monkeypatch, 0, "AdamW", dropout=0.3) for _ in range(2))
    for a, b in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(a, b)
    other = trained(monkeypatch, 0, "AdamW")[1]
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(first[1], other, strict=True))


def test_the_graph_of_the_step_holds_compiled_parts_and_that_of_a_small_model_none(monkeypatch):
    for smallest, expected in ((10**9, False), (0, True)):
        built = trained(monkeypatch, smallest, "AdamW")[0]
        [batch] = model().dataset(ROWS, 4).take(1)
        graph = tf.function(built.train_step).get_concrete_function(batch).graph.as_graph_def()
        assert ("_XlaMustCompile" in str(graph)) is expected


@pytest.mark.parametrize("setting", [{"jit_compile": True}, {"dropout_by_record": True}], ids=str)
def test_what_has_ways_of_its_own_is_not_compiled_in_parts(setting, monkeypatch):
    monkeypatch.setattr(module, "_WORTH_COMPILING", 0)
    bert = model()
    bert.model.compile(**setting)
    assert not bert.model.compiles_parts


def test_without_xla_a_step_runs_as_it_is(monkeypatch):
    def refused(function):
        def call(*_):
            raise tf.errors.UnimplementedError(None, None, "XLA is not built in")

        return call

    monkeypatch.setattr(module, "_WORTH_COMPILING", 0)
    monkeypatch.setattr(compiled, "_xla", refused)
    compiled.works.cache_clear()
    try:
        bert = model()
        bert.model.compile()
        assert not bert.model.compiles_parts
    finally:
        compiled.works.cache_clear()


def test_under_a_strategy_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(module, "_WORTH_COMPILING", 0)
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        bert = model()
        bert.model.compile()
    assert not bert.model.compiles_parts


def test_what_is_not_finite_changes_no_weight(monkeypatch):
    monkeypatch.setattr(module, "_WORTH_COMPILING", 0)
    bert = model()
    bert.model.compile(kb.AdamW(0.1))
    x, y = next(iter(bert.dataset(ROWS, 2)))[:2]
    bert.model.train_on_batch(x, y)
    [kernel] = [w for w in bert.model.trainable_variables if w.path.endswith("block_1/output/kernel")]
    kernel.assign(np.full(kernel.shape, 3e38))  # finite, what it makes is not
    before = bert.model.get_weights()
    with pytest.warns(UserWarning, match="In step 2 of this optimizer nothing was learnt"):
        bert.model.train_on_batch(x, y)
    for a, b in zip(before, bert.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(bert.model._sentinel.step) == 1
