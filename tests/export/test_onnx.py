"""ONNX files: the ids signature of the model, converted by tf2onnx and read back by ONNX Runtime."""

import importlib.util

import numpy as np
import onnxruntime
import pytest

from keras_bert.errors import ExportError, MissingExtraError, UsageError
from keras_bert.export import export, onnx

ROWS = {"text": ["a film", "b", "zz 我."], "label": ["negative", "neither", "positive"]}


@pytest.fixture(scope="module")
def report(bert, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "model.onnx"
    return export(bert, path, format="onnx", eval_file=ROWS, max_metric_drop=0)


def test_a_file_answers_as_the_model_at_every_length(bert, report):
    assert report["max_difference"] <= 1e-5 and report["agreement"] == 1.0
    session = onnxruntime.InferenceSession(report["path"], providers=["CPUExecutionProvider"])
    assert {i.name: i.type for i in session.get_inputs()} == dict.fromkeys(
        ("token_ids", "segment_ids", "length"), "tensor(int32)"
    )
    features = bert.preprocess(["a film", "zz 我. b b b b"])
    ids = {name: features[name].numpy() for name in ("token_ids", "segment_ids")}
    ids["length"] = features["padding_mask"].numpy().sum(axis=1, dtype=np.int32)
    [scores] = session.run(["scores"], ids)
    expected = [row["scores"] for row in bert.predict(["a film", "zz 我. b b b b"])]
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_it_is_scored_and_the_weights_are_there_once(report, bert):
    assert report["proof"][0]["scores"] == {k: v for k, v in bert.evaluate(ROWS).items() if k != "rows"}
    assert report["bytes"] < 1.05 * 4 * report["parameters"] + 200_000
    assert report["signatures"]["ids"]["outputs"] == ["score", "scores"]


def test_what_cannot_be_converted_leaves_the_old_file(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "OPSET", 1)
    (tmp_path / "model.onnx").write_bytes(b"old")
    with pytest.raises(ExportError, match="tf2onnx cannot convert"):
        export(bert, tmp_path / "model.onnx", format="onnx")
    assert (tmp_path / "model.onnx").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("package", ["tf2onnx", "onnxruntime"])
def test_a_missing_package_is_said(bert, tmp_path, monkeypatch, package):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    with pytest.raises(MissingExtraError, match=package):
        export(bert, tmp_path / "model.onnx", format="onnx")


def test_options_of_other_formats_are_refused(bert, tmp_path):
    with pytest.raises(UsageError, match="no option 'quantize'"):
        export(bert, tmp_path / "model.onnx", format="onnx", quantize="float16")
