"""SavedModels: what is written, what is refused, and that nothing is published before it is proven."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.saved_model import loader_impl

from keras_bert.errors import ExportError, OutputError, UsageError
from keras_bert.export import export, saved_model
from keras_bert.export.signatures import DEFAULT, IDS, Served, ids_signature, text_signatures
from keras_bert.files.locks import folder_lock

ROWS = {
    "text": ["a film", "b", "zz 我."],
    "text_pair": ["good", "", "film."],
    "label": ["negative", "neither", "positive"],
}


@pytest.fixture(scope="module")
def report(bert, tmp_path_factory):
    """The report of one true export, with its fresh process."""
    return bert.export(tmp_path_factory.mktemp("out") / "serving", eval_file=ROWS)


def test_a_fresh_process_answers_as_the_model(bert, report):
    assert report["max_difference"] <= 1e-5
    assert report["agreement"] == 1.0
    expected = [row["scores"] for row in bert.predict(ROWS["text"], ROWS["text_pair"])]
    names = [(row["artefact"], row["asked"], row["change"]) for row in report["proof"]]
    assert names == [("serving/1", "text", 0), ("serving/1", "ids", 0), ("serving-ids/1", "ids", 0)]
    assert (
        json.loads(Path(report["path"], "assets.extra/proof.json").read_text())["artefacts"]
        == report["proof"]
    )
    assert np.ptp(np.array(expected)[:, 0]) > 1e-3, "the model answers every text alike, nothing is shown"


def test_the_report_can_be_written_as_json_and_tells_the_truth(bert, report):
    assert json.loads(json.dumps(report)) == report
    folder = report["path"]
    assert report["parameters"] == bert.model.count_params()
    assert report["bytes"] == sum(
        os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names
    )
    assert report["load_seconds"] > 0 and report["latency_ms"] > 0


def test_weights_are_stored_once(report):
    assert report["weights_bytes"] <= 1.02 * 4 * report["parameters"]
    assert report["ids_bytes"] < 1.2 * 4 * report["parameters"]


def test_the_signatures_are_strings_pairs_and_ids_under_the_names_of_the_road(report):
    names = ["text"], ["text", "text_pair"], ["token_ids", "segment_ids", "length"]
    assert {name: s["inputs"] for name, s in report["signatures"].items()} == {
        DEFAULT: names[0], "text_text_pair": names[1], IDS: names[2],
    }  # fmt: skip
    assert all(s["outputs"] == ["label", "score", "scores"] for s in report["signatures"].values())


def test_the_graph_has_nothing_that_other_runtimes_refuse(report):
    assert "Erf" in report["ops"]
    assert "Erfc" not in report["ops"]


def test_padding_is_left_out_but_for_runtimes_that_do_not_know_how(report):
    assert {"ScatterNd", "Where"} <= operations(report["path"])
    assert not {"ScatterNd", "GatherNd", "Cumsum"} & operations(report["ids_path"])


def operations(folder):
    graph = loader_impl.parse_saved_model(folder).meta_graphs[0].graph_def
    return {node.op for function in graph.library.function for node in function.node_def}


def test_a_model_that_computes_in_bfloat16_is_read_back_to_the_last_digit(bert, tmp_path):
    """Its two graphs round differently: each is asked for its own answers."""
    half = type(bert)(bert.config, bert.tokenizer, bert.task, dtype="mixed_bfloat16")
    half.model.set_weights(bert.model.get_weights())
    report = half.export(tmp_path / "serving", eval_file=ROWS)
    assert report["max_difference"] <= 1e-5 and report["agreement"] == 1.0


def test_what_a_client_needs_to_make_ids_lies_beside_the_graph(bert, report):
    for folder in (report["path"], report["ids_path"]):
        extra = os.path.join(folder, "assets.extra")
        with open(os.path.join(extra, "labels.json"), encoding="utf-8") as file:
            assert json.load(file) == list(bert.task.labels)
        assert type(bert.tokenizer).from_folder(extra).vocabulary.pieces == bert.tokenizer.vocabulary.pieces


@pytest.mark.slow
def test_the_ids_folder_answers_where_neither_tensorflow_text_nor_keras_bert_exists(bert, report):
    script = """
import json, sys
sys.modules["tensorflow_text"] = sys.modules["keras_bert"] = None
import tensorflow as tf
from tensorflow.python.saved_model import loader_impl
model = tf.saved_model.load(sys.argv[1])
tensors = [tf.constant(values, tf.int32) for values in json.loads(sys.argv[2])]
for name in ("ids", "serving_default"):
    answer = model.signatures[name](**dict(zip(["token_ids", "segment_ids", "length"], tensors)))
    print(json.dumps(answer["scores"].numpy().tolist()))
"""
    features = bert.preprocess(["a film", "cab"], ["b", "x y z"])
    length = np.sum(features["padding_mask"], axis=1)
    inputs = [np.asarray(features[name]).tolist() for name in ("token_ids", "segment_ids")]
    process = subprocess.run(
        [sys.executable, "-c", script, report["ids_path"], json.dumps([*inputs, length.tolist()])],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    expected = [row["scores"] for row in bert.predict(["a film", "cab"], ["b", "x y z"])]
    for line in process.stdout.splitlines():
        np.testing.assert_allclose(json.loads(line), expected, atol=1e-5)


def test_versions_count_up_and_nothing_else_is_left(bert, tmp_path, no_process):
    assert bert.export(tmp_path / "serving")["path"] == str(tmp_path / "serving" / "1")
    (tmp_path / "serving-ids" / "7").mkdir()  # the two folders have the same version, also where one is ahead
    assert bert.export(tmp_path / "serving")["path"] == str(tmp_path / "serving" / "8")
    assert sorted(os.listdir(tmp_path)) == ["serving", "serving-ids"]
    around = ["README.md", "client.py", "models.config"]
    assert sorted(os.listdir(tmp_path / "serving")) == ["1", "8", *around]
    assert sorted(os.listdir(tmp_path / "serving-ids")) == ["1", "7", "8", *around]


@pytest.mark.parametrize("number", [0, 1])
def test_a_difference_in_either_folder_publishes_nothing(bert, tmp_path, read_wrongly, number):
    read_wrongly(number)
    (tmp_path / "serving" / "4").mkdir(parents=True)
    with pytest.raises(ExportError, match="differs from the model by 0.00012"):
        bert.export(tmp_path / "serving")
    assert os.listdir(tmp_path / "serving") == ["4"]
    assert os.listdir(tmp_path / "serving-ids") == []


def test_a_full_disk_is_said_and_leaves_nothing(bert, tmp_path, no_process, monkeypatch):
    def save(module, folder, signatures):
        os.makedirs(os.path.join(folder, "variables"))
        raise tf.errors.ResourceExhaustedError(None, None, f"{folder}/variables; No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", save)
    with pytest.raises(OutputError, match="No space left"):
        bert.export(tmp_path / "serving")
    assert os.listdir(tmp_path / "serving") == []


def test_an_unwritable_folder_is_said_before_anything_is_written(bert, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="file"):
        bert.export(tmp_path / "file" / "serving")


def test_two_exports_at_once_are_refused(bert, tmp_path, no_process):
    with folder_lock(tmp_path / "serving"), pytest.raises(OutputError, match="Another process"):
        bert.export(tmp_path / "serving")


def test_weights_stored_twice_are_refused(bert, tmp_path):
    ids = ids_signature(bert)
    served = Served([ids])
    served.model = bert.model
    with pytest.raises(ExportError, match="more than once"):
        saved_model._save(bert, served, {IDS: ids}, [], tmp_path)


@pytest.mark.parametrize(("jit_compile", "fault"), [(False, "Erfc"), (True, "XLA")])
def test_operations_that_others_cannot_take_are_refused(tmp_path, jit_compile, fault):
    module = tf.Module()
    inner = tf.function(tf.math.tanh if jit_compile else tf.math.erfc, jit_compile=jit_compile)
    module.run = tf.function(lambda x: inner(x), input_signature=[tf.TensorSpec([None])])
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(ExportError, match=fault):
        saved_model._checked_ops(tmp_path)


def test_serving_default_takes_the_columns_it_is_told(bert):
    names = {name: sorted(f.structured_input_signature[1]) for name, f in text_signatures(bert).items()}
    assert names == {DEFAULT: ["text"], "text_text_pair": ["text", "text_pair"]}
    pairs = text_signatures(bert, columns=("text", "text_pair"))
    names = {name: sorted(f.structured_input_signature[1]) for name, f in pairs.items()}
    assert names == {DEFAULT: ["text", "text_pair"], "text": ["text"]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "coreml"}, "tf_saved_model, tflite, onnx"),
        ({"quantize": "float32"}, "of columns"),
        ({"columns": ["text", "title"]}, "title"),
        ({"columns": ["text_pair"]}, "needs the column 'text'"),
    ],
)
def test_what_does_not_exist_is_refused(bert, tmp_path, options, said):
    with pytest.raises(UsageError, match=said):
        export(bert, tmp_path / "serving", **{"format": "tf_saved_model", **options})
    assert os.listdir(tmp_path) == []


def test_padding_is_not_read_whatever_it_holds(bert):
    texts = tf.constant(["a film", "zz"])
    features = bert.preprocess(texts)
    length = tf.reduce_sum(features["padding_mask"], axis=1)
    padded = [
        tf.pad(features[name], [[0, 0], [0, 5]], constant_values=1) for name in ("token_ids", "segment_ids")
    ]
    answer = bert.answerer.ids(*padded, length)
    np.testing.assert_allclose(answer["scores"], bert.serve(texts)["scores"], atol=1e-5)
