"""`compile(rematerialize=True)`: the same training, and less kept for the way back."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from small_classifier import ROWS, model

from keras_bert.training import model as module


def trained(rematerialize, dropout=0.3, policy="float32", **settings):
    """The weights and the losses of three steps."""
    keras.config.set_dtype_policy(policy)
    bert = model(dropout)
    bert.model.compile(keras.optimizers.SGD(0.1), rematerialize=rematerialize, **settings)
    history = bert.model.fit(bert.dataset(ROWS, 4).repeat(), epochs=3, steps_per_epoch=2, verbose=0)
    keras.config.set_dtype_policy("float32")
    return bert.model.get_weights(), history.history["loss"]


MORE = [
    {}, {"jit_compile": True}, {"accumulation_steps": 2}, {"r_drop": 1.0},
    {"adversarial": 0.5}, {"policy": "mixed_bfloat16"},
]  # fmt: skip


CASES = [
    pytest.param(more, parts, id=f"{more}{', compiled parts' * parts}")
    for more in MORE
    for parts in (False, True)
    if not (parts and "jit_compile" in more)  # a step that is compiled whole has no such parts
]


@pytest.mark.parametrize(("more", "compiled"), CASES)
def test_weights_end_where_they_would(more, compiled, monkeypatch):
    """With the masks of dropout: those drawn on the way back are those of the way there."""
    monkeypatch.setattr(module, "_WORTH_COMPILING", 0 if compiled else 10**9)
    kept, again = trained(False, **more), trained(True, **more)
    limit = 0.02 if "policy" in more else 1e-5
    for a, b in zip(kept[0], again[0], strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=limit)
    assert again[1] == pytest.approx(kept[1], abs=limit)


# VmHWM is this program's own; `ru_maxrss` begins with what the process that started it held. Counted is what
# the step holds, not what malloc keeps for the next one, which differs by a fifth from run to run.
CODE = """
import sys
import keras_bert as kb
def most():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
config = kb.BertConfig(64, 8, 8, 256, 1024, max_sequence_length=256)
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(59))]
bert = kb.Bert.from_config(config, kb.Tokenizer(words), "classification", labels=["0", "1"])
bert.model.compile(kb.AdamW(1e-4), rematerialize=sys.argv[1] == "1")
rows = [{"text": " ".join(map(str, range(59))) * 4, "label": "0"}] * 32
before = most()
bert.model.fit(bert.dataset(rows, 32), verbose=0)
print(most() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_takes_less_memory():
    grown = []
    for flag in "01":
        printed = subprocess.run(
            [sys.executable, "-c", CODE, flag],
            env=os.environ | {"GLIBC_TUNABLES": ""},  # see training/memory.py
            check=True, stdout=subprocess.PIPE, text=True,
        ).stdout  # fmt: skip
        grown.append(float(printed.split()[-1]))
    assert grown[1] < 0.7 * grown[0]
