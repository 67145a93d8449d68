"""Writing so that a killed process or a full disk leaves the old artefact or the new one, never neither.

What is written goes to a stage beside the target, is forced to disk, and takes the target's place in one
step. Stages carry the host and process that made them, so that the next writer of the target clears those
of the dead; and the target's suffix, which some libraries read the format from:

    .plot.png.1f2e3d4c.4711.host.stage.png    unfinished, or an old folder that has been replaced
    .model.1f2e3d4c.4711.host.old             an old folder set aside, its successor not yet in place

The second exists for an instant, and only where the system cannot exchange two folders in one step (Linux
can, on most file systems). A process killed in that instant leaves no target; `recover` then puts the old
folder back. Writers call it first, and so should whoever opens a folder.
"""

import contextlib
import ctypes
import errno
import os
import platform
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from keras_bert.errors import KerasBertError, OutputError

_LEFTOVER = re.compile(r"(?P<token>[0-9a-f]{8})\.(?P<pid>\d+)\.(?P<host>[^.]+)\.(?P<kind>stage|old)(\..*)?")
# Whether a process of another host lives cannot be asked; what it left is given up after so many seconds.
_FOREIGN_AGE = {"stage": 24 * 3600, "old": 60}
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # Linux: fcntl.h and linux/fs.h
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}
_REMEDIES = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EACCES: "choose a folder you may write to, or change its permissions",
    errno.EPERM: "choose a folder you may write to, or change its permissions",
    errno.EROFS: "choose a folder that is not mounted read-only",
    errno.ENOTDIR: "a part of the path is a file: choose another path",
    errno.EEXIST: "a part of the path is a file: choose another path",
    errno.EBUSY: "the folder itself is mounted: write into a folder inside it",
    errno.EXDEV: "the old folder lies on another layer or disk: choose a new folder",
}
_open_tokens: set[str] = set()  # stages of this very process, whose id an earlier process may have had


@contextlib.contextmanager
def atomic_file(path) -> Iterator[Path]:
    """Write one file.

        with atomic_file("out/vocab.txt") as stage:
            stage.write_text(...)

    Args:
        path: str or path-like. The target; missing folders above it are made, a link is followed.

    Yields:
        Path of an empty file to write to. Leaving the block puts it in the target's place; an exception
        leaves the target as it was.

    Raises:
        OutputError: it cannot be written, whether that shows in the block or around it.
    """
    with _stage(path) as (target, stage):
        with output_errors(path):
            if target.is_dir():
                raise OutputError(
                    "There is a folder of this name", where=str(path), expected="a file or nothing"
                )
            stage.touch(exist_ok=False)
        with _output_errors_within(path, stage):
            yield stage
        with output_errors(path):
            _sync(stage)
            os.replace(stage, target)
            _sync(target.parent)


@contextlib.contextmanager
def atomic_folder(path, ours: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Write a whole folder.

        with atomic_folder("out/model", ours=is_model_folder) as stage:
            (stage / "config.json").write_text(...)

    Args:
        path: str or path-like. The target; missing folders above it are made, a link is followed.
        ours: function of the target's Path. Whether a folder that holds something may be replaced, which
            deletes what it held. None: never.

    Yields:
        Path of an empty folder to write into. Leaving the block puts it in the target's place; an exception
        leaves the target as it was.

    Raises:
        OutputError: it cannot be written, or another's folder is in the way; that is found before the
            block runs.
    """
    with _stage(path) as (target, stage):
        with output_errors(path):
            _check_replaceable(target, ours, path)
            stage.mkdir()
        with _output_errors_within(path, stage):
            yield stage
        with output_errors(path):
            _sync_tree(stage)
            _check_replaceable(target, ours, path)
            _take_place(stage, target)
            _sync(target.parent)


def recover(path) -> None:
    """Put back a folder that a writer had set aside when it was killed; nothing happens where it is there."""
    target = _real(path)
    if target.exists():
        return
    for leftover, kind in _dead_leftovers(target):
        if kind == "old":
            with output_errors(path):
                os.rename(leftover, target)
            return


@contextlib.contextmanager
def output_errors(where) -> Iterator[None]:
    """Within the block an OSError means that `where` cannot be written, and becomes an OutputError."""
    try:
        yield
    except KerasBertError:
        raise
    except OSError as error:
        raise _output_error(error, where) from error


@contextlib.contextmanager
def _output_errors_within(path, stage: Path) -> Iterator[None]:
    """The same for a block that may also read other files: only errors of the stage or a full disk."""
    try:
        yield
    except KerasBertError:
        raise
    except Exception as error:
        code = getattr(error, "errno", None)
        if isinstance(error, OSError) and (code in _FULL or str(error.filename).startswith(str(stage))):
            raise _output_error(error, path) from error
        for code in _FULL:  # TensorFlow, HDF5 and safetensors have errors of their own, with these words
            if os.strerror(code) in str(error):
                raise _output_error(OSError(code, os.strerror(code)), path) from error
        raise


def _output_error(error: OSError, where) -> OutputError:
    remedy = _REMEDIES.get(error.errno, "choose another path")
    return OutputError(f"This cannot be written: {error.strerror or error}", where=str(where), remedy=remedy)


@contextlib.contextmanager
def _stage(path) -> Iterator[tuple[Path, Path]]:
    """The real target and a free name beside it; whatever has that name in the end is deleted."""
    target = _real(path)
    if not target.name:
        raise OutputError("The root of a disk cannot be replaced", where=str(path))
    with output_errors(path):
        target.parent.mkdir(parents=True, exist_ok=True)
    recover(target)
    for leftover, _ in _dead_leftovers(target):
        _remove(leftover)
    token = secrets.token_hex(4)
    stage = _beside(target, token, "stage")
    _open_tokens.add(token)
    try:
        yield target, stage
    finally:
        _remove(stage)
        _open_tokens.discard(token)


def _real(path) -> Path:
    return Path(os.path.realpath(path))


def _beside(target: Path, token: str, kind: str) -> Path:
    suffixes = "".join(target.suffixes)
    return target.with_name(f".{target.name}.{token}.{os.getpid()}.{_host()}.{kind}{suffixes}")


def _host() -> str:
    return re.sub(r"[^\w-]", "_", platform.node() or "host")[:64]


def _dead_leftovers(target: Path) -> list[tuple[Path, str]]:
    """What writers of this target left that are no more, with its kind."""
    prefix = f".{target.name}."
    try:
        names = [name for name in os.listdir(target.parent) if name.startswith(prefix)]
    except OSError:
        return []
    found = []
    for name in names:
        match = _LEFTOVER.fullmatch(name.removeprefix(prefix))
        if match and _is_dead(target.with_name(name), **match.groupdict()):
            found.append((target.with_name(name), match["kind"]))
    return found


def _is_dead(leftover: Path, token: str, pid: str, host: str, kind: str) -> bool:
    if host != _host() or os.name != "posix":  # on Windows signal 0 is no question but Ctrl-C
        with contextlib.suppress(OSError):
            return token not in _open_tokens and time.time() - leftover.stat().st_ctime > _FOREIGN_AGE[kind]
        return False
    if int(pid) == os.getpid():
        return token not in _open_tokens
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _remove(leftover: Path) -> None:
    if leftover.is_dir():
        shutil.rmtree(leftover, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            leftover.unlink(missing_ok=True)


def _check_replaceable(target: Path, ours, path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError("There is a file of this name", where=str(path), expected="a folder or nothing")
    if os.path.ismount(target) or Path.cwd().is_relative_to(target):
        raise OutputError(
            "The folder is mounted, or the current one, and cannot be replaced as a whole",
            where=str(path),
            remedy=f"write into a folder inside it: {Path(path) / 'model'}",
        )
    if any(target.iterdir()) and not (ours and ours(target)):
        raise OutputError(
            "The folder holds something else, which would be deleted",
            where=str(path),
            expected="a new or empty folder, or an earlier result of the same kind",
            remedy="choose another folder, or empty this one",
        )


def _take_place(stage: Path, target: Path) -> None:
    """The stage becomes the target; an old target gets the stage's name, under which it will be deleted."""
    if not target.exists():
        os.rename(stage, target)
    elif not _exchange(stage, target):
        token = stage.name.removeprefix(f".{target.name}.").partition(".")[0]  # the same one, for it is open
        aside = _beside(target, token, "old")
        os.rename(target, aside)
        try:
            os.rename(stage, target)
        except OSError:
            os.rename(aside, target)
            raise
        _sync(target.parent)
        os.rename(aside, stage)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system or file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    return renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync(Path(parent, name))
        _sync(Path(parent))


def _sync(path: Path) -> None:
    """Force a file or folder to disk, where the system has a way to."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
