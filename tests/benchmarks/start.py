"""What starting costs: `import keras_bert` over `import tensorflow`, and `keras-bert --help`.

python tests/benchmarks/start.py        # whole processes, in turn, medians of 9
"""

import statistics
import subprocess
import sys
import time

NAMES = "import keras_bert as kb; [getattr(kb, name) for name in kb.__all__]"
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "import tensorflow": [sys.executable, "-c", "import tensorflow, keras"],
    "import tensorflow, keras_bert": [sys.executable, "-c", "import tensorflow, keras; import keras_bert"],
    "the same, every public name used": [sys.executable, "-c", f"import tensorflow, keras; {NAMES}"],
    "keras-bert --help": [sys.executable, "-m", "keras_bert.cli", "--help"],
    "keras-bert finetune --help": [sys.executable, "-m", "keras_bert.cli", "finetune", "--help"],
}

times = {name: [] for name in COMMANDS}
for _ in range(10):
    for name, command in COMMANDS.items():
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times[name].append(time.perf_counter() - started)
for name, seconds in times.items():
    counted = sorted(seconds[1:])  # the first one warms the disk
    print(f"{name:<36} {statistics.median(counted):.3f} s  (of {counted[0]:.3f} to {counted[-1]:.3f})")
