"""Requests that are joined in the graph get the answers they would get alone."""

import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf
from test_scoring import small

from keras_bert.export import batching
from keras_bert.export.signatures import ids_signature, static_signature, text_signatures

TEXTS = ["a warm film", "", "dull", "a dull play was a cold play", "funny was not dull", "zz 我", "film film"]
TASKS = ("classification", "tagging", "question_answering", "multi_task", "similarity")


def columns(bert, texts):
    return {name: tf.constant(texts) for name in bert.task.columns}


@pytest.fixture(params=TASKS)
def bert(request):
    return small(request.param)[0]


@pytest.fixture(params=["of one size", "of several sizes"])
def patient(monkeypatch, request):
    """Waits long for company, so that requests of slow threads are joined too."""
    monkeypatch.setattr(batching, "TIMEOUT_MICROS", 100_000)
    if request.param == "of several sizes":
        monkeypatch.setattr(batching, "BYTES", (4, 12))
        monkeypatch.setattr(batching, "TOKENS", (4, 8))


def asked_together(function, requests):
    """The answers to requests that all come at once."""
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        return [future.result() for future in [pool.submit(function, **request) for request in requests]]


def assert_same(answer, expected):
    assert answer.keys() == expected.keys()
    for name, tensor in expected.items():
        got, tensor = answer[name].numpy(), tensor.numpy()
        if got.ndim > 1 and got.shape != tensor.shape:  # as wide as the widest joined
            assert not np.any(got[:, tensor.shape[1] :].astype(bool))
            got = got[:, : tensor.shape[1]]
        if tensor.dtype == object:
            assert got.tolist() == tensor.tolist()
        else:
            np.testing.assert_allclose(got, tensor, rtol=0, atol=1e-5)


def test_texts_asked_together_are_answered_as_alone(bert, patient):
    function = text_signatures(bert, in_graph_batching=True)["serving_default"]
    requests = [columns(bert, TEXTS[i : i + 1 + i % 3]) for i in range(len(TEXTS))]
    expected = [bert.answerer.text(request) for request in requests]
    for answer, alone in zip(asked_together(function, requests), expected, strict=True):
        assert_same(answer, alone)


def test_ids_of_any_length_are_joined(bert, patient):
    function = ids_signature(bert, in_graph_batching=True)
    longest, requests = bert.config.max_sequence_length, []
    for i, width in enumerate((3, 7, 12, longest, longest + 9)):
        ids = np.random.default_rng(i).integers(0, 14, (1 + i % 2, width)).astype("int32")
        ids[0, 0] = 10**6 if i == 1 else 2  # a hostile neighbour
        length = np.minimum(width, 2 + np.arange(len(ids)) * 5).astype("int32")
        requests.append({"token_ids": ids, "segment_ids": np.zeros_like(ids), "length": length})
    requests = [{name: tf.constant(array) for name, array in request.items()} for request in requests]
    expected = [bert.answerer.ids(**request) for request in requests]
    for answer, alone in zip(asked_together(function, requests), expected, strict=True):
        assert {name: t.shape for name, t in answer.items()} == {name: t.shape for name, t in alone.items()}
        assert_same(answer, alone)


def test_a_request_of_more_rows_than_a_batch_is_answered_by_itself():
    bert, _ = small("tagging")
    function = text_signatures(bert, in_graph_batching=True)["serving_default"]
    request = columns(bert, TEXTS * 9)
    assert len(TEXTS) * 9 > batching.MAX_BATCH
    assert_same(function(**request), bert.answerer.text(request))


def test_a_request_of_nothing_is_answered():
    bert, _ = small("tagging")
    texts, ids = text_signatures(bert, in_graph_batching=True)["serving_default"], ids_signature(bert, True)
    assert len(texts(**columns(bert, tf.zeros([0], tf.string)))["count"]) == 0
    nothing, length = tf.zeros([2, 0], tf.int32), tf.constant([0, 3])
    request = {"token_ids": nothing, "segment_ids": nothing, "length": length}
    assert all(len(tensor) == 2 for tensor in ids(**request).values())


def test_requests_are_joined(patient):
    seen = []

    def function(tensors):
        tf.py_function(lambda x: seen.append(len(x)), [tensors["text"]], [])
        return {"same": tf.identity(tensors["text"])}

    run = tf.function(batching.joined(function, {"text": tf.TensorSpec([None], tf.string)}))
    requests = [{"tensors": {"text": tf.constant([str(i)])}} for i in range(6)]
    answers = asked_together(run, requests)
    assert [answer["same"].numpy()[0] for answer in answers] == [b"%d" % i for i in range(6)]
    assert sum(seen) == 6 and len(seen) < 6


def test_only_texts_of_like_size_are_joined(monkeypatch):
    monkeypatch.setattr(batching, "TIMEOUT_MICROS", 100_000)
    seen = []

    def function(tensors):
        tf.py_function(lambda x: seen.append(set(map(len, x.numpy()))), [tensors["text"]], [])
        return {"same": tf.identity(tensors["text"])}

    run = tf.function(batching.joined(function, {"text": tf.TensorSpec([None], tf.string)}))
    sizes = [5, 500, 40, 5000, 64, 300, 65, 1] * 2
    answers = asked_together(run, [{"tensors": {"text": tf.constant(["x" * size])}} for size in sizes])
    assert [len(answer["same"].numpy()[0]) for answer in answers] == sizes
    assert len(seen) < len(sizes)
    assert all(any(joined <= like for like in ({1, 5, 40, 64}, {65}, {300, 500}, {5000})) for joined in seen)


def test_lists_of_unequal_length_do_not_fail_one_another(monkeypatch):
    monkeypatch.setattr(batching, "TIMEOUT_MICROS", 100_000)
    bert, _ = small("multiple_choice")
    function = text_signatures(bert, in_graph_batching=True)["serving_default"]
    [text], [choices] = bert.task.columns, bert.task.list_columns
    requests = [
        {text: tf.constant(["a film"]), choices: tf.constant([["dull", "warm", "cold"][:count]])}
        for count in (2, 3, 2, 3)
    ]
    for request, answer in zip(requests, asked_together(function, requests), strict=True):
        assert_same(answer, bert.answerer.text(request))


def test_the_export_says_what_it_may_be_told(tmp_path):
    bert, _ = small("classification")
    report = bert.export(tmp_path / "joined", in_graph_batching=True)
    assert report["max_difference"] <= 1e-5 and "BatchFunction" in report["ops"]


def test_a_choice_that_is_not_there_is_the_same_to_a_file_of_one_length():
    bert, _ = small("multiple_choice")
    ids, none = tf.constant([[2, 5, 6, 3, 0, 0, 0, 0]]), tf.zeros([1, 8], tf.int32)
    static = static_signature(bert, 8)(token_ids=ids, segment_ids=none, padding_mask=none)
    alone = bert.answerer.ids(token_ids=ids[:, :4], segment_ids=none[:, :4], length=tf.constant([0]))
    np.testing.assert_allclose(static["score"], alone["score"], atol=1e-5)
