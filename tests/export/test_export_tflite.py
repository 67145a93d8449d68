"""TFLite files: the same answers from built-in operations, float32 and with weights of 8 bits."""

import importlib.util
import json
import os

import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import keras_bert as kb
from keras_bert.errors import ExportError, MissingExtraError, OutputError, UsageError
from keras_bert.export import conversion, export
from keras_bert.export.signatures import Served, static_signature

ROWS = {
    "text": ["a film", "b", "zz 我."],
    "text_pair": ["good", "", "film."],
    "label": ["negative", "neither", "positive"],
}
PLAIN = ("dynamic_int8", "float16", "float32")


@pytest.fixture(scope="module")
def reports(bert, tmp_path_factory):
    """The reports of true exports, read back in fresh processes."""
    folder = tmp_path_factory.mktemp("out")
    return {
        quantize: bert.export(
            folder / f"{quantize}.tflite",
            format="tflite",
            quantize=quantize,
            eval_file=ROWS,
            max_metric_drop=100.0,
        )
        for quantize in PLAIN
    }


def test_float32_answers_as_the_model(bert, reports):
    assert reports["float32"]["max_difference"] <= 1e-5
    [proven] = reports["float32"]["proof"]
    assert proven["scores"] == {k: v for k, v in bert.evaluate(ROWS).items() if k != "rows"}
    assert proven["change"] == 0 and proven["max_difference"] <= 1e-5


def test_weights_of_8_bits_are_a_quarter_and_answer_nearly_the_same(reports):
    small, whole = reports["dynamic_int8"], reports["float32"]
    assert small["weights_bytes"] < 0.27 * whole["weights_bytes"]
    assert 0 < small["max_difference"] < 0.05


def test_weights_of_16_bits_are_half_and_answer_almost_the_same(reports):
    half, whole = reports["float16"], reports["float32"]
    assert half["weights_bytes"] < 0.52 * whole["weights_bytes"]
    assert half["max_difference"] < 1e-3


@pytest.mark.slow
def test_several_lengths_are_signatures_of_one_file_that_has_the_weights_once(bert, tmp_path, reports):
    scored = {"eval_file": ROWS, "max_metric_drop": 0}
    options = {"format": "tflite", "quantize": "float32", "length": [8, 32, 16]}
    report = bert.export(tmp_path / "model.tflite", **options, **scored)
    assert report["lengths"] == {"serving_default": 32, "length_16": 16, "length_8": 8}
    assert report["max_difference"] <= 1e-5 and report["proof"][0]["agreement"] == 1.0
    assert report["bytes"] < reports["float32"]["bytes"] + 2 * 150_000
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    for name, length in report["lengths"].items():
        details = interpreter.get_signature_runner(name).get_input_details()
        assert {tuple(each["shape"]) for each in details.values()} == {(1, length)}


@pytest.mark.slow
def test_a_real_model_shrinks_to_a_quarter(minilm_folder, tmp_path, no_process):
    bert = kb.load(minilm_folder, task="classification", labels=["negative", "positive"])
    size = {
        quantize: bert.export(tmp_path / quantize, format="tflite", quantize=quantize)["bytes"]
        for quantize in PLAIN
    }
    assert size["dynamic_int8"] <= 0.27 * size["float32"]


@pytest.mark.parametrize("quantize", PLAIN)
def test_every_operation_is_built_in_and_gelu_is_one(bert, reports, quantize):
    counts = reports[quantize]["op_counts"]
    assert counts["GELU"] == bert.config.num_layers
    assert not {"CUSTOM", "ERF"} & set(counts)
    assert reports[quantize]["ops"] == sorted(counts)


def test_the_report_can_be_written_as_json_and_tells_the_truth(reports):
    for report in reports.values():
        assert json.loads(json.dumps(report)) == report
        assert report["bytes"] == os.path.getsize(report["path"])
        [signature] = report["signatures"].values()
        assert sorted(signature["inputs"]) == ["padding_mask", "segment_ids", "token_ids"]
        assert signature["outputs"] == ["score", "scores"]
        assert (report["lengths"], report["labels"]) == (
            {"serving_default": 32},
            ["negative", "positive", "neither"],
        )


def test_the_approximate_gelu_is_fused_too(small_bert, tmp_path):
    bert = small_bert(activation="gelu_approximate")
    function = static_signature(bert, length=12)
    made = conversion.convert(Served([function]), {"s": function}, "float32")
    (tmp_path / "model.tflite").write_bytes(made)
    assert conversion.contents(tmp_path / "model.tflite")["ops"]["GELU"] == bert.config.num_layers


def test_a_difference_leaves_the_old_file(bert, tmp_path, read_wrongly):
    read_wrongly(0)
    (tmp_path / "model.tflite").write_bytes(b"old")
    with pytest.raises(ExportError, match="differs"):
        bert.export(tmp_path / "model.tflite", format="tflite", quantize="float32")
    assert os.listdir(tmp_path) == ["model.tflite"]
    assert (tmp_path / "model.tflite").read_bytes() == b"old"


def test_an_unwritable_file_is_said(bert, tmp_path, no_process):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="file"):
        bert.export(tmp_path / "file" / "model.tflite", format="tflite")


def test_an_operation_that_is_not_built_in_is_refused(tmp_path):
    module = tf.Module()
    function = tf.function(tf.math.erfc).get_concrete_function(tf.TensorSpec([4]))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.allow_custom_ops = True
    (tmp_path / "model.tflite").write_bytes(converter.convert())
    with pytest.raises(ExportError, match="Erfc"):
        conversion.contents(tmp_path / "model.tflite", custom_ops=["Erf"])


def test_a_missing_reader_is_said_with_the_command_that_installs_it(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install"):
        bert.export(tmp_path / "model.tflite", format="tflite")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantize": "int4"}, "dynamic_int8, float16, float32"),
        ({"length": 513}, "to 512"),
        ({"length": 4}, "from 5"),
        ({"length": [32, True]}, "The length is True"),
        ({"length": []}, "from 5 to 512"),
        ({"columns": ["text"]}, "no option 'columns'"),
        ({"quantize": "full_int8"}, "full_int8 needs rows to calibrate with"),
        ({"calibration_file": ROWS}, "full_int8 alone takes rows"),
        ({"calibration_file": ROWS, "quantize": "full_int8", "text_input": True}, "full_int8 takes ids"),
        ({"text_input": True, "length": [8, 16]}, "has one length"),
    ],
)
def test_what_does_not_exist_is_refused(bert, tmp_path, options, said):
    with pytest.raises(UsageError, match=said):
        export(bert, tmp_path / "model.tflite", format="tflite", **options)
    assert os.listdir(tmp_path) == []
