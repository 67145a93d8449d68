"""One model on one, two and four replicas, and on two processes: the same weights and the same logs."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("replica_runs.py")
CASES = ("adamw-2-keyed-ema", "lamb-1")  # `replica_matrix.py` walks through all of them
WHOLE = "adamw-1-keyed-ema"  # the first of them, not in parts
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{case: {replicas: {"first|path", "last|path", "losses": array}}}, each strategy in a process."""
    folder = tmp_path_factory.mktemp("replicas")
    found = {case: {} for case in (*CASES, WHOLE)}
    for together in (("1", "2"), ("4",), ("workers",)):  # two cores
        processes = {}
        for replicas in together:
            command = [sys.executable, str(SCRIPT), str(folder / f"{replicas}.npz"), f"--replicas={replicas}"]
            command.append(f"--cases={','.join([*CASES, *[WHOLE] * (replicas == '1')])}")
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
            processes[replicas] = subprocess.Popen(
                command, env=environment, stderr=subprocess.PIPE, text=True
            )
        for replicas, process in processes.items():
            _, errors = process.communicate(timeout=600)
            assert process.returncode == 0, errors[-3000:]
            with np.load(folder / f"{replicas}.npz") as file:
                for name in file.files:
                    case, _, rest = name.split("|", 2)
                    found[case].setdefault(replicas, {})[rest] = file[name]
    return found


def difference(one, other, step):
    """max |w - w'| / max |w| over the whole model."""
    paths = [name for name in one if name.startswith(f"{step}|")]
    assert len(paths) > 30
    largest = max(np.abs(one[path]).max() for path in paths)
    return max(np.abs(one[path] - other[path]).max() for path in paths) / largest


@pytest.mark.parametrize("replicas", ["2", "4", "workers"])
@pytest.mark.parametrize("case", CASES)
def test_any_number_of_replicas_trains_the_same_model(runs, case, replicas):
    one, several = runs[case]["1"], runs[case][replicas]
    assert difference(one, several, "first") <= 1e-6
    assert difference(one, several, "last") <= 1e-5
    np.testing.assert_allclose(several["losses"], one["losses"], rtol=1e-6, atol=1e-6)


def test_the_weights_have_moved_and_the_loss_has_fallen(runs):
    for case in runs:
        run = runs[case]["1"]
        moved = max(np.abs(run[f"last|{path[6:]}"] - run[path]).max() for path in run if path[:6] == "first|")
        assert moved > 1e-3
        assert run["losses"][-1][0] < run["losses"][0][0]


def test_a_batch_in_parts_gives_what_the_whole_batch_gives(runs):
    whole, parts = runs[WHOLE]["1"], runs[CASES[0]]["1"]
    assert difference(whole, parts, "first") <= 1e-6
    assert difference(whole, parts, "last") <= 1e-5
