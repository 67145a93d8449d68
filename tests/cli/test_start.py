"""A verb starts TensorFlow without what Keras only takes along where it is installed."""

import subprocess
import sys

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
