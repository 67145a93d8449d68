"""Scripts of this folder run by tests, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def output_of(script, *arguments) -> str:
    """What it prints.

    Raises:
        AssertionError: it fails; with the end of what it said.
    """
    command = [sys.executable, HERE / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
