"""Question answering: where an answer stands in which window, and which stretch is the best one."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.tasks.question_answering import END, START, QuestionAnswering

WORDS = "who made it a b c d e f g h".split()
TOKENIZER = kb.Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
CONTEXT = "a b c d e f g h"


@pytest.fixture
def task():
    # [CLS] who [SEP] + 4 pieces + [SEP]: windows a b c d, c d e f, e f g h
    return QuestionAnswering(max_length=8, stride=2, max_answer_length=3, num_best=4)


def features_of(task, *pairs):
    questions, contexts = zip(*pairs, strict=True)
    columns = {"question": tf.constant(questions), "context": tf.constant(contexts)}
    return task.features(columns, TOKENIZER.in_graph())


def pieces(features):
    return [[TOKENIZER.vocabulary.pieces[i] for i in row] for row in features["token_ids"].numpy()]


def test_a_long_context_is_read_in_overlapping_windows(task):
    features = features_of(task, ("who", CONTEXT), ("who", "a b"))
    assert [" ".join(row[3:7]) for row in pieces(features)] == [
        "a b c d",
        "c d e f",
        "e f g h",
        "a b [SEP] [PAD]",
    ]
    assert features["row"].numpy().tolist() == [0, 0, 0, 1]


def targets_of(task, features, *answers, context=CONTEXT):
    rows = [task.check_row({"question": "who", "context": context, "answers": a}, "") for a in answers]
    row = {name: tf.constant([r[name] for r in rows]) for name in ("answer_start", "answer_end")}
    [targets] = task.targets(row, features)
    return list(zip(targets[START].numpy().tolist(), targets[END].numpy().tolist(), strict=True))


def test_a_window_that_holds_the_whole_answer_points_at_it_and_others_at_cls(task):
    features = features_of(task, ("who", CONTEXT))
    assert targets_of(task, features, [{"text": "d e", "start": 6}]) == [(0, 0), (4, 5), (0, 0)]
    assert targets_of(task, features, [{"text": "c", "start": 4}]) == [(5, 5), (3, 3), (0, 0)]


def test_a_question_without_an_answer_points_at_cls_everywhere(task):
    features = features_of(task, ("who", CONTEXT))
    assert targets_of(task, features, []) == [(0, 0)] * 3


def test_an_answer_that_no_window_holds_whole_points_at_cls(task):
    features = features_of(task, ("who", CONTEXT))
    assert targets_of(task, features, [{"text": "b c d e f", "start": 2}]) == [(0, 0)] * 3


def test_a_piece_that_ends_where_the_answer_begins_is_not_of_it(task):
    """Ideographs have no blank between them."""
    tokenizer = kb.Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"谁 北 京 在 了".split()])
    columns = {"question": tf.constant(["谁"]), "context": tf.constant(["在北京了"])}
    features = task.features(columns, tokenizer.in_graph())
    assert targets_of(task, features, [{"text": "北京", "start": 1}], context="在北京了") == [(4, 5)]


def answers_of(task, start, end, features):
    answer = task.answer({START: tf.constant(start), END: tf.constant(end)}, features)
    return task.rows({name: tensor.numpy() for name, tensor in answer.items()})


def by_hand(task, start, end, features):
    """(logit, text) of the best stretches of every question, by trying all."""
    context_starts, context_ends = features["starts"].numpy(), features["ends"].numpy()
    best = {}
    for window, row in enumerate(features["row"].numpy()):
        places = np.flatnonzero(features["sequence_ids"].numpy()[window] == 1)
        for i, j in itertools.product(places, places):
            if i <= j < i + task.max_answer_length:
                span = (int(context_starts[window, i]), int(context_ends[window, j]))
                logit = float(start[window, i] + end[window, j])
                spans = best.setdefault(int(row), {})
                spans[span] = max(logit, spans.get(span, -np.inf))
    return {row: sorted(((v, k) for k, v in spans.items()), reverse=True) for row, spans in best.items()}


def test_the_best_stretches_over_all_windows_are_found(task):
    contexts = [CONTEXT, "a b", "h g f e d c b a a b c"]
    features = features_of(task, *[("who made", context) for context in contexts])
    rng = np.random.default_rng(0)
    shape = features["token_ids"].shape
    for _ in range(20):
        start, end = rng.normal(size=(2, *shape)).astype("float32") * 3
        expected = by_hand(task, start, end, features)
        for row, answer in enumerate(answers_of(task, start, end, features)):
            logit, (first, last) = expected[row][0]
            assert (answer["start"], answer["end"]) == (first, last)
            assert answer["answer"] == contexts[row][first:last] == answer["n_best"][0]["answer"]
            found = [(a["start"], a["end"]) for a in answer["n_best"]]
            assert len(set(found)) == len(found) and set(found) <= {span for _, span in expected[row]}
            null = min(start[w, 0] + end[w, 0] for w in np.flatnonzero(features["row"].numpy() == row))
            assert answer["null_score"] == pytest.approx(null - logit, abs=1e-5)


def test_scores_are_probabilities_among_the_candidates(task):
    features = features_of(task, ("who", "a b"))
    zeros = np.zeros(features["token_ids"].shape, "float32")
    start = zeros.copy()
    start[0, 3] = np.log(2)
    [answer] = answers_of(task, start, zeros, features)
    # a, a b: logit log 2 each; b: 0
    assert [a["answer"] for a in answer["n_best"]][2] == "b"
    assert [a["score"] for a in answer["n_best"]] == pytest.approx([0.4, 0.4, 0.2])


def test_above_the_threshold_there_is_no_answer():
    task = QuestionAnswering(max_length=8, stride=2, null_threshold=1.0, num_best=2)
    features = features_of(task, ("who", "a b"))
    start = np.zeros(features["token_ids"].shape, "float32")
    for null, expected in ((2.0, ""), (0.5, "a")):
        start[0, 0] = null
        start[0, 3] = 0.0
        [answer] = answers_of(task, start, 0 * start, features)
        assert answer["answer"] == expected and answer["null_score"] == pytest.approx(null)
        assert answer["n_best"][0]["answer"] == "a"


def test_a_context_without_a_word_has_no_answer(task):
    features = features_of(task, ("who", ""), ("who", " "))
    zeros = np.zeros(features["token_ids"].shape, "float32")
    for answer in answers_of(task, zeros, zeros, features):
        assert answer["answer"] == "" and answer["n_best"] == []
        assert all(np.isfinite(answer[name]) for name in ("score", "null_score"))


def test_ids_alone_are_answered_by_token(task):
    features = features_of(task, ("who", "a b"))
    bare = {name: features[name] for name in ("token_ids", "segment_ids", "padding_mask")}
    zeros = tf.zeros(features["token_ids"].shape)
    assert task.answer({START: zeros, END: zeros}, bare).keys() == {START, END}


def test_offsets_count_characters_of_the_context():
    tokenizer = kb.Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"谁 北 京 在 👍".split()])
    task = QuestionAnswering(max_length=16)
    columns = {"question": tf.constant(["谁"]), "context": tf.constant(["👍在 北京"])}
    features = task.features(columns, tokenizer.in_graph())
    assert pieces_of(tokenizer, features)[3:7] == ["👍", "在", "北", "京"]
    start, end = np.zeros((2, *features["token_ids"].shape), "float32")
    start[0, 5] = end[0, 6] = 9
    [answer] = answers_of(task, start, end, features)
    assert (answer["answer"], answer["start"], answer["end"]) == ("北京", 3, 5)


def pieces_of(tokenizer, features):
    return [tokenizer.vocabulary.pieces[i] for i in features["token_ids"].numpy()[0]]


def test_the_threshold_is_tuned_where_some_questions_have_no_answer():
    task = QuestionAnswering(null_threshold=0.0)
    gold = [{"answers": [{"text": "x", "start": 0}]}, {"answers": []}]
    answers = [
        {"answer": "", "null_score": 3.0, "n_best": [{"answer": "x"}]},
        {"answer": "", "null_score": 5.0, "n_best": [{"answer": "b"}]},
    ]
    threshold = task.tuned(gold, answers)["null_threshold"]
    assert 3.0 <= threshold < 5.0
    assert task.tuned(gold[:1], answers[:1]) == {}


def test_the_rows_decide_about_unanswerable_questions_and_the_metric():
    def settings(*rows):
        return QuestionAnswering.settings_from_rows((f"row {i}", row) for i, row in enumerate(rows))

    answer = [{"text": "a", "start": 0}]
    english = {"question": "who", "context": "a b", "answers": answer}
    assert settings(english) == {"null_threshold": None, "metric": "squad"}
    assert settings(english, {**english, "answers": []})["null_threshold"] == 0.0
    assert settings({**english, "question": "谁是作者"})["metric"] == "cmrc"


def test_chinese_answers_are_scored_by_characters_and_others_by_words():
    gold, answers = [{"answers": [{"text": "北京大学", "start": 0}]}], [{"answer": "北京"}]
    # CMRC's F1: the longest common substring has 2 of 2 and 2 of 4 characters.
    assert QuestionAnswering(metric="cmrc").scores(gold, answers)["f1"] == pytest.approx(2 / 3)
    assert QuestionAnswering().scores(gold, answers)["f1"] == 0.0
