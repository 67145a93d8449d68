"""Exports scored on the user's rows: every task, every artefact, and what is not published."""

import functools
import json

import numpy as np
import pytest
import unread
from test_every_task import EXAMPLES, PIECES, WINDOWS, parts

import keras_bert as kb
from keras_bert.errors import ExportError, UsageError
from keras_bert.export import proof, saved_model
from keras_bert.export.scoring import Evaluation

NAMES = [name for name in EXAMPLES if name != "pretraining"]
WITH_WINDOWS = ("classification", "tagging")


def small(name, **more):
    """(a `Bert` with random weights, rows with labels as `evaluate` takes them)."""
    settings, rows, *_ = EXAMPLES[name]
    config = kb.BertConfig(len(PIECES), 1, 2, 8, 16, max_sequence_length=24, initializer_range=0.3)
    bert = kb.Bert.from_config(config, kb.Tokenizer(PIECES), name, **{**settings, **more})
    return bert, parts(None) if bert.task.parts else rows


@pytest.mark.parametrize(
    ("name", "more"),
    [*((name, {}) for name in NAMES), *((name, {**WINDOWS, "crf": False}) for name in ["tagging"]),
     ("classification", WINDOWS)],
    ids=str,
)  # fmt: skip
def test_answers_to_ids_are_completed_to_the_answers_to_texts(name, more):
    # Where an artefact answers as the model, it has the model's score, whatever it was asked.
    bert, rows = small(name, **more)
    evaluation = Evaluation(bert, rows)
    expected = [part.expected for part in evaluation.parts]
    for batches in (
        evaluation.ids_batches("ids"),
        evaluation.static_batches({bert.task.max_length: "s", 5: "short"}),
    ):
        given = [[None] * len(part.gold) for part in evaluation.parts]
        for batch in batches:
            answers = [question.expected for question in batch.questions]
            evaluation._keep(given[batch.part], batch.indices, evaluation._rows(batch, answers))
        for a, b in zip(given, expected, strict=True):
            assert_alike(a, b)


def assert_alike(given, expected):
    if isinstance(expected, dict):
        assert given.keys() == expected.keys()
        given, expected = list(given.values()), list(expected.values())
    if isinstance(expected, list):
        assert len(given) == len(expected)
        for a, b in zip(given, expected, strict=True):
            assert_alike(a, b)
    else:
        assert given == (pytest.approx(expected, abs=1e-5) if isinstance(expected, float) else expected)


@pytest.fixture
def wrong(monkeypatch):
    """Lets what is read back answer with the classes exchanged, to ids or to all."""

    def spoil(is_wrong):
        def answer(question):
            return flipped(question) if question.given and is_wrong(question) else question.expected

        monkeypatch.setattr(proof, "ask", functools.partial(unread.ask, answer=answer))

    return spoil


def flipped(question):
    other = {b"bad": b"good", b"good": b"bad"}
    answer = dict(question.expected)
    answer["scores"] = answer["scores"][:, ::-1]
    if "label" in answer:
        answer["label"] = np.array([other[label] for label in answer["label"]], object)
    return answer


@pytest.mark.parametrize("asked", ["texts", "ids"])
def test_an_export_that_loses_points_is_not_published(tmp_path, monkeypatch, wrong, asked):
    bert, rows = small("classification")
    rows = relabelled(bert, rows)
    wrong(lambda question: ("text" in question.inputs) == (asked == "texts"))
    # The tolerance on numbers would find it first: here the score alone is to say.
    monkeypatch.setattr(saved_model, "TOLERANCE", 1.0)
    with pytest.raises(ExportError, match=r"loses 100.00 points of accuracy.*nothing was published"):
        bert.export(tmp_path / "serving", eval_file=rows)
    assert not list(tmp_path.glob("serving*/[0-9]*"))


def relabelled(bert, rows):
    """The rows with what the model answers as the right answer."""
    answers = bert.predict([row["text"] for row in rows])
    return [{**row, "label": answer["label"]} for row, answer in zip(rows, answers, strict=True)]


def test_a_file_with_rounded_weights_is_judged_by_its_score(tmp_path, wrong):
    bert, rows = small("classification")
    rows = relabelled(bert, rows)
    wrong(lambda question: question.inputs["padding_mask"].sum() == 5)  # "a warm film"
    given = {"format": "tflite", "quantize": "dynamic_int8", "length": 24, "eval_file": rows}
    (tmp_path / "model.tflite").write_bytes(b"the one before")
    with pytest.raises(ExportError, match="loses 33.33 points of accuracy, 1.0000 of the model"):
        bert.export(tmp_path / "model.tflite", **given)
    assert (tmp_path / "model.tflite").read_bytes() == b"the one before"
    assert not (tmp_path / "model.proof.json").exists()
    report = bert.export(tmp_path / "model.tflite", **given, max_metric_drop=34)
    [row] = report["proof"]
    assert row["change"] == pytest.approx(-100 / 3) and row["agreement"] == pytest.approx(2 / 3)
    document = json.loads((tmp_path / "model.proof.json").read_text())
    assert document["artefacts"] == [row] and document["model"]["accuracy"] == 1.0
    assert "-33.33" in (tmp_path / "model.proof.txt").read_text()


def test_rows_that_no_signature_takes_are_refused_before_anything_is_written(tmp_path):
    bert, rows = small("classification")
    with pytest.raises(UsageError, match="max_metric_drop"):
        bert.export(tmp_path / "s", eval_file=rows, max_metric_drop=-1)
    bert, rows = small("multi_task")
    with pytest.raises(UsageError, match="mood=FILE, things=FILE"):
        bert.export(tmp_path / "s", eval_file=rows["mood"])
    bert, _ = small("pretraining")
    with pytest.raises(UsageError, match="no rows to score"):
        bert.export(tmp_path / "s", eval_file=[{"text": "a"}])
    assert list(tmp_path.iterdir()) == []
