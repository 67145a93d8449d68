"""Classification: which labels there are, what an answer says, how it is scored."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.errors import DataError
from keras_bert.tasks.classification import Classification


@pytest.fixture
def task():
    return Classification(["bad", "fair", "good"], max_length=16)


def test_settings_rebuild_the_task(task):
    rebuilt = Classification(**task.settings())
    assert rebuilt.settings() == task.settings() == {"max_length": 16, "labels": ["bad", "fair", "good"]}


@pytest.mark.parametrize("labels", [[], ["only"], ["a", "b", "a"], "ab"])
def test_labels_that_are_no_classes_are_refused(labels):
    with pytest.raises(DataError, match="^labels: "):
        Classification(labels)


@pytest.mark.parametrize("max_length", [0, -1, 2, "128", 64.0, True])
def test_a_length_without_room_for_a_text_is_refused(max_length):
    with pytest.raises(ValueError, match="max_length"):
        Classification(["a", "b"], max_length=max_length)


def found_in(labels):
    return Classification.settings_from_rows((f"row {i}", {"label": x}) for i, x in enumerate(labels))[
        "labels"
    ]


def test_the_labels_of_the_rows_are_found_in_alphabetical_order():
    assert found_in(["pos", "neg", "pos", " mixed "]) == ["mixed", "neg", "pos"]


def test_labels_that_are_numbers_keep_the_order_of_numbers():
    assert found_in(["10", "9", "-1", 2]) == ["-1", "2", "9", "10"]
    assert found_in([1.0, "1", np.float64(2.0)]) == ["1", "2"]


@pytest.mark.parametrize("label", [None, "", "  "])
def test_a_row_without_a_label_is_refused_with_its_place(task, label):
    with pytest.raises(DataError, match="^train.tsv:7: The row has no label"):
        task.check_row({"text": "x", "label": label}, "train.tsv:7")


def test_an_unknown_label_is_refused_with_its_place_and_the_labels_there_are(task):
    with pytest.raises(DataError, match="^train.tsv:7: Unknown label 'great'.*'bad', 'fair', 'good'"):
        task.check_row({"text": "x", "label": "great"}, "train.tsv:7")


@pytest.mark.parametrize("label", [1.5, True, ["bad"]])
def test_a_label_that_is_no_name_is_refused(task, label):
    with pytest.raises(DataError, match="^row 3: The label is"):
        task.check_row({"text": "x", "label": label}, "row 3")


def test_a_checked_row_has_the_number_of_its_class_and_its_weight(task):
    assert task.check_row({"text": "x", "label": " fair "}, "")["label"] == 1
    assert task.check_row({"text": "x", "label": "bad"}, "")["sample_weight"] == 1.0
    assert task.check_row({"text": "x", "label": "bad", "sample_weight": "0.5"}, "")["sample_weight"] == 0.5


@pytest.mark.parametrize("weight", [-1, "nan", float("inf"), "heavy"])
def test_a_weight_that_cannot_weigh_is_refused_with_its_place(task, weight):
    with pytest.raises(DataError, match="^row 3: The sample weight is"):
        task.check_row({"text": "x", "label": "bad", "sample_weight": weight}, "row 3")


def test_an_answer_names_the_likeliest_class(task):
    logits = np.array([[0.0, np.log(2.0), 0.0], [3.0, 1.0, -2.0]], "float32")
    answer = {name: tensor.numpy() for name, tensor in task.answer(tf.constant(logits), {}).items()}
    first, second = task.rows(answer)
    assert first["label"] == "fair" and second["label"] == "bad"
    assert first["scores"] == pytest.approx([0.25, 0.5, 0.25])
    assert first["score"] == max(first["scores"]) and sum(second["scores"]) == pytest.approx(1.0)


def test_labels_in_any_script_come_back_as_text():
    task = Classification(["好", "bad ç"], max_length=8)
    answer = {name: tensor.numpy() for name, tensor in task.answer(tf.constant([[1.0, 0.0]]), {}).items()}
    assert task.rows(answer)[0]["label"] == "好"


def test_scores_compare_answers_with_the_gold_labels(task):
    gold = [{"label": i} for i in (0, 0, 1, 2)]
    answers = [{"label": name} for name in ("bad", "fair", "fair", "good")]
    scores = task.scores(gold, answers)
    assert scores["accuracy"] == 0.75
    assert scores["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert task.main_score in scores


def head_of(**changes):
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(
        30, 1, 2, 8, 16, **{"dropout": 0.0, "attention_dropout": 0.0, "initializer_range": 0.5, **changes}
    )
    return Classification(["a", "b"], max_length=16).head(kb.bert_encoder(config), config)


IDS = np.arange(24, dtype="int32").reshape(4, 6)
FEATURES = {"token_ids": IDS, "segment_ids": 0 * IDS, "padding_mask": 0 * IDS + 1}


def change_in_training(model):
    return np.abs(model(FEATURES, training=True).numpy() - model(FEATURES, training=False).numpy()).max()


def test_classifier_dropout_alone_changes_training():
    assert change_in_training(head_of(classifier_dropout=0.5)) > 0.01


def test_classifier_dropout_can_be_switched_off_alone():
    assert change_in_training(head_of(classifier_dropout=0.0)) == 0.0
    model = head_of(dropout=0.3, classifier_dropout=0.0)
    assert model.get_layer("classifier").dropout == 0.0 and change_in_training(model) > 0.01


def test_the_head_drops_out_as_the_encoder_does_by_default():
    assert head_of(dropout=0.3).get_layer("classifier").dropout == 0.3


def test_the_head_is_named_as_the_checkpoint_names_it():
    paths = {weight.path for weight in head_of().weights}
    assert {path for path in paths if path.startswith("classifier")} == {
        "classifier/kernel",
        "classifier/bias",
    }


def test_a_new_head_begins_as_its_width_asks_not_as_the_encoder():
    config = kb.BertConfig(30, 1, 2, 64, 16, initializer_range=0.3)
    model = Classification([str(i) for i in range(300)], max_length=16).head(kb.bert_encoder(config), config)
    assert np.std(model.get_layer("classifier").kernel) == pytest.approx(1 / 8, rel=0.03)
