import json
import lzma
import random
from pathlib import Path

import pytest

from keras_bert.evaluation import answers
from keras_bert.evaluation.answers import best_null_threshold, cmrc_scores, squad_scores

GOLDEN = json.loads(lzma.decompress(Path(__file__).with_name("golden_answers.json.xz").read_bytes()))


def close(expected):
    return pytest.approx(expected, rel=0, abs=1e-9)


def declined(predictions, null_scores, threshold):
    return ["" if null > threshold else text for text, null in zip(predictions, null_scores, strict=True)]


def test_squad_scores_equal_the_official_script():
    assert len(GOLDEN["squad"]) == 1000
    for case in GOLDEN["squad"]:
        ours = squad_scores(case["gold"], case["predictions"])
        exact, f1, with_exact, with_f1, without, _, _ = case["scores"]
        expected = {"exact_match": exact, "f1": f1}
        if with_f1 is not None and without is not None:
            expected["has_answer_exact_match"] = with_exact
            expected |= {"has_answer_f1": with_f1, "no_answer_accuracy": without}
        assert {name: 100 * value for name, value in ours.items()} == close(expected), case


def test_the_best_threshold_declines_what_the_official_one_declines():
    same = 0
    for case in GOLDEN["squad"]:
        gold, predictions, nulls = case["gold"], case["predictions"], case["nulls"]
        threshold, f1 = best_null_threshold(gold, predictions, nulls)
        *_, official_f1, official = case["scores"]
        assert 100 * f1 == close(official_f1), case
        kept = declined(predictions, nulls, threshold)
        assert squad_scores(gold, kept)["f1"] == close(f1), case
        if any(null <= threshold for null in nulls):
            # Where two are equally good, rounding may choose for the official script.
            same += kept == declined(predictions, nulls, official)
            assert squad_scores(gold, declined(predictions, nulls, official))["f1"] == close(f1), case
        else:  # to decline all the official script says 0, whatever the null scores are
            assert official == 0.0
            same += 1
    assert same >= 990


def test_no_threshold_is_better_than_the_best_where_null_scores_are_equal():
    rng = random.Random(0)
    texts = ("", "red", "red cat", "cat")
    for _ in range(1000):
        rows = rng.randint(1, 6)
        gold = [rng.choice(([], [""], ["red"], ["red cat", "dog"])) for _ in range(rows)]
        predictions = [rng.choice(texts) for _ in range(rows)]
        nulls = [rng.randint(-2, 2) for _ in range(rows)]
        threshold, f1 = best_null_threshold(gold, predictions, nulls)
        tried = [
            squad_scores(gold, declined(predictions, nulls, t))["f1"]
            for t in (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)
        ]
        assert f1 == close(max(tried)) and threshold not in nulls
        assert squad_scores(gold, declined(predictions, nulls, threshold))["f1"] == close(f1)


def test_cmrc_scores_equal_the_official_script():
    assert len(GOLDEN["cmrc"]) == 1000
    for case in GOLDEN["cmrc"]:
        parts = [answers._cmrc_parts(text) for text in case["predictions"]]
        assert parts == case["parts"], case["predictions"]
        scores = cmrc_scores(case["gold"], case["predictions"])
        assert [scores["exact_match"], scores["f1"]] == close(case["scores"]), case


def test_case_articles_punctuation_and_blanks_do_not_count():
    assert squad_scores([["The U.S. Navy"]], ["us  navy!"]) == {"exact_match": 1.0, "f1": 1.0}
    assert squad_scores([["theory"]], ["ory"])["f1"] == 0.0


def test_the_best_of_several_answers_counts():
    scores = squad_scores([["in the year 1990", "1990"], ["cat"]], ["1990", "red cat"])
    assert scores == {"exact_match": 0.5, "f1": pytest.approx((1 + 2 / 3) / 2)}


def test_a_word_counts_as_often_as_it_occurs():
    assert squad_scores([["red red cat"]], ["red"])["f1"] == pytest.approx(0.5)
    assert squad_scores([["red"]], ["red red red"])["f1"] == pytest.approx(0.5)


def test_without_an_answer_only_nothing_is_right():
    scores = squad_scores([[], [""], ["cat"], ["dog"]], ["", "cat", "cat", ""])
    assert scores == {
        "exact_match": 0.5,
        "f1": 0.5,
        "has_answer_exact_match": 0.5,
        "has_answer_f1": 0.5,
        "no_answer_accuracy": 0.5,
    }
    assert squad_scores([[], []], ["", "x"]) == {"exact_match": 0.5, "f1": 0.5}


def test_an_answer_of_which_nothing_is_left_is_answered_by_nothing():
    assert squad_scores([["The"], ["The", "cat"]], ["", ""]) == {"exact_match": 0.5, "f1": 0.5}
    assert squad_scores([["The"], []], ["", "x"])["has_answer_f1"] == 1.0  # yet it counts as answerable


def test_the_threshold_lies_between_the_scores_it_divides():
    assert best_null_threshold([["cat"], []], ["cat", "dog"], [-1.0, 3.0]) == (1.0, 1.0)


def test_declining_or_answering_all_may_be_best():
    threshold, f1 = best_null_threshold([[], []], ["a cat", "dog"], [-3.0, 2.0])
    assert threshold < -3.0 and f1 == 1.0
    threshold, f1 = best_null_threshold([["cat"], ["dog"]], ["cat", "dog"], [-3.0, 2.0])
    assert threshold > 2.0 and f1 == 1.0


def test_chinese_counts_by_the_longest_common_stretch():
    scores = cmrc_scores([["北京大学"]], ["北京的大学"])
    assert scores == {"exact_match": 0.0, "f1": pytest.approx(2 * (2 / 5) * (2 / 4) / (2 / 5 + 2 / 4))}
    assert cmrc_scores([["《北京》", "上海"]], ["北京。"]) == {"exact_match": 1.0, "f1": 1.0}
    assert cmrc_scores([["北京"]], ["上海"]) == {"exact_match": 0.0, "f1": 0.0}


def test_only_the_official_punctuation_is_left_out():
    assert cmrc_scores([["a-b"]], ["AB"])["exact_match"] == 1.0
    assert cmrc_scores([["a,b"]], ["ab"])["exact_match"] == 0.0
    assert (
        cmrc_scores([["好……"]], ["好"])["exact_match"] == 0.0
    )  # the list has it as one sign of two characters


def test_foreign_words_are_parts_of_their_own():
    assert answers._cmrc_parts("用Word写can't 3.5%.") == ["用", "word", "写", "ca", "n't", "3.5", "%", "."]
    assert cmrc_scores([["用word写"]], ["word写"])["f1"] == pytest.approx(0.8)


def test_nothing_equals_nothing_in_cmrc_but_has_no_stretch():
    assert cmrc_scores([[""]], ["。"]) == {"exact_match": 1.0, "f1": 0.0}


@pytest.mark.parametrize(("prediction", "score"), [("", 1.0), ("北京", 0.0)])
def test_a_question_without_an_answer_is_declined_or_not_in_cmrc(prediction, score):
    assert cmrc_scores([[]], [prediction]) == {"exact_match": score, "f1": score}


def test_the_threshold_is_chosen_by_the_metrics_own_f1():
    # Of "北京市" for "北京" a stretch of two in three is right, of blank-separated words nothing.
    given = ([["北京"], []], ["北京市", "x"], [-1.0, 3.0])
    assert best_null_threshold(*given, metric="cmrc") == (1.0, pytest.approx((0.8 + 1) / 2))
    assert best_null_threshold(*given) == (-2.0, 0.5)


@pytest.mark.parametrize("score", [squad_scores, cmrc_scores])
@pytest.mark.parametrize(("gold", "predictions"), [([["a"]], []), ([], [])])
def test_every_question_needs_one_prediction(score, gold, predictions):
    with pytest.raises(ValueError, match=f"one entry a question. Received: {len(gold)} and 0 questions"):
        score(gold, predictions)


@pytest.mark.parametrize("nulls", [[0.0], [0.0, 1.0, 2.0], [0.0, float("nan")], [[0.0, 1.0]]])
def test_every_question_needs_one_null_score(nulls):
    with pytest.raises(ValueError, match="one finite number a question. Received: shape"):
        best_null_threshold([["a"], []], ["a", "b"], nulls)


@pytest.mark.parametrize("scores", [answers.squad_scores, answers.cmrc_scores])
def test_what_the_bootstrap_draws_again_is_not_computed_again(monkeypatch, scores):
    gold, predictions = [["einmal gezaehlt", "zweimal"]], ["nur einmal"]
    first = scores(gold, predictions)

    def computed(*words):
        raise AssertionError("computed again")

    monkeypatch.setattr(answers, "Counter", computed)
    monkeypatch.setattr(answers, "_cmrc_parts", computed)
    assert scores(gold * 3, predictions * 3) == first
