"""Regression, multi-label, multiple choice, fill-mask: rows, targets, answers, scores."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.errors import DataError, UsageError
from keras_bert.tasks.classification import Classification
from keras_bert.tasks.fill_mask import FillMask
from keras_bert.tasks.multi_label import MultiLabel
from keras_bert.tasks.multiple_choice import MultipleChoice
from keras_bert.tasks.regression import Regression

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"a warm cold film play was".split()]
TOKENIZER = kb.Tokenizer(PIECES)
CONFIG = kb.BertConfig(len(PIECES), 1, 2, 8, 16, max_sequence_length=16, initializer_range=0.3)


def numpy_of(answer):
    return {name: np.asarray(tensor) for name, tensor in answer.items()}


@pytest.mark.parametrize("score", [None, "", "much", True, "nan", float("inf")])
def test_a_score_that_is_no_number_is_refused_with_its_place(score):
    with pytest.raises(DataError, match="^dev.csv:4: The score is"):
        Regression().check_row({"text": "a", "score": score}, "dev.csv:4")


def test_a_regression_is_scored_by_both_correlations():
    gold, answers = [{"score": x} for x in (1, 2, 3, 4)], [{"score": x} for x in (1, 4, 9, 16)]
    scores = Regression().scores(gold, answers)
    assert scores["spearman"] == 1.0 and 0.95 < scores["pearson"] < 1.0
    assert scores["mae"] == 5.0 and scores["mse"] == pytest.approx((4 + 36 + 144) / 4)


@pytest.mark.parametrize(
    "given", [["warm", "cold"], '["warm", "cold"]', "warm, cold", ("cold", "warm", "warm")]
)
def test_several_labels_are_read_from_lists_and_text(given):
    task = MultiLabel(["cold", "dull", "warm"])
    assert task.check_row({"text": "a", "labels": given}, "")["labels"].tolist() == [1, 0, 1]


@pytest.mark.parametrize("given", [[], "", "[]"])
def test_no_label_is_a_value(given):
    assert MultiLabel(["a", "b"]).check_row({"text": "a", "labels": given}, "")["labels"].tolist() == [0, 0]


@pytest.mark.parametrize("given", ['["warm"', 3, [["warm"]], "hot"])
def test_labels_that_cannot_be_read_are_refused_with_their_place(given):
    with pytest.raises(DataError, match="^row 2: "):
        MultiLabel(["warm", "cold"]).check_row({"text": "a", "labels": given}, "row 2")


def test_thresholds_decide_which_labels_an_answer_names():
    task = MultiLabel(["a", "b"], thresholds=[0.3, 0.9])
    logits = tf.constant([[0.0, 1.0], [-3.0, 3.0]])
    rows = task.rows(numpy_of(task.answer(logits, {})))
    assert [row["labels"] for row in rows] == [["a"], ["b"]]
    assert rows[0]["scores"] == pytest.approx([0.5, 1 / (1 + np.exp(-1))])


def test_thresholds_are_tuned_and_raise_the_score():
    task = MultiLabel(["a", "b"])
    gold = [{"labels": np.array(row)} for row in ([1, 0], [1, 0], [0, 1], [0, 0])]
    answers = [{"scores": row} for row in ([0.4, 0.1], [0.35, 0.2], [0.2, 0.95], [0.1, 0.9])]
    tuned = MultiLabel(["a", "b"], **task.tuned(gold, answers))
    found = tuned.rows({"scores": np.array([row["scores"] for row in answers])})
    assert tuned.scores(gold, found)["micro_f1"] == 1.0
    assert tuned.settings()["thresholds"] == tuned.thresholds


def logits_and_report(task, labels_for):
    """What a fresh model says of two texts, and what its own loss and metrics make of that and of labels."""
    keras.utils.set_random_seed(0)
    model = task.head(kb.bert_encoder(CONFIG), CONFIG)
    model.compile()
    features = task.features({"text": tf.constant(["a warm film", "cold"])}, TOKENIZER.in_graph())
    logits = np.asarray(model(features))
    return logits, model.evaluate(features, labels_for(logits), verbose=0, return_dict=True)


def test_every_label_is_learnt_as_a_question_of_its_own():
    is_right = np.array([[True, True, True], [True, False, True]])
    logits, report = logits_and_report(
        MultiLabel(["a", "b", "c"]), lambda x: ((x > 0) == is_right).astype(int)
    )
    margins = np.where(is_right, 1, -1) * np.abs(logits)
    assert report["loss"] == pytest.approx(np.log1p(np.exp(-margins)).mean(), rel=1e-5)
    assert report["label_accuracy"] == pytest.approx(5 / 6)


def test_a_score_is_learnt_by_its_squared_error():
    scores = np.array([2.5, -1.0])
    found, report = logits_and_report(Regression(), lambda _: scores)
    assert found.shape == (2, 1)
    assert report["loss"] == pytest.approx(np.square(found[:, 0] - scores).mean(), rel=1e-5)
    assert report["mae"] == pytest.approx(np.abs(found[:, 0] - scores).mean(), rel=1e-5)


def test_several_labels_are_scored_together_and_one_by_one():
    task = MultiLabel(["a", "b"])
    gold = [{"labels": np.array(row)} for row in ([1, 0], [1, 1], [0, 1])]
    answers = [{"labels": row} for row in (["a"], ["a"], ["a"])]
    scores = task.scores(gold, answers)
    assert scores["micro_f1"] == pytest.approx(4 / 7) and scores["exact_match"] == pytest.approx(1 / 3)
    assert scores["types"]["a"] == pytest.approx({"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2})
    assert scores["types"]["b"]["support"] == 2 and scores["types"]["b"]["recall"] == 0


@pytest.mark.parametrize("thresholds", [[0.5], [0.5, 1.5], [0.5, float("nan")]])
def test_thresholds_that_cannot_be_are_refused(thresholds):
    with pytest.raises(DataError, match="thresholds"):
        MultiLabel(["a", "b"], thresholds=thresholds)


def test_choices_that_a_row_lacks_change_nothing():
    task = MultipleChoice(max_length=10)
    keras.utils.set_random_seed(0)
    model = task.head(kb.bert_encoder(CONFIG), CONFIG)
    in_graph = TOKENIZER.in_graph()

    def logits(texts, choices):
        columns = {"text": tf.constant(texts), "choices": tf.constant(choices)}
        features = task.features(columns, in_graph)
        return task.outputs(model, features), features

    alone, features = logits(["a film"], [["warm", "cold play"]])
    padded, more = logits(["a film", "a play"], [["warm", "cold play", ""], ["was", "cold", "a"]])
    np.testing.assert_allclose(padded[0, :2], alone[0], atol=1e-5)
    answer = numpy_of(task.answer(padded, more))
    assert answer["scores"][0, 2] == 0.0 and answer["scores"].sum(axis=1) == pytest.approx([1, 1])
    assert features["token_ids"].shape[:2] == (1, 2)
    # A choice by itself, as ids: its logit.
    one = {name: tensor[0] for name, tensor in features.items()}
    np.testing.assert_allclose(task.answer(task.outputs(model, one), one)["score"], alone[0], atol=1e-5)


@pytest.fixture
def fill_mask():
    task = FillMask(max_length=10, top_k=2, max_masks=3)
    task.prepare(TOKENIZER)
    return task


def mask_features(task, texts):
    return task.features({"text": tf.constant(texts)}, TOKENIZER.in_graph(allow_special=task.allow_special))


def test_masks_are_found_in_their_order(fill_mask):
    features = mask_features(fill_mask, ["a [MASK] film was [MASK]", "a film", "[MASK]"])
    assert features["mask_positions"][0, :2].numpy().tolist() == [2, 5]
    assert features["mask_positions"][2, 0] == 1
    assert fill_mask._count(features).numpy().tolist() == [2, 0, 1]


def test_a_text_may_be_shorter_than_it_might_have_masks():
    task = FillMask(max_masks=6)
    task.prepare(TOKENIZER)
    places = mask_features(task, ["[MASK]"])["mask_positions"].numpy()
    assert places[0, 0] == 1 and places.max() == 2 and places.shape == (1, 6)


def test_a_mask_is_answered_with_its_likeliest_pieces(fill_mask):
    features = mask_features(fill_mask, ["a [MASK] film was [MASK]", "a film"])
    logits = np.zeros((2, 3, len(PIECES)), "float32")
    logits[0, 0, PIECES.index("warm")], logits[0, 0, PIECES.index("cold")] = 5, 4
    logits[0, 1, PIECES.index("play")], logits[0, 1, PIECES.index("a")] = 5, 4
    answer = numpy_of(fill_mask.answer(tf.constant(logits), features))
    first, second = fill_mask.rows(answer)
    assert first["pieces"] == [["warm", "cold"], ["play", "a"]] and second["pieces"] == []
    assert not answer["scores"][0, 2].any() and not answer["piece_ids"][1].any()  # of no mask
    assert first["scores"][0][0] == pytest.approx(np.exp(5) / (np.exp(5) + np.exp(4) + 9), rel=1e-5)


def test_a_label_names_a_piece_for_every_mask(fill_mask):
    row = fill_mask.check_row({"text": "a [MASK] film was [MASK]", "label": "warm play"}, "")
    assert row["mask_ids"] == [PIECES.index("warm"), PIECES.index("play"), -1]
    for label in ("warm", "warm play a", "warm hot", ""):
        with pytest.raises(DataError, match="^row 1: "):
            fill_mask.check_row({"text": "a [MASK] film was [MASK]", "label": label}, "row 1")


def test_a_mask_that_was_cut_off_is_not_learnt(fill_mask):
    text = "[MASK] " + "film " * 20 + "[MASK]"
    row = fill_mask.check_row({"text": text, "label": "a warm"}, "")
    columns = {"mask_ids": tf.constant([row["mask_ids"]]), "sample_weight": tf.ones(1)}
    _, weights = fill_mask.targets(columns, mask_features(fill_mask, [text]))
    assert weights.numpy().tolist() == [[1, 0, 0]]


def test_masks_that_were_cut_off_count_as_wrong(fill_mask):
    gold = [{"label": "a warm"}]
    scores = fill_mask.scores(gold, [{"pieces": [["a", "film"]]}])
    assert scores == {"accuracy": 0.5, "top_2_accuracy": 0.5}


def test_a_long_text_is_classified_by_the_mean_of_its_windows():
    task = Classification(["bad", "good"], max_length=6, stride=2)
    texts = tf.constant(["a warm film was cold play", "a film"])
    features = task.features({"text": texts}, TOKENIZER.in_graph())
    assert features["row"].numpy().tolist() == [0, 0, 1]
    logits = tf.constant([[0.0, 2.0], [4.0, 0.0], [0.0, 1.0]])
    answer = numpy_of(task.answer(logits, features))
    assert [label.decode() for label in answer["label"]] == ["bad", "good"]
    assert answer["scores"][0] == pytest.approx(
        [np.exp(2) / (np.exp(2) + np.exp(1)), np.exp(1) / (np.exp(2) + np.exp(1))]
    )
    row = {"label": tf.constant([0, 1]), "sample_weight": tf.constant([1.0, 1.0])}
    labels, weights = task.targets(row, features)
    assert labels.numpy().tolist() == [0, 0, 1] and weights.numpy().tolist() == [0.5, 0.5, 1.0]


def test_a_sentiment_has_a_value_to_expect():
    task = Classification(["negative", "neutral", "positive"], values=[-1, 0, 1])
    logits = tf.math.log(tf.constant([[0.5, 0.3, 0.2]]))
    [row] = task.rows(numpy_of(task.answer(logits, {})))
    assert row["value"] == pytest.approx(-0.3) and task.settings()["values"] == [-1.0, 0.0, 1.0]
    with pytest.raises(DataError, match="values"):
        Classification(["a", "b"], values=[1])


@pytest.mark.parametrize("kind", [FillMask, MultipleChoice, Regression])
def test_a_setting_that_is_no_length_is_refused(kind):
    with pytest.raises(UsageError, match="max_length"):
        kind(max_length=2)
