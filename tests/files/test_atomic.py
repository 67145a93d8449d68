import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keras_bert.errors import DataError, OutputError
from keras_bert.files import atomic
from keras_bert.files.atomic import atomic_file, atomic_folder, recover


def ours(folder: Path) -> bool:
    return (folder / "config.json").exists()


def make_folder(path: Path, content: str) -> None:
    with atomic_folder(path, ours=ours) as stage:
        (stage / "config.json").write_text(content)
        (stage / "variables").mkdir()
        (stage / "variables" / "data").write_text(content)


def contents(path: Path) -> tuple[str, str]:
    return (path / "config.json").read_text(), (path / "variables" / "data").read_text()


def run_killed(code: str, *arguments) -> None:
    """Run code that ends by killing its own process with SIGKILL."""
    opening = "import os, signal, sys\nfrom keras_bert.files import atomic\nfrom pathlib import Path\n"
    opening += "def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
    process = subprocess.run([sys.executable, "-c", opening + code, *map(str, arguments)])
    assert process.returncode == -signal.SIGKILL


@pytest.fixture
def without_exchange(monkeypatch):
    monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)


def test_a_file_appears_whole_and_nothing_else_stays(tmp_path):
    path = tmp_path / "new" / "scores.json"
    with atomic_file(path) as stage:
        stage.write_text("{}")
        assert not path.exists()
    assert path.read_text() == "{}" and os.listdir(path.parent) == ["scores.json"]


def test_the_stage_keeps_the_suffix_that_libraries_read_the_format_from(tmp_path):
    with atomic_file(tmp_path / "model.weights.h5") as stage:
        assert stage.name.endswith(".weights.h5") and stage.parent == tmp_path


def test_a_failed_block_leaves_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "a.txt") as stage:
        stage.write_text("half of the n")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "latest").symlink_to("v1")
    with atomic_file(tmp_path / "latest" / "a.txt") as stage:
        stage.write_text("a")
    make_folder(tmp_path / "link-free", "old")
    (tmp_path / "link").symlink_to("link-free")
    make_folder(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and contents(tmp_path / "link-free") == ("new", "new")
    assert (tmp_path / "v1" / "a.txt").read_text() == "a"


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_of_ours_is_replaced_as_a_whole(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    path = tmp_path / "model"
    make_folder(path, "old")
    (path / "stray.txt").write_text("of the old one")
    make_folder(path, "new")
    assert contents(path) == ("new", "new") and not (path / "stray.txt").exists()
    assert os.listdir(tmp_path) == ["model"]


def test_an_empty_folder_is_replaced(tmp_path):
    (tmp_path / "model").mkdir()
    make_folder(tmp_path / "model", "new")
    assert contents(tmp_path / "model") == ("new", "new")


@pytest.mark.parametrize("rule", [None, ours])
def test_a_folder_of_another_is_refused_before_any_work(tmp_path, rule):
    (tmp_path / "photos" / "cat.jpg").mkdir(parents=True)
    with pytest.raises(OutputError, match="something else"), atomic_folder(tmp_path / "photos", ours=rule):
        pytest.fail("the block must not run")
    assert os.listdir(tmp_path / "photos") == ["cat.jpg"] and os.listdir(tmp_path) == ["photos"]


def test_a_folder_that_fills_up_meanwhile_is_refused_too(tmp_path):
    with pytest.raises(OutputError, match="something else"), atomic_folder(tmp_path / "a", ours=ours):
        (tmp_path / "a" / "cat.jpg").mkdir(parents=True)
    assert os.listdir(tmp_path / "a") == ["cat.jpg"]


def test_a_file_and_a_folder_do_not_replace_each_other(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="There is a file"), atomic_folder(tmp_path / "file", ours=ours):
        pass
    with pytest.raises(OutputError, match="There is a folder"), atomic_file(tmp_path):
        pass


def test_the_current_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="the current one"), atomic_folder("."):
        pass


def test_a_path_through_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    for writer in (atomic_file, atomic_folder):
        with pytest.raises(OutputError) as caught, writer(tmp_path / "file" / "out"):
            pass
        assert caught.value.where == str(tmp_path / "file" / "out")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_parent_that_cannot_be_written_is_an_output_error(tmp_path, monkeypatch, code):
    def refuse(self, *args, **kwargs):
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(OutputError, match=os.strerror(code)) as caught, atomic_file(tmp_path / "a.txt"):
        pass
    assert caught.value.remedy and os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_an_output_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"), atomic_file(tmp_path / "a.txt"):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_in_the_block_is_an_output_error_and_leaves_the_old(tmp_path):
    make_folder(tmp_path / "model", "old")
    with pytest.raises(OutputError, match="No space left") as caught:
        with atomic_folder(tmp_path / "model", ours=ours) as stage:
            (stage / "config.json").symlink_to("/dev/full")
            (stage / "config.json").write_text("new")
    assert "free some space" in caught.value.remedy
    assert contents(tmp_path / "model") == ("old", "old") and os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize(
    "error",
    [RuntimeError("No space left on device (os error 28)"), OSError(errno.EFBIG, "Too large")],
)
def test_a_full_disk_is_an_output_error_whoever_reports_it(tmp_path, error):
    with pytest.raises(OutputError, match="cannot be written"), atomic_file(tmp_path / "a.bin"):
        raise error


@pytest.mark.parametrize("failing", ["_sync", "_sync_tree"])
def test_a_disk_that_fills_up_at_the_end_leaves_the_old(tmp_path, monkeypatch, failing):
    make_folder(tmp_path / "model", "old")
    (tmp_path / "a.txt").write_text("old")

    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic, failing, full)
    with pytest.raises(OutputError):
        make_folder(tmp_path / "model", "new")
    with pytest.raises(OutputError) if failing == "_sync" else contextlib.nullcontext():
        with atomic_file(tmp_path / "a.txt") as stage:
            stage.write_text("new")
    assert contents(tmp_path / "model") == ("old", "old")
    assert (tmp_path / "a.txt").read_text() == ("old" if failing == "_sync" else "new")
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "model"]


def test_errors_about_other_files_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "a.txt"):
        open(tmp_path / "no input")
    with pytest.raises(DataError), atomic_folder(tmp_path / "a"):
        raise DataError("of the block")
    assert os.listdir(tmp_path) == []


def test_a_writer_killed_in_its_block_leaves_the_old_and_the_next_clears_up(tmp_path):
    path = tmp_path / "model"
    make_folder(path, "old")
    run_killed("with atomic.atomic_folder(sys.argv[1], ours=bool) as s:\n (s / 'part').touch()\n die()", path)
    assert contents(path) == ("old", "old") and len(os.listdir(tmp_path)) == 2
    make_folder(path, "new")
    assert contents(path) == ("new", "new") and os.listdir(tmp_path) == ["model"]


REPLACE = """
with atomic.atomic_folder(sys.argv[1], ours=bool) as stage:
    (stage / "config.json").write_text("new")
    (stage / "variables").mkdir()
    (stage / "variables" / "data").write_text("new")
"""
DIE_AT_RENAME = """
renames, real = [], os.rename
def rename(*paths):
    renames.append(paths)
    if len(renames) == {step}:
        die()
    real(*paths)
os.rename, atomic._exchange = rename, lambda one, other: False
"""


@pytest.mark.parametrize(("step", "state"), [(1, "old"), (2, "gone"), (3, "new")])
def test_a_writer_killed_between_any_two_renames_loses_nothing(tmp_path, step, state):
    path = tmp_path / "model"
    make_folder(path, "old")
    run_killed(DIE_AT_RENAME.format(step=step) + REPLACE, path)
    assert path.exists() == (state != "gone")
    with pytest.raises(ZeroDivisionError), atomic_folder(path, ours=ours):
        raise ZeroDivisionError  # not even the next writer's failure does
    expected = "new" if state == "new" else "old"
    assert contents(path) == (expected, expected)
    make_folder(path, "next")
    assert contents(path) == ("next", "next") and os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_writer_killed_around_the_exchange_loses_nothing(tmp_path, when):
    path = tmp_path / "model"
    make_folder(path, "old")
    steps = "(die(),)" if when == "before" else "(real(one, other), die())"
    run_killed(f"real = atomic._exchange\natomic._exchange = lambda one, other: {steps}\n" + REPLACE, path)
    expected = "old" if when == "before" else "new"
    assert contents(path) == (expected, expected)


def test_a_failed_second_rename_puts_the_old_back(tmp_path, monkeypatch, without_exchange):
    path = tmp_path / "model"
    make_folder(path, "old")
    renames, real = [], os.rename

    def rename(*paths):
        renames.append(paths)
        if len(renames) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(*paths)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OutputError):
        make_folder(path, "new")
    assert contents(path) == ("old", "old") and os.listdir(tmp_path) == ["model"]


def test_the_stages_of_the_living_and_of_other_targets_are_left_alone(tmp_path):
    host, dead = atomic._host(), 2**22 + 1  # above the highest process id
    living = [
        f".model.0123abcd.{os.getppid()}.{host}.stage",  # a process that lives
        f".model.0123abcd.{dead}.another-host.stage",  # cannot be asked, and is young
        f".model.v2.0123abcd.{dead}.{host}.stage",  # of the target model.v2
        ".model.lock",
    ]
    gone = [
        f".model.0123abcd.{dead}.{host}.stage",
        f".model.0123abcd.{dead}.{host}.old",
        f".model.0123abcd.{os.getpid()}.{host}.stage",  # of an earlier process with our id
    ]
    for name in [*living, *gone, "model"]:
        (tmp_path / name).mkdir()
    with atomic_folder(tmp_path / "model"), atomic_folder(tmp_path / "model"):
        assert len(os.listdir(tmp_path)) == len(living) + 1 + 2
    assert sorted(os.listdir(tmp_path)) == sorted([*living, "model"])


def test_what_another_host_set_aside_is_put_back_after_a_minute(tmp_path, monkeypatch):
    aside = tmp_path / ".model.0123abcd.77.another-host.old"
    aside.mkdir()
    recover(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    now = atomic.time.time()
    monkeypatch.setattr(atomic.time, "time", lambda: now + 61)
    recover(tmp_path / "model")
    assert (tmp_path / "model").exists() and not aside.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux exchanges folders in one step")
def test_linux_exchanges_two_folders_in_one_step(tmp_path):
    for name in "ab":
        (tmp_path / name / name).mkdir(parents=True)
    if not atomic._exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot")
    assert os.listdir(tmp_path / "a") == ["b"] and os.listdir(tmp_path / "b") == ["a"]
