"""Stock Keras still has the faults that training/distribution.py corrects; one that is mended shows here."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from local_workers import environments

SCRIPT = pathlib.Path(__file__).with_name("stock_faults.py")
pytestmark = pytest.mark.slow


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.fixture(scope="module")
def faults():
    """What the script prints, of two virtual CPUs and of two processes."""
    found = {}
    # The script that computes by itself first: the machine has two cores.
    for processes in ([start()], [start("worker", **own) for own in environments(2)]):
        for process in processes:
            found |= json.loads(process.communicate(timeout=300)[0].splitlines()[-1])
    return found


@pytest.mark.parametrize("what", ["even batches", "averages of weights"])
def test_what_stock_keras_does_right_needs_no_correction(faults, what):
    assert faults[what] < 1e-6


@pytest.mark.parametrize(
    "what",
    [
        "unequal weights",
        "logged loss of unequal weights",
        "uneven last batch",
        "clipping by the norm of all gradients",
    ],
)
def test_stock_keras_trains_another_model_on_two_replicas(faults, what):
    assert faults[what] > 1e-3


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("uneven first batch", "must have the same size and shape"),
        ("accumulation", "merge_call"),
        ("several workers", ""),
    ],
)
def test_stock_keras_raises(faults, what, message):
    assert isinstance(faults[what], str) and message in faults[what]


def test_stock_keras_drops_the_same_on_every_replica(faults):
    assert faults["dropout, difference between the replicas"] == 0.0
