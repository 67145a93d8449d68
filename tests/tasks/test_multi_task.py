"""Several tasks on one encoder: what a batch teaches, what each part answers, what is saved."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.data.mixing import mixed, shares
from keras_bert.errors import UsageError

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"play turn on off the song light radio please".split(),
]
INTENTS = [
    {"text": "play the song please", "label": "play"},
    {"text": "turn on the light", "label": "switch"},
    {"text": "turn off the radio", "label": "switch"},
]
SLOTS = [
    {"text": "play the song please", "spans": [{"start": 9, "end": 13, "label": "thing"}]},
    {"text": "turn on the light", "spans": [{"start": 12, "end": 17, "label": "thing"}]},
    {"text": "turn off the radio", "spans": [{"start": 13, "end": 18, "label": "thing"}]},
]
PARTS = {
    "intent": {"name": "classification", "labels": ["play", "switch"]},
    "slots": {"name": "tagging", "labels": ["thing"], "crf": True},
}
SOURCES = {"intent": INTENTS, "slots": SLOTS}


@pytest.fixture
def bert():
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(
        len(PIECES), 2, 2, 16, 32, max_sequence_length=16, dropout=0.0, attention_dropout=0.0,
        initializer_range=0.2,
    )  # fmt: skip
    return kb.Bert.from_config(config, kb.Tokenizer(PIECES), "multi_task", parts=PARTS, max_length=16)


def test_a_batch_teaches_one_part_alone(bert):
    seen = set()
    for _, targets, weights in bert.dataset(SOURCES, 2, training=True):
        assert targets.keys() == weights.keys() == PARTS.keys()
        taught = [name for name, weight in weights.items() if weight.numpy().any()]
        assert len(taught) == 1
        seen.update(taught)
        [other] = PARTS.keys() - set(taught)
        assert not targets[other].numpy().any()
    assert seen == PARTS.keys()


def test_a_batch_of_one_part_leaves_the_heads_of_others_alone(bert):
    bert.model.compile(optimizer=kb.AdamW(1e-2, weight_decay=0.0))
    before = bert.weights()
    batch = next(b for b in bert.dataset(SOURCES, 3, training=True) if b[2]["intent"].numpy().any())
    bert.model.train_on_batch(*batch)
    changed = {path for path, array in bert.weights().items() if not np.array_equal(array, before[path])}
    assert any(path.startswith("intent/") for path in changed)
    assert not any(path.startswith("slots/") for path in changed)


def trained(bert):
    bert.model.compile(optimizer=kb.AdamW(3e-3))
    many = {name: 20 * rows for name, rows in SOURCES.items()}  # few epochs: each begins the pipeline anew
    bert.model.fit(bert.dataset(many, 3, training=True), epochs=3, verbose=0)
    return bert


def test_both_parts_are_learnt_saved_and_served(bert, tmp_path):
    trained(bert)
    scores = bert.evaluate(SOURCES)
    assert (
        scores["intent"]["accuracy"] == 1.0 and scores["slots"]["f1"] == 1.0 and scores["mean_score"] == 1.0
    )
    [row] = bert.predict(["turn on the radio"])
    assert row["intent"]["label"] == "switch" and row["slots"]["spans"][0]["text"] == "radio"
    bert.save(tmp_path / "model")
    loaded = kb.load(tmp_path / "model")
    assert loaded.predict(["turn on the radio"]) == [row] and loaded.task.settings() == bert.task.settings()
    assert loaded.part("intent").predict(["turn on the radio"]) == [row["intent"]]


def test_every_part_has_its_heads_weights_under_its_own_name(bert):
    paths = bert.weights().keys()
    assert {"intent/classifier/kernel", "slots/classifier/kernel", "slots/crf/transitions"} <= set(paths)
    assert len(paths) == len(bert.model.weights)


def test_a_pair_is_answered_by_the_parts_that_read_pairs(bert):
    answer = bert.serve(["play the song"], ["please"])
    assert "intent_label" in answer and "slots_start" not in answer


def test_a_part_has_a_name_and_a_task_that_can_be_one():
    config = kb.BertConfig(len(PIECES), 1, 2, 8, 16)
    for parts in (
        {},
        {"a b": PARTS["intent"]},
        {"qa": {"name": "question_answering"}},
        {"x": {"name": "nothing"}},
    ):
        with pytest.raises(UsageError):
            kb.Bert.from_config(config, kb.Tokenizer(PIECES), "multi_task", parts=parts, max_length=16)


def test_data_that_lack_a_part_are_refused(bert):
    with pytest.raises(UsageError, match="one source for every part"):
        bert.dataset({"intent": INTENTS}, 2, training=True)


def test_the_temperature_evens_the_shares_out():
    sizes = {"large": 900, "small": 100}
    assert shares(sizes) == pytest.approx({"large": 0.9, "small": 0.1})
    assert shares(sizes, 2.0) == pytest.approx({"large": 0.75, "small": 0.25})
    assert shares(sizes, 1e9)["small"] == pytest.approx(0.5)
    with pytest.raises(UsageError, match="temperature"):
        shares(sizes, 0.5)


@pytest.mark.parametrize(("temperature", "counts"), [(1.0, {0: 9, 1: 1}), (1e9, {0: 5, 1: 5})])
def test_an_epoch_has_as_many_batches_as_all_tasks_in_the_shares_of_the_temperature(temperature, counts):
    datasets = {
        "large": tf.data.Dataset.from_tensors(0).repeat(9), "small": tf.data.Dataset.from_tensors(1),
    }  # fmt: skip
    stream = mixed(datasets, temperature, seed=0)
    first, second = list(stream.as_numpy_iterator()), list(stream.as_numpy_iterator())
    assert collections.Counter(first) == collections.Counter(second) == counts and stream.cardinality() == 10
    assert first != second or temperature == 1.0
