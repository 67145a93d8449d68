"""A verb starts TensorFlow without what Keras only takes along where it is installed, and with oneDNN."""

import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import sys
from keras_bert.cli import options
options.start_tensorflow()
print(*(name for name in ("matplotlib", "pandas") if name in sys.modules))
import matplotlib.figure, pandas  # which are there for whoever asks
options.start_tensorflow()
assert "pandas" in sys.modules
"""


def test_keras_takes_neither_data_frames_nor_plots_along():
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == ""


ONEDNN = """
import os
import sys
if "first" in sys.argv:
    import tensorflow
from keras_bert.cli import options
options.start_tensorflow()
from tensorflow.python.util import _pywrap_util_port
print(os.environ.get("TF_ENABLE_ONEDNN_OPTS"), _pywrap_util_port.IsMklEnabled())
"""


def start(*arguments, setting=None):
    """What a process that starts TensorFlow says of the variable and of oneDNN."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    environment |= {} if setting is None else {"TF_ENABLE_ONEDNN_OPTS": setting}
    command = [sys.executable, "-c", ONEDNN, *arguments]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout.split()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN's kernels of x86 processors")
def test_onednn_computes_on_every_processor_unless_the_user_says_no():
    assert start() == ["1", "True"]
    assert start(setting="0") == ["0", "False"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN's kernels of x86 processors")
def test_tensorflow_that_runs_already_has_chosen_for_the_processes_started_later():
    assert start("first")[0] == "None"
