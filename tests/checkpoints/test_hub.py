"""Downloading from a stand-in of the hub on the local host: the real client, a tiny model."""

import hashlib
import http.server
import importlib
import json
import pathlib
import threading

import pytest

from keras_bert.checkpoints.checkpoint import read_folder
from keras_bert.checkpoints.find import find_folder
from keras_bert.errors import CheckpointError

pytest.importorskip("huggingface_hub")

LAYOUT = pathlib.Path(__file__).parents[1] / "golden" / "layouts" / "hf5_classification"
COMMIT = hashlib.sha1(b"tiny").hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    """What the client asks of a hub: /api/models/NAME/revision/REVISION, and /NAME/resolve/REVISION/FILE."""

    files: dict = {}
    asked: list = []

    def log_message(self, *arguments):
        pass

    def answer(self, with_body):
        type(self).asked.append(self.path)
        status, headers, body = self.find()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def find(self):
        missing = (404, {"X-Error-Code": "RepoNotFound"}, b"{}")
        if not self.path.removeprefix("/api/models").startswith("/tiny-org/tiny-bert"):
            return missing
        if "/tree/" in self.path:
            tree = [
                {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                for name, body in self.files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(tree).encode()
        if self.path.startswith("/api/models/"):
            if not self.path.split("?")[0].endswith(("/main", "/v1", COMMIT)):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
            siblings = [{"rfilename": name} for name in self.files]
            info = {
                "id": "tiny-org/tiny-bert",
                "sha": COMMIT,
                "siblings": siblings,
                "tags": [],
                "private": False,
            }
            return 200, {"Content-Type": "application/json"}, json.dumps(info).encode()
        body = self.files.get(self.path.partition(f"/resolve/{COMMIT}/")[2].split("?")[0])
        if body is None:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'}, body

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    files = {path.name: path.read_bytes() for path in LAYOUT.iterdir()}
    Hub.files = {**files, "pytorch_model.bin": b"the same again", "modeling.py": b"raise SystemExit"}
    Hub.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    yield Hub
    server.shutdown()
    server.server_close()


@pytest.mark.filterwarnings("ignore")
def test_a_model_is_downloaded_without_code_and_without_its_weights_a_second_time(hub):
    folder = find_folder("hf://tiny-org/tiny-bert@v1")
    assert read_folder(folder).labels == ["negative", "neutral", "positive"]
    names = {path.name for path in folder.iterdir()}
    assert "model.safetensors" in names and not names & {"pytorch_model.bin", "modeling.py"}
    assert not any("modeling.py" in path for path in hub.asked)
    assert folder.name == COMMIT
    assert find_folder("tiny-org/tiny-bert", revision=COMMIT) == folder  # now by its bare name too


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "address", ["hf://tiny-org/other", "hf://tiny-org/tiny-bert@v9", "hf://../../etc", "hf://", "hf://a b"]
)
def test_what_cannot_be_downloaded_is_refused_with_the_address(hub, address):
    with pytest.raises(CheckpointError) as refusal:
        find_folder(address)
    assert address.removeprefix("hf://").partition("@")[0] in str(refusal.value)


@pytest.mark.filterwarnings("ignore")
def test_a_model_without_weights_we_read_says_what_it_holds(hub):
    hub.files = {"config.json": b"{}", "model.onnx": b""}
    with pytest.raises(CheckpointError, match=r"holds no weights.*model\.onnx"):
        find_folder("hf://tiny-org/tiny-bert")
