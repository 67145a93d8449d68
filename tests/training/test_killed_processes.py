"""Processes that are killed train the same model in the end; more runs are in BUILD_NOTES.md."""

import pytest
from script_output import output_of

pytestmark = pytest.mark.slow


def test_a_process_that_is_killed_again_and_again_trains_the_same_model(tmp_path):
    line = output_of("kill_and_resume_training.py", tmp_path / "report.txt", "--runs=1", "--most_kills=2")
    assert line.startswith("equal after ") and not line.startswith("equal after 0")


def test_of_two_workers_one_is_killed_and_the_other_ends_to_go_on_with_it(tmp_path):
    line = output_of(
        "kill_and_resume_training.py", tmp_path / "report.txt", "--runs=1", "--workers=2", "--most_kills=1"
    )
    assert line.startswith("equal after 1 ") and "75" in line
