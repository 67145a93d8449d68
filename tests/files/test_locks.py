import os
import signal
import subprocess
import sys

import pytest

from keras_bert.errors import OutputError
from keras_bert.files.locks import folder_lock

HOLD = """
import sys, time
from keras_bert.files.locks import folder_lock
with folder_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path / "run"`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_refused_at_once(tmp_path, holder):
    with pytest.raises(OutputError, match="Another process is writing"), folder_lock(tmp_path / "run"):
        pass


def test_a_killed_holder_holds_nothing(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with folder_lock(tmp_path / "run"):
        pass


def test_the_lock_leaves_nothing_behind_and_can_be_taken_again(tmp_path):
    for _ in range(2):
        with folder_lock(tmp_path / "new" / "run"):
            assert os.listdir(tmp_path / "new") == [".run.lock"]
    assert os.listdir(tmp_path / "new") == []


def test_the_lock_is_let_go_when_the_block_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path / "run"):
        raise ZeroDivisionError
    with folder_lock(tmp_path / "run"):
        pass


def test_a_lock_file_deleted_by_its_last_holder_is_not_mistaken_for_the_lock(tmp_path, monkeypatch):
    """The last holder deletes the file after we opened it and before we locked it."""
    from keras_bert.files import locks

    taken, real_lock = [], locks._lock

    def lock(descriptor):
        if not taken:
            (tmp_path / ".run.lock").unlink()
        taken.append(descriptor)
        real_lock(descriptor)

    monkeypatch.setattr(locks, "_lock", lock)
    with folder_lock(tmp_path / "run"):
        assert len(taken) == 2
        assert os.path.samestat(os.fstat(taken[-1]), os.stat(tmp_path / ".run.lock"))
    assert os.listdir(tmp_path) == []


def test_a_path_through_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError), folder_lock(tmp_path / "file" / "run"):
        pass
