"""`predict` and `serve` are one function: order, padding and company do not change an answer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_every_task import EXAMPLES

import keras_bert as kb
from keras_bert.errors import DataError
from keras_bert.inference import text_columns
from keras_bert.tasks.multiple_choice import MultipleChoice

WORDS = "a an warm cold funny dull film play was is not and good bad plot".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
TEXTS = [
    "a warm film",
    "",
    "dull",
    "the plot was not bad and the film was good " * 3,
    "a cold play",
    "film film",
]


@pytest.fixture(scope="module")
def bert():
    """Random weights large enough that every text gets another score."""
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(len(PIECES), 2, 2, 16, 32, max_sequence_length=20, initializer_range=0.5)
    return kb.Bert.from_config(config, kb.Tokenizer(PIECES), "classification", labels=["bad", "fair", "good"])


def scores(answers):
    return np.array([answer["scores"] for answer in answers])


def test_answers_come_in_the_order_of_the_texts_and_equal_serving_row_by_row(bert):
    answers = bert.predict(TEXTS, batch_size=2)
    for text, answer in zip(TEXTS, answers, strict=True):
        served = bert.serve(tf.constant([text]))
        np.testing.assert_allclose(answer["scores"], served["scores"][0], rtol=0, atol=1e-6)
        assert answer["label"] == served["label"][0].numpy().decode()
    assert np.ptp(scores(answers), axis=0).max() > 0.1


def test_the_batch_size_does_not_change_an_answer(bert):
    one, many = bert.predict(TEXTS, batch_size=1), bert.predict(TEXTS, batch_size=100)
    np.testing.assert_allclose(scores(one), scores(many), rtol=0, atol=1e-6)


def test_predict_gives_the_rows_of_what_is_served(bert):
    served = {name: tensor.numpy() for name, tensor in bert.serve(tf.constant(TEXTS)).items()}
    for answer, row in zip(bert.predict(TEXTS), bert.task.rows(served), strict=True):
        assert answer["label"] == row["label"] and answer["score"] == pytest.approx(row["score"], abs=1e-6)


def test_pairs_are_answered_as_they_are_served(bert):
    pairs = TEXTS[::-1]
    served = bert.serve(tf.constant(TEXTS), tf.constant(pairs))["scores"]
    np.testing.assert_allclose(scores(bert.predict(TEXTS, pairs)), served, rtol=0, atol=1e-6)
    assert np.abs(scores(bert.predict(TEXTS)) - served).max() > 0.01


def test_a_single_text_gives_a_list_of_one_answer(bert):
    assert len(bert.predict("a warm film")) == 1


def test_no_text_gives_no_answer(bert):
    assert bert.predict([]) == []


def test_columns_can_be_given_by_name(bert):
    assert bert.predict({"text": TEXTS, "text_pair": TEXTS}) == bert.predict(TEXTS, TEXTS)


def test_ids_give_the_answer_of_the_text_they_stand_for(bert):
    features = bert.preprocess(tf.constant(TEXTS))
    length = tf.reduce_sum(features["padding_mask"], axis=1)
    answer = bert.answerer.ids(features["token_ids"], features["segment_ids"], length)
    served = bert.serve(tf.constant(TEXTS))
    np.testing.assert_allclose(answer["scores"], served["scores"], rtol=0, atol=1e-6)


def test_what_a_server_pads_ids_with_does_not_change_an_answer(bert):
    # TensorFlow Serving pads with the first element of the tensor, here [CLS].
    ids = tf.constant([[2, 5, 7, 3]])
    short = bert.answerer.ids(ids, tf.zeros_like(ids), tf.constant([4]))
    padded = tf.constant([[2, 5, 7, 3, 2, 2, 2]])
    long = bert.answerer.ids(padded, tf.zeros_like(padded), tf.constant([4]))
    np.testing.assert_allclose(long["scores"], short["scores"], rtol=0, atol=1e-6)


def test_the_served_function_does_not_store_the_weights_a_second_time(bert, tmp_path):
    # A SavedModel keeps what its functions capture, and once more what the object that holds them tracks.
    tracked = tf.train.Checkpoint(answerer=bert.answerer).write(str(tmp_path / "tracked"))
    shapes = [shape for _, shape in tf.train.list_variables(tracked)]
    assert [len(PIECES), 16] not in shapes and [16, 3] not in shapes


@pytest.mark.parametrize(
    ("texts", "text_pair", "message"),
    [
        (["a", 5], None, "text, row 2: Not a text but int"),
        ([None], None, "text, row 1: Not a text but NoneType"),
        (["a", "b"], ["a"], "The columns differ in length"),
        ({"text_pair": ["a"]}, None, "The column 'text' is missing"),
        ({"text": ["a"], "review": ["b"]}, None, "Unknown column 'review'"),
    ],
    ids=str,
)
def test_what_is_no_text_is_refused(bert, texts, text_pair, message):
    with pytest.raises(DataError) as refusal:
        text_columns(bert.task, texts, text_pair)
    assert message in str(refusal.value)


def test_a_row_without_a_choice_is_refused():
    with pytest.raises(DataError, match="choices, row 2: The list is empty"):
        text_columns(MultipleChoice(max_length=8), {"text": ["a", "b"], "choices": [["c"], []]})


def test_mixed_bfloat16_answers_as_float32_does(bert):
    mixed = kb.Bert(bert.config, bert.tokenizer, bert.task, dtype="mixed_bfloat16")
    mixed.model.set_weights(bert.model.get_weights())
    answers = mixed.predict(TEXTS)
    # The probabilities come from float32 logits of a [CLS] vector of 8 binary digits.
    np.testing.assert_allclose(scores(answers), scores(bert.predict(TEXTS)), rtol=0, atol=0.05)
    np.testing.assert_allclose(scores(answers).sum(axis=-1), 1.0, rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch_size", [0, 2.0, True])
def test_a_batch_size_that_is_no_count_is_refused(bert, batch_size):
    with pytest.raises(DataError, match="batch size is"):
        bert.predict(TEXTS, batch_size=batch_size)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "pretraining"])
def test_a_batch_of_no_rows_has_no_answers(name):
    settings, *_ = EXAMPLES[name]
    config = kb.BertConfig(len(PIECES), 1, 2, 8, 16, max_sequence_length=16)
    bert = kb.Bert.from_config(config, kb.Tokenizer(PIECES), name, **settings)
    lists = bert.task.list_columns
    texts = [tf.zeros([0, 0] if c in lists else [0], tf.string) for c in (*bert.task.columns, *lists)]
    assert all(tensor.shape[0] == 0 for tensor in bert.serve(*texts).values())
    none = tf.zeros([0, 0], tf.int32)
    assert all(
        tensor.shape[0] == 0 for tensor in bert.answerer.ids(none, none, tf.zeros([0], tf.int32)).values()
    )
    assert bert.encode([])["pooled_output"].shape == (0, 8)


def test_a_request_of_wrong_ids_leaves_its_neighbour_alone():
    config = kb.BertConfig(len(PIECES), 2, 2, 8, 16, max_sequence_length=16, initializer_range=0.3)
    bert = kb.Bert.from_config(config, kb.Tokenizer(PIECES), "classification", labels=["a", "b"])
    right = bert.preprocess(tf.constant(["a warm film"]))["token_ids"]
    alone = bert.answerer.ids(right, tf.zeros_like(right), tf.constant([5]))["scores"].numpy()
    for wrong in ([99_999, -7, 2**31 - 1], [2] * 40, [4]):
        both = tf.ragged.constant([right[0].numpy().tolist(), wrong]).to_tensor(7)
        segments = tf.where(tf.range(2)[:, None] == 1, -3, tf.zeros_like(both))
        answer = bert.answerer.ids(both, segments, tf.constant([5, 1_000]))["scores"].numpy()
        np.testing.assert_allclose(answer[:1], alone, atol=1e-6)
        assert np.isfinite(answer).all()


def small(name):
    """A BERT with the example settings of a task, whose answers depend on what it reads."""
    keras.utils.set_random_seed(1)
    settings, *_ = EXAMPLES[name]
    config = kb.BertConfig(len(PIECES), 2, 2, 8, 16, max_sequence_length=16, initializer_range=0.3)
    return kb.Bert.from_config(config, kb.Tokenizer(PIECES), name, **settings)


@pytest.mark.parametrize("name", ["classification", "tagging", "fill_mask", "similarity"])
def test_a_request_of_no_or_negative_length_is_answered_alone_as_beside_longer_ones(name):
    bert = small(name)
    mask_id = bert.tokenizer.vocabulary.mask_id
    ids = np.array([[2, mask_id, 6, 3, 0, 0, 0], [2, 5, 6, 7, mask_id, 9, 3]], "int32")
    for length in (0, -4, 3):
        together = bert.answerer.ids(ids, np.zeros_like(ids), np.array([length, 7], "int32"))
        alone = bert.answerer.ids(ids[:1, :4], np.zeros_like(ids[:1, :4]), np.array([length], "int32"))
        for answer, tensor in alone.items():
            beside = together[answer].numpy()[:1]
            if tensor.shape[1:].rank and beside.shape != tensor.shape:
                beside = beside[:, : tensor.shape[1]]
            if tensor.dtype == tf.string:
                assert beside.tolist() == tensor.numpy().tolist()
            else:
                np.testing.assert_allclose(beside, tensor, rtol=0, atol=1e-5)


def test_segments_that_a_server_has_not_padded_are_read_as_the_first():
    bert = small("classification")
    ids = np.array([[2, 5, 6, 3]], "int32")
    whole = bert.answerer.ids(ids, np.array([[0, 1, 0, 0]], "int32"), np.array([4], "int32"))
    cut = bert.answerer.ids(ids, np.array([[0, 1]], "int32"), np.array([4], "int32"))
    np.testing.assert_array_equal(whole["scores"], cut["scores"])


def test_slots_without_a_mask_say_nothing():
    bert = small("fill_mask")
    answer = bert.answerer.text({"text": tf.constant(["a [MASK] film", "a film"])})
    assert answer["count"].numpy().tolist() == [1, 0]
    unused = answer["scores"].numpy()[[0, 1, 1], [1, 0, 1]]
    assert not unused.any() and answer["scores"].numpy()[0, 0].all()
