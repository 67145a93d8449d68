"""What works where TensorFlow, or Keras too, does not exist: workers, `inspect`, `--help`, the encoder."""

import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from keras_bert.cli.main import VERBS

ROOT = pathlib.Path(__file__).parents[1]

# What imports with TensorFlow and Keras blocked, and what besides imports with TensorFlow blocked.
WITHOUT_KERAS = ("config", "features", "errors", "files", "text", "evaluation", "corpus", "data.readers")
WITHOUT_KERAS += ("checkpoints", "reports.stream_progress", "reports.tables", "cli")
WITHOUT_KERAS += ("data.task_rows", "data.check", "data.tolerant", "reports.check", "search")
WITHOUT_TENSORFLOW = ("layers", "encoder", "heads", "training.losses", "training.optimizer")
WITHOUT_TENSORFLOW += ("training.schedule", "training.crf_loss", "training.similarity_losses")
RUN_OR_NEED_MORE = ("cli.__main__", r"text.in_graph\w*", "corpus.beam")


# Runs first in the child processes below. Keras' NumPy backend imports JAX and SciPy for functions that the
# tests below do not call (erf is one): where they are not installed, it gets modules full of mocks instead.
BLOCKER = """
import importlib, importlib.util, json, sys, types, unittest.mock
blocked, modules = json.loads(sys.argv[1])
class Finder:
    def find_spec(self, name, path=None, target=None):
        package = name.partition(".")[0]
        if package in blocked:
            raise ModuleNotFoundError(name + " is blocked", name=name)
        if package in mocked:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = unittest.mock.MagicMock()
        return module
    def exec_module(self, module):
        pass
mocked = [package for package in ("jax", "scipy") if importlib.util.find_spec(package) is None]
sys.meta_path.insert(0, Finder())
for module in modules:
    importlib.import_module(module)
"""


def run_blocked(blocked, modules, script="") -> str:
    """What `script` prints in a new process, after the imports, where the blocked packages do not exist."""
    backend = "numpy" if importlib.util.find_spec("jax") is None else "jax"
    process = subprocess.run(
        [sys.executable, "-c", BLOCKER + script, json.dumps([blocked, modules])],
        cwd=ROOT, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process.stdout


def modules_of(rooms) -> list[str]:
    """Our modules at or under the given names."""
    inside = re.compile(rf"keras_bert\.({'|'.join(map(re.escape, rooms))})(\..*)?")
    outside = re.compile(rf"keras_bert\.({'|'.join(RUN_OR_NEED_MORE)})")
    files = sorted((ROOT / "keras_bert").rglob("*.py"))
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files
    ]
    return [m for m in modules if inside.fullmatch(m) and not outside.fullmatch(m)]


def test_data_side_imports_without_tensorflow_and_keras():
    run_blocked(["tensorflow", "tensorflow_text", "keras"], ["keras_bert", *modules_of(WITHOUT_KERAS)])


def test_model_side_imports_without_tensorflow():
    run_blocked(["tensorflow", "tensorflow_text"], modules_of(WITHOUT_KERAS + WITHOUT_TENSORFLOW))


def test_the_encoder_runs_without_tensorflow():
    script = """
import keras_bert as kb, numpy as np
encoder = kb.bert_encoder(kb.BertConfig.preset("tiny", vocabulary_size=30, activation="gelu_approximate"))
ones = np.ones((2, 7), "int32")
outputs = encoder({"token_ids": ones, "segment_ids": 0 * ones, "padding_mask": ones})
print(outputs["sequence_output"].shape, np.isfinite(outputs["pooled_output"]).all())
"""
    assert run_blocked(["tensorflow", "tensorflow_text"], [], script) == "(2, 7, 128) True\n"


def test_a_head_runs_without_tensorflow():
    script = """
import keras_bert as kb, numpy as np
from keras_bert.heads import head_model
config = kb.BertConfig(30, 1, 2, 8, 16, activation="gelu_approximate", embedding_dim=4)
model = head_model(kb.bert_encoder(config), config, "pretraining", mask_positions=True)
ones = np.ones((2, 7), "int32")
features = {"token_ids": ones, "segment_ids": 0 * ones, "padding_mask": ones, "mask_positions": ones[:, :3]}
outputs = model(features)
print(outputs["mlm_logits"].shape, outputs["nsp_logits"].shape, np.isfinite(outputs["mlm_logits"]).all())
"""
    assert run_blocked(["tensorflow", "tensorflow_text"], [], script) == "(2, 3, 30) (2, 2) True\n"


@pytest.mark.parametrize("words", [["--help"], *[[verb, "--help"] for verb in VERBS]])
def test_help_answers_without_tensorflow(words):
    script = f"from keras_bert.cli.main import main\nassert main({words}) == 0"
    assert "--" in run_blocked(["tensorflow", "tensorflow_text", "keras"], [], script)
