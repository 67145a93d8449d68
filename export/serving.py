"""What TensorFlow Serving and its operator find beside the graph, so that a folder only has to be mounted.

OUT/README.md                  how to serve it: the docker line, the signatures, the requests
OUT/models.config              for a server of several models
OUT/client.py                  a client for gRPC
OUT/3/                         the version; what follows is written before it appears
  batching_params.pbtxt        how requests are joined
  assets.extra/
    tf_serving_warmup_requests   requests that the server sends to itself before it serves
    requests/SIGNATURE.json      a request as REST takes it, and `.answer.json`, the answer to it
    vocab.txt, labels.json ...   for clients that make ids themselves
    manifest.json                the SHA-256 of every file of the version
"""

import base64
import json
import pathlib
import shutil

import numpy as np
import tensorflow as tf

from keras_bert.export import readback
from keras_bert.export.batching import MAX_BATCH, MAX_ENQUEUED, TIMEOUT_MICROS
from keras_bert.files.atomic import atomic_file
from keras_bert.files.manifest import hash_files

MANIFEST = "assets.extra/manifest.json"
WARM_UP_QUESTIONS = 3  # of every signature: they differ in batch size, see `probes`
IMAGE = "tensorflow/serving"


def write_requests(stage, questions: list):
    """Writes the warm-up requests and one example for every signature into a version.

    Args:
        stage: path. The folder of the version.
        questions: list of Question.
    """
    by_signature = {}
    for question in questions:
        by_signature.setdefault(question.signature, []).append(question)
    extra = pathlib.Path(stage, "assets.extra")
    with tf.io.TFRecordWriter(str(pathlib.Path(stage, readback.WARM_UP))) as writer:
        for name, asked in by_signature.items():
            for question in asked[:WARM_UP_QUESTIONS]:
                writer.write(prediction_log_of(name, question.inputs))
    folder = extra / "requests"
    folder.mkdir()
    for name, asked in by_signature.items():
        request = {"signature_name": name, "inputs": json_values(asked[0].inputs)}
        _write_json(folder / f"{name}.json", request)
        _write_json(folder / f"{name}.answer.json", {"outputs": json_values(asked[0].expected)})


def write_batching(stage, pads_inputs: bool):
    """Writes `batching_params.pbtxt`, which the server reads with --enable_per_model_batching_parameters.

    Args:
        stage: path. The folder of the version.
        pads_inputs: bool. Whether the server may join requests of unequal length. It repeats the first
            element: ids are safe, for they come with their length; a list of texts would get one twice.
    """
    lines = [
        f"max_batch_size {{ value: {MAX_BATCH} }}",
        f"batch_timeout_micros {{ value: {TIMEOUT_MICROS} }}",
        f"max_enqueued_batches {{ value: {MAX_ENQUEUED} }}",
        f"pad_variable_length_inputs: {str(pads_inputs).lower()}",
    ]
    pathlib.Path(stage, "batching_params.pbtxt").write_text("\n".join(lines) + "\n", encoding="ascii")


def write_manifest(stage):
    """Writes the fingerprints of all files of a version; nothing may be written into it afterwards."""
    names = sorted(file.relative_to(stage).as_posix() for file in stage.rglob("*") if file.is_file())
    _write_json(stage / MANIFEST, hash_files(stage, names))


def write_around(out, version: str, task, signatures: dict):
    """Writes what lies beside the versions: README.md, models.config, client.py.

    Args:
        out: path. The folder of the versions.
        version: str. The newest.
        task: Task.
        signatures: dict of str to {"inputs", "outputs"}: names.
    """
    config = (
        "model_config_list {\n  config {\n"
        f'    name: "{out.name}"\n    base_path: "/models/{out.name}"\n    model_platform: "tensorflow"\n'
        "  }\n}\n"
    )
    with atomic_file(out / "models.config") as file:
        file.write_text(config, encoding="utf-8")
    with atomic_file(out / "client.py") as file:
        shutil.copyfile(pathlib.Path(__file__).with_name("client.py"), file)
    with atomic_file(out / "README.md") as file:
        file.write_text(_readme(out.name, version, task, signatures), encoding="utf-8")


def _readme(name, version, task, signatures) -> str:
    rows = [
        f"| `{signature}` | {', '.join(each['inputs'])} | {', '.join(each['outputs'])} |"
        for signature, each in signatures.items()
    ]
    texts = " ".join(f'{column}="..."' for column in signatures["serving_default"]["inputs"])
    by_text = f"python client.py localhost:8500 {name} {texts}\n" if task.columns[0] in texts else ""
    return f"""# {name}

A model for the task `{task.name}`, written by keras_bert. Serve it from this folder:

```bash
docker run --rm -p 8500:8500 -p 8501:8501 -v "$PWD:/models/{name}" -e MODEL_NAME={name} {IMAGE} \\
    --enable_batching --enable_per_model_batching_parameters
curl http://localhost:8501/v1/models/{name}:predict -d @{version}/assets.extra/requests/serving_default.json
{by_text}```

| signature | takes | answers |
|---|---|---|
{chr(10).join(rows)}

Every version has under `assets.extra/requests/` a request for every signature, as REST takes it, and the
answer; `tf_serving_warmup_requests`, which the server sends to itself before it serves; `proof.json`, if it
was scored on an evaluation file; and in `manifest.json` the SHA-256 of every file.

A new version appears in one rename and under a higher number; the server takes it up by itself. To go back,
delete the folder of the newer one. `models.config` is for a server of several models
(`--model_config_file=/models/{name}/models.config`).

The signature `ids` rebuilds the padding mask from `length`, so that requests of unequal length can be joined.
{_on_lists(task)}"""


def _on_lists(task) -> str:
    """What a client must know where a row has a list of texts."""
    if not task.list_columns:
        return ""
    names = " and ".join(f"`{name}`" for name in task.list_columns)
    return f"""
The server joins only requests with equally many texts a row in {names}: fill the shorter lists with "", which
is no answer, or serve without `--enable_batching`.
"""


def prediction_log_of(signature: str, inputs: dict) -> bytes:
    """A request to a signature as a record of the warm-up file."""
    log = readback.prediction_log()()
    request = log.predict_log.request
    request.model_spec.signature_name = signature
    for name, array in inputs.items():
        entry = request.inputs.add()
        entry.key, entry.value = name, tf.make_tensor_proto(array).SerializeToString()
    return log.SerializeToString()


def json_values(arrays: dict) -> dict:
    """Arrays by name as JSON has them."""
    return {name: _values(array) for name, array in arrays.items()}


def _values(array):
    """As REST has it: a text, or `{"b64": ...}` where the bytes are none."""
    if array.dtype != object:
        return array.tolist()
    values = np.empty(array.size, object)
    for i, value in enumerate(array.ravel()):
        try:
            values[i] = value.decode("utf-8")
        except UnicodeDecodeError:
            values[i] = {"b64": base64.b64encode(value).decode("ascii")}
    return values.reshape(array.shape).tolist()


def _write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
