"""The serving bundle: what the server and its operator find, held against TensorFlow Serving's own protos."""

import concurrent.futures
import json
import subprocess
import sys

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2, prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2
from test_scoring import small

from keras_bert.errors import ExportError
from keras_bert.export import serving
from keras_bert.export.client import Client
from keras_bert.files import manifest


@pytest.fixture(scope="module")
def bundle(bert, tmp_path_factory):
    """The folder of a true export with its fresh process."""
    out = tmp_path_factory.mktemp("out") / "film"
    bert.export(out)
    return out


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers Predict from a SavedModel, as the server does."""

    def __init__(self, folder):
        self.loaded = tf.saved_model.load(str(folder))

    def Predict(self, request, context):
        name = request.model_spec.signature_name or "serving_default"
        if request.model_spec.name != "film" or name not in self.loaded.signatures:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no {request.model_spec.name} {name}")
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        answer = predict_pb2.PredictResponse()
        for key, tensor in self.loaded.signatures[name](**inputs).items():
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
        return answer


@pytest.fixture(scope="module")
def address(bundle):
    """Where a gRPC server answers from the bundle."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(bundle / "1"), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@pytest.mark.slow
def test_a_client_gets_the_models_answers(bert, bundle, address):
    texts = ["A film.", "zz 我"]
    expected = bert.predict(texts)
    client = Client(address, "film")
    answer = client.predict(text=texts)
    assert [label.decode() for label in answer["label"]] == [row["label"] for row in expected]
    np.testing.assert_allclose(answer["scores"], [row["scores"] for row in expected], atol=1e-6)
    ids = bert.preprocess(texts)
    inputs = {name: ids[name].numpy() for name in ("token_ids", "segment_ids")}
    by_ids = client.predict("ids", **inputs, length=ids["padding_mask"].numpy().sum(axis=1))
    np.testing.assert_allclose(by_ids["scores"], answer["scores"], atol=1e-6)
    with pytest.raises(grpc.RpcError, match="no film nothing"):
        client.predict("nothing", text=texts)
    client.close()
    # The copy in the bundle, as an operator starts it.
    command = [sys.executable, bundle / "client.py", address, "film", "text=A film."]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert json.loads(printed)["label"] == [expected[0]["label"]]


@pytest.mark.slow
def test_the_server_is_warmed_up_with_every_signature(bundle):
    loaded = tf.saved_model.load(str(bundle / "1"))
    asked = {}
    for record in tf.data.TFRecordDataset(
        str(bundle / "1/assets.extra/tf_serving_warmup_requests")
    ).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        name = request.model_spec.signature_name
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        asked.setdefault(name, []).append(len(next(iter(inputs.values()))))
        loaded.signatures[name](**inputs)
    assert asked == dict.fromkeys(("serving_default", "text_text_pair", "ids"), [1, 2, 7])


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["film", "film-ids"])
def test_the_examples_are_requests_of_rest_with_their_answers(bundle, folder):
    version = bundle.with_name(folder) / "1"
    loaded = tf.saved_model.load(str(version))
    requests = sorted(version.glob("assets.extra/requests/*.json"))
    names = {file.name.removesuffix(".json").removesuffix(".answer") for file in requests}
    assert names == set(loaded.signatures)
    for name in names:
        request = json.loads((version / f"assets.extra/requests/{name}.json").read_text())
        assert request.keys() == {"signature_name", "inputs"} and request["signature_name"] == name
        signature = loaded.signatures[name]
        specs = signature.structured_input_signature[1]
        inputs = {key: tf.constant(value, specs[key].dtype) for key, value in request["inputs"].items()}
        expected = json.loads((version / f"assets.extra/requests/{name}.answer.json").read_text())["outputs"]
        for key, tensor in signature(**inputs).items():
            if tensor.dtype == tf.string:
                assert [text.decode() for text in tensor.numpy()] == expected[key]
            else:
                np.testing.assert_allclose(tensor, expected[key], atol=1e-6)


@pytest.mark.slow
def test_the_operators_files_say_what_is_there(bundle):
    config = text_format.Parse(
        (bundle / "models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    [model] = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("film", "/models/film", "tensorflow")
    readme = (bundle / "README.md").read_text()
    assert '-v "$PWD:/models/film" -e MODEL_NAME=film' in readme
    assert "| `text_text_pair` | text, text_pair | label, score, scores |" in readme
    assert (bundle / "1/batching_params.pbtxt").read_text().splitlines()[-1].endswith(": true")
    # What the server reads of the model's folder is the version alone.
    assert [child.name for child in bundle.iterdir() if child.is_dir()] == ["1"]


@pytest.mark.slow
def test_every_file_of_a_version_has_its_fingerprint(bundle, tmp_path):
    version = bundle / "1"
    entries = json.loads((version / serving.MANIFEST).read_text())
    files = {p.relative_to(version).as_posix() for p in version.rglob("*") if p.is_file()}
    assert entries.keys() == files - {serving.MANIFEST}
    assert manifest.verify(version, entries) == []


def test_a_list_of_texts_is_not_padded_with_its_first_one(tmp_path):
    serving.write_batching(tmp_path, pads_inputs=False)
    assert "pad_variable_length_inputs: false" in (tmp_path / "batching_params.pbtxt").read_text()


def test_a_list_of_texts_may_be_filled_as_the_page_says(tmp_path, no_process):
    bert, _ = small("multiple_choice")
    bert.export(tmp_path / "choices")
    assert 'fill the shorter lists with ""' in (tmp_path / "choices" / "README.md").read_text()
    question, lists = bert.task.columns[0], bert.task.list_columns[0]
    texts = {question: tf.constant(["a warm film"])}
    short = bert.answerer.text({**texts, lists: tf.constant([["dull", "funny"]])})
    filled = bert.answerer.text({**texts, lists: tf.constant([["dull", "funny", "", ""]])})
    np.testing.assert_allclose(filled["scores"][:, :2], short["scores"], atol=1e-6)
    assert not np.any(filled["scores"][:, 2:] > 1e-6)


@pytest.mark.slow
def test_warm_up_requests_that_fail_are_found_before_the_server_finds_them(bert, tmp_path, monkeypatch):
    right = serving.write_requests

    def wrong(stage, questions):
        right(stage, questions)
        with tf.io.TFRecordWriter(str(stage / serving.readback.WARM_UP)) as writer:
            writer.write(serving.prediction_log_of("serving_default", {"title": np.array([b"a"], object)}))

    monkeypatch.setattr(serving, "write_requests", wrong)
    with pytest.raises(ExportError, match="nothing was published.*missing required arguments"):
        bert.export(tmp_path / "film")
    assert not list(tmp_path.glob("film*/*/saved_model.pb"))
