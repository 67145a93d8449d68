"""Processes that are killed, and infinities on one replica of several: the scripts, a few runs each.

All 20 are in BUILD_NOTES.md.
"""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

pytestmark = pytest.mark.slow


def output_of(script, *arguments) -> str:
    command = [sys.executable, HERE / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_a_process_that_is_killed_again_and_again_trains_the_same_model(tmp_path):
    line = output_of("kill_and_resume_training.py", tmp_path / "report.txt", "--runs=1", "--most_kills=2")
    assert line.startswith("equal after ") and not line.startswith("equal after 0")


def test_of_two_workers_one_is_killed_and_the_other_ends_to_go_on_with_it(tmp_path):
    line = output_of(
        "kill_and_resume_training.py", tmp_path / "report.txt", "--runs=1", "--workers=2", "--most_kills=1"
    )
    assert line.startswith("equal after 1 ") and "75" in line


def test_two_replicas_go_on_bit_for_bit(tmp_path):
    assert output_of("mirrored_resume.py", tmp_path).endswith("equal\n")


@pytest.mark.parametrize("replicas", ["2", "workers"])
def test_an_infinity_on_one_replica_stops_all_of_them(tmp_path, replicas):
    line = output_of("inject_infinities.py", tmp_path / "report.txt", "--runs=1", f"--replicas={replicas}")
    assert line.startswith(f"{replicas}: stopped at step ")
