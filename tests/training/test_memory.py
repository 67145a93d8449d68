"""What a training step frees is kept for the next one."""

import os
import subprocess
import sys

import pytest

import keras_bert as kb
from keras_bert.training import memory, model

# Eight times 64 MB, written and freed; prints whether malloc was told to keep them, and the page faults.
BLOCKS = """
import resource, numpy as np
from keras_bert.training.memory import keep_freed_blocks
kept = keep_freed_blocks()
np.ones(2**24, np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    np.ones(2**24, np.float32)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**settings) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name not in memory._SETTINGS}
    command = [sys.executable, "-c", BLOCKS]
    run = subprocess.run(command, env=environment | settings, check=True, capture_output=True, text=True)
    return run.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone is told")
def test_a_block_that_was_freed_is_not_fetched_again():
    kept, count = faults()
    assert kept == "True"
    assert int(count) < 100  # 64 MB are 16,384 pages of 4 KB, or 32 of 2 MB


@pytest.mark.parametrize("setting", [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": ""}])
def test_what_the_user_set_stays(setting):
    assert faults(**setting)[0] == "False"


@pytest.mark.parametrize("large", [True, False])
def test_training_a_model_of_some_size_asks_for_it(monkeypatch, large):
    asked = []
    monkeypatch.setattr(model, "keep_freed_blocks", lambda: asked.append(True))
    monkeypatch.setattr(model, "_WORTH_COMPILING", 100 if large else 4_000_000)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    config = kb.BertConfig(len(pieces), 1, 2, 8, 16, max_sequence_length=16)
    bert = kb.Bert.from_config(config, kb.Tokenizer(pieces), "classification", labels=["a", "b"])
    bert.model.compile()
    assert bool(asked) is large
