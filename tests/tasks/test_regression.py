"""A score is learnt whatever it is counted in."""

import functools

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.errors import DataError, UsageError
from keras_bert.tasks import task_class
from keras_bert.tasks.regression import Regression
from keras_bert.training.lamb import Lamb

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
CONFIG = kb.BertConfig(len(PIECES), 1, 2, 8, 16, max_sequence_length=16)
TEXTS = ["a b", "c d e", "f", "g h a", "b c", "d", "e f g", "h a b"]
SCORES = [0.5, 2.0, 3.5, 1.0, 4.0, 2.5, 5.0, 0.0]


def rows(scores=SCORES):
    return [{"text": text, "score": score} for text, score in zip(TEXTS, scores, strict=True)]


def located(scores):
    return ((f"row {place}", {"score": score}) for place, score in enumerate(scores))


def answers(optimizer, factor=1.0, offset=0.0, steps=20, **settings):
    """What a model answers before and after it has learnt factor * scores + offset."""
    keras.utils.set_random_seed(3)
    scores = [factor * score + offset for score in SCORES]
    settings = settings or Regression.settings_from_rows(located(scores))
    bert = kb.Bert.from_config(CONFIG, kb.Tokenizer(PIECES), "regression", **settings)
    found = [np.array([answer["score"] for answer in bert.predict(TEXTS)])]
    bert.model.compile(optimizer=optimizer())
    bert.model.fit(bert.dataset(rows(scores), 8, training=True, seed=0).repeat(steps), verbose=0)
    return [*found, np.array([answer["score"] for answer in bert.predict(TEXTS)])]


OPTIMIZERS = {
    "AdamW": lambda: kb.AdamW(1e-2, weight_decay=0.1),
    "AdamW, clipped often": lambda: kb.AdamW(1e-2, global_clipnorm=0.05),
    "Lamb": lambda: Lamb(0.1, weight_decay=0.1),
}


@functools.cache
def plain_answers(optimizer):
    """Those to the scores as they are, which every other unit is held against."""
    return answers(OPTIMIZERS[optimizer])


@pytest.mark.parametrize("units", [(8.0, 0.0), (1.0, 100.0), (1e4, -3e4), (1e-3, 0.0)], ids=str)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_units_of_the_scores_change_nothing_but_the_units(optimizer, units):
    factor, offset = units
    plain = plain_answers(optimizer)
    assert np.abs(plain[1] - plain[0]).max() > 0.1  # something was learnt
    for one, other in zip(plain, answers(OPTIMIZERS[optimizer], factor, offset), strict=True):
        np.testing.assert_allclose((other - offset) / factor, one, rtol=0, atol=2e-3)


def test_a_model_begins_at_the_mean():
    first, _ = answers(OPTIMIZERS["AdamW"], 10.0, 1000.0, steps=1)
    np.testing.assert_allclose(first, 1000 + 10 * np.mean(SCORES), atol=10)


def test_finetune_takes_mean_and_deviation_from_the_rows_and_the_folder_keeps_them(tmp_path):
    settings = Regression.settings_from_rows(located([1.0, 2.0, 3.0, 6.0]))
    assert settings == {"mean": 3.0, "deviation": np.sqrt(3.5)}
    bert = kb.Bert.from_config(CONFIG, kb.Tokenizer(PIECES), "regression", **settings)
    bert.save(tmp_path / "model")
    loaded = kb.load(tmp_path / "model")
    assert loaded.task.settings() == bert.task.settings() == {"max_length": 16, **settings}
    assert loaded.predict(TEXTS) == bert.predict(TEXTS)


@pytest.mark.parametrize("scores", [[0.1] * 7, [0.0] * 3, [1e9]])
def test_scores_that_are_all_the_same_have_no_deviation(scores):
    assert Regression.settings_from_rows(located(scores))["deviation"] == 1.0


def test_parts_of_a_multi_task_count_their_errors_in_deviations():
    parts = {
        "alike": {"name": "regression", "mean": 10.0, "deviation": 4.0},
        "kind": {"name": "multi_label", "labels": ["x"]},
    }
    task = task_class("multi_task")(parts)
    model = task.head(kb.bert_encoder(CONFIG), CONFIG)
    assert model.default_loss_weights == {"alike": 1 / 16, "kind": 1.0}
    assert task.settings()["parts"]["alike"] == parts["alike"]


@pytest.mark.parametrize(
    "given",
    [{"mean": float("nan")}, {"mean": "3"}, {"deviation": 0}, {"deviation": -1.0}, {"deviation": 1e300}],
)
def test_settings_that_cannot_be_are_refused(given):
    [name] = given
    with pytest.raises(UsageError, match=f"The {name} of the scores is"):
        Regression(**given)


def test_a_score_that_is_no_number_is_named_with_its_place():
    with pytest.raises(DataError, match="row 1"):
        Regression.settings_from_rows(located([1.0, "high"]))
