"""What counts as a difference between a model and what was read back."""

import numpy as np
import pytest

from keras_bert.errors import ExportError
from keras_bert.export import probes, proof, readback

SCORES = np.array([[0.9, 0.1], [0.52, 0.48], [0.2, 0.8]], "float32")
LABELS = np.array([b"a", b"a", b"b"], object)


def check(answer, given=False, **limits):
    question = proof.Question("s", {}, {"scores": SCORES, "label": LABELS}, given)
    return proof.check([question], [answer], where="out", **limits)


def test_equal_answers_differ_by_nothing():
    answer = {"scores": SCORES, "label": LABELS}
    assert check(answer, tolerance=0.0) == {"max_difference": 0.0, "agreement": 1.0}


@pytest.mark.parametrize(
    "answer",
    [
        {"scores": SCORES},
        {"scores": SCORES, "labels": LABELS},
        {"scores": SCORES, "label": LABELS, "more": LABELS},
        {"scores": SCORES[:, :1], "label": LABELS},
        {"scores": SCORES[:2], "label": LABELS},
        {"scores": SCORES * np.float32(np.nan), "label": LABELS},
        {"scores": SCORES + np.float32(2e-5), "label": LABELS},
        {"scores": SCORES, "label": LABELS[::-1]},
    ],
)
def test_other_names_shapes_numbers_and_strings_are_differences(answer):
    with pytest.raises(ExportError, match="differs from the model"):
        check(answer, tolerance=1e-5)


def test_values_beyond_one_are_compared_relative_to_the_largest():
    question = proof.Question("s", {}, {"x": np.array([[100.0, 0.0]], "float32")})
    report = proof.check([question], [{"x": np.array([[101.0, 0.5]], "float32")}], where="out")
    assert report["max_difference"] == pytest.approx(0.01)


def test_a_near_tie_may_fall_to_the_other_side_but_a_clear_row_may_not():
    near = {"scores": SCORES.copy(), "label": LABELS}
    near["scores"][1] = 0.48, 0.52
    assert check(near, min_agreement=0.9)["agreement"] == pytest.approx(2 / 3)
    clear = {"scores": SCORES.copy(), "label": LABELS}
    clear["scores"][0] = 0.1, 0.9
    with pytest.raises(ExportError, match="50.0% of the rows"):
        check(clear, min_agreement=0.9)


def test_no_number_is_never_agreement():
    with pytest.raises(ExportError, match="finite"):
        check({"scores": SCORES * np.float32(np.inf), "label": LABELS}, min_agreement=0.0)


def test_only_decisions_about_real_tokens_count():
    scores = np.array([[[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]], "float32")  # (B, T, C)
    other = scores.copy()
    other[0, 2] = 0.3, 0.7
    ids = {"token_ids": np.ones((1, 3)), "length": np.array([2])}
    for inputs in ({"padding_mask": np.array([[1, 1, 0]])}, ids):
        question = proof.Question("s", inputs, {"scores": scores})
        report = proof.check([question], [{"scores": other}], where="out", min_agreement=1.0)
        assert report["agreement"] == 1.0
    question = proof.Question("s", {"text": np.array([b"a"], object)}, {"scores": scores})
    assert proof.check([question], [{"scores": other}], where="out")["agreement"] == pytest.approx(2 / 3)


def test_an_embedding_is_the_same_by_its_direction_not_by_its_largest_value():
    question = proof.Question("s", {}, {"embedding": np.array([[0.6, 0.61, 0.5]], "float32")})
    near = {"embedding": np.array([[0.61, 0.6, 0.5]], "float32")}
    assert proof.check([question], [near], where="out", min_agreement=1.0)["agreement"] == 1.0
    far = {"embedding": np.array([[0.1, 0.9, -0.4]], "float32")}
    with pytest.raises(ExportError, match="100.0% of the rows"):
        proof.check([question], [far], where="out", min_agreement=0.9)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0.1, np.pi], [1e-38, -0.0]], "float32"),
        np.array([[1, -2]], "int32"),
        np.array([b"", b"\xff\x00", "我".encode()], object),
        np.zeros([0, 3], "float32"),
    ],
)
def test_tensors_travel_between_processes_exactly(array):
    back = readback.from_json(readback.to_json(array))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes() if array.dtype != object else back.tolist() == array.tolist()


def test_an_artefact_that_cannot_be_opened_is_said(tmp_path):
    artefact = proof.Artefact("tflite", tmp_path / "no.tflite", (), [])
    with pytest.raises(ExportError, match="cannot be read back.*no.tflite"):
        proof.ask([artefact])


def test_every_built_in_text_is_asked_in_several_batch_sizes(bert):
    questions = probes.text_questions(bert, {"pairs": ["text", "text_pair"]})
    assert {len(question.expected["score"]) for question in questions} == {1, 2, 7}
    for column in ("text", "text_pair"):
        asked = [text for question in questions for text in question.inputs[column]]
        assert sorted(asked) == sorted(text.encode() for text in probes.TEXTS)


def test_ids_are_asked_with_more_padding_than_they_need(bert):
    questions = probes.ids_questions(bert, "ids")
    spare = [q.inputs["token_ids"].shape[1] - q.inputs["length"].max() for q in questions]
    assert 0 in spare and max(spare) > 0
    assert all((q.inputs["token_ids"][:, -1] != 0).any() for q in questions)
