"""Several replicas stop together, and go on together; more infinities are in BUILD_NOTES.md."""

import pytest
from script_output import output_of

pytestmark = pytest.mark.slow


def test_two_replicas_go_on_bit_for_bit(tmp_path):
    assert output_of("mirrored_resume.py", tmp_path).endswith("equal\n")


@pytest.mark.parametrize("replicas", ["2", "workers"])
def test_an_infinity_on_one_replica_stops_all_of_them(tmp_path, replicas):
    line = output_of("inject_infinities.py", tmp_path / "report.txt", "--runs=1", f"--replicas={replicas}")
    assert line.startswith(f"{replicas}: stopped at step ")
