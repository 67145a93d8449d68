"""Activations of 8 bits: what they are laid over, and what survives it."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

import keras_bert as kb
from keras_bert.errors import DataError, ExportError, UsageError
from keras_bert.export import calibration, export, tflite
from keras_bert.layers import attention

WORDS = ["a film", "b", "zz 我.", "no film was ever like it", "film film film"]
ROWS = {
    "text": [f"{WORDS[i % 5]} {WORDS[i % 3]}" for i in range(60)],
    "label": [("negative", "neither", "positive")[i % 3] for i in range(60)],
}


def _export(bert, path, **options):
    return export(
        bert, path, format="tflite", quantize="full_int8", calibration_file=ROWS, length=16, **options
    )


@pytest.mark.slow
def test_the_products_compute_in_8_bits_and_the_decisions_stay(bert, tmp_path):
    report = _export(bert, tmp_path / "model.tflite")
    assert report["agreement"] >= 0.9 and report["max_difference"] < 0.1
    assert report["op_counts"]["QUANTIZE"] >= 2 * bert.config.num_layers
    assert report["weights_bytes"] < 0.5 * 4 * report["parameters"]
    # 255 steps over scores, and over what hides a key: with the usual -1e9 one step would be four million.
    assert 0 < max(_softmax_steps(tmp_path / "model.tflite")) < 1


def _softmax_steps(file) -> list:
    """The step between two values of what every softmax is given."""
    model = schema.Model.GetRootAs(file.read_bytes(), 0)
    graph, steps = model.Subgraphs(0), []
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        if model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode() == schema.BuiltinOperator.SOFTMAX:
            given = graph.Tensors(operator.Inputs(0))
            assert given.Type() == schema.TensorType.INT8
            steps += list(given.Quantization().ScaleAsNumpy())
    return steps


@pytest.mark.slow
def test_several_lengths_are_calibrated_each(bert, tmp_path, no_process):
    options = {"format": "tflite", "quantize": "full_int8", "calibration_file": ROWS, "length": [16, 8]}
    report = export(bert, tmp_path / "model.tflite", **options)
    assert report["lengths"] == {"serving_default": 16, "length_8": 8}


def test_what_agrees_too_seldom_on_the_users_rows_is_refused_with_the_figures(
    bert, tmp_path, no_process, monkeypatch
):
    monkeypatch.setattr(tflite, "convert", lambda *args: b"")
    monkeypatch.setattr(
        tflite, "contents", lambda *args: {"ops": {}, "weights_bytes": 0, "min_runtime_version": ""}
    )
    monkeypatch.setattr(tflite, "MIN_FULL_AGREEMENT", 1.01)
    with pytest.raises(
        ExportError, match=r"100.0% of the decisions agree \(accuracy 0\.\d+ against 0\.\d+\)"
    ):
        _export(bert, tmp_path / "model.tflite", eval_file=ROWS)
    assert not list(tmp_path.iterdir())


def test_a_hidden_key_gets_next_to_nothing_and_the_usual_score_comes_back():
    mask = tf.constant([[1, 1, 0]])
    with pytest.raises(ZeroDivisionError), attention.hidden_score(-30.0):
        np.testing.assert_array_equal(attention.attention_bias(mask)[0, 0, 0], [0, 0, -30])
        raise ZeroDivisionError
    np.testing.assert_array_equal(attention.attention_bias(mask)[0, 0, 0], np.float32([0, 0, -1e9]))


def test_rows_are_taken_evenly_and_put_to_every_length(bert, monkeypatch):
    monkeypatch.setattr(calibration, "MAX_ROWS", 12)
    calls = list(calibration.calibration_calls(bert, ROWS, {16: "serving_default", 8: "length_8"})())
    assert [name for name, _ in calls] == ["serving_default"] * 12 + ["length_8"] * 12
    assert {inputs["token_ids"].shape for _, inputs in calls} == {(1, 16), (1, 8)}
    first = bert.preprocess([ROWS["text"][0]])["token_ids"].numpy()[0]
    np.testing.assert_array_equal(calls[0][1]["token_ids"][0, : len(first)], first)
    last = bert.preprocess([ROWS["text"][-1]])["token_ids"].numpy()[0]
    np.testing.assert_array_equal(calls[11][1]["token_ids"][0, : len(last)], last)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({name: values[:49] for name, values in ROWS.items()}, "There are 49 rows"),
        ({"text": ROWS["text"], "label": ["neither"] * 60}, "All rows have the label"),
        ({"text": ROWS["text"]}, "label"),
    ],
)
def test_rows_that_show_too_little_are_refused(bert, tmp_path, rows, said):
    options = {"format": "tflite", "quantize": "full_int8", "calibration_file": rows}
    with pytest.raises(DataError, match=said):
        export(bert, tmp_path / "model.tflite", **options)
    assert not list(tmp_path.iterdir())


def test_every_part_of_a_task_has_rows_of_its_own(tmp_path, bert):
    parts = {name: {"name": "classification", "labels": ["x", "y"]} for name in ("one", "two")}
    both = kb.Bert.from_config(bert.config, bert.tokenizer, "multi_task", parts=parts, max_length=32)
    rows = {"text": ROWS["text"], "label": ["x", "y"] * 30}
    with pytest.raises(DataError, match="Not every part"):
        calibration.calibration_calls(both, {"one": rows}, {16: "serving_default"})
    calls = list(calibration.calibration_calls(both, {"one": rows, "two": rows}, {16: "serving_default"})())
    assert len(calls) == 120 and set(calls[0]) >= {"token_ids", "segment_ids", "padding_mask"}


def test_a_loop_is_refused_at_which_the_calibration_would_end_the_process(bert, tmp_path):
    tagger = kb.Bert.from_config(
        bert.config, bert.tokenizer, "tagging", labels=["X"], crf=True, max_length=32
    )
    rows = [{"text": "a film", "spans": [{"start": 2, "end": 6, "label": "X"}]}] * 60
    options = {"format": "tflite", "quantize": "full_int8", "calibration_file": rows}
    with pytest.raises(ExportError, match="has a loop"):
        export(tagger, tmp_path / "model.tflite", **options)
    assert not list(tmp_path.iterdir())


def test_a_task_without_rows_is_refused(bert):
    pretraining = kb.Bert.from_config(bert.config, bert.tokenizer, "pretraining", max_length=32)
    with pytest.raises(UsageError, match="no rows to calibrate with"):
        calibration.calibration_calls(pretraining, ROWS, {16: "serving_default"})
