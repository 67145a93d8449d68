"""What C++ prints is set aside, and shown if the block fails."""

import subprocess
import sys

SCRIPT = """
import os, sys
from keras_bert.files.chatter import hidden_chatter
with hidden_chatter():
    os.write(2, b"chatter\\n")
    if "fail" in sys.argv: raise SystemExit(3)
os.write(2, b"after\\n")
"""


def _stderr(*arguments):
    process = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True)
    return process.returncode, process.stderr


def test_chatter_is_hidden_and_what_follows_is_not():
    assert _stderr() == (0, "after\n")


def test_a_block_that_fails_shows_what_was_hidden():
    assert _stderr("fail") == (3, "chatter\n")
