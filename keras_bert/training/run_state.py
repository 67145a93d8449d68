"""What a stopped run goes on from, on disk: one folder for every state that was saved.

    FOLDER/step-00000123/state.safetensors    all arrays, by name
                         state.json           {"sha256": of the rest, "state": the rest}

A folder appears whole or not at all (files/atomic.py). What a disk spoils afterwards is noticed by the
hashes: that of the arrays is in `state.json`, whose own is beside it.
"""

import hashlib
import json
import re
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_bert.errors import CheckpointError, UsageError
from keras_bert.files.atomic import atomic_folder, output_errors
from keras_bert.files.manifest import hash_files, verify
from keras_bert.files.regular import read_regular

FORMAT = 2
ARRAYS, FACTS = "state.safetensors", "state.json"
_FOLDER = re.compile(r"step-(\d{8,})")
_REMOVED = re.compile(r"\.step-\d{8,}\.removed")


@dataclass(frozen=True)
class RunState:
    """A state that was saved and is sound.

    Attributes:
        path: Path of its folder.
        facts: dict, as `save_state` was given it.
    """

    path: Path
    facts: dict

    def arrays(self, names):
        """Yields the arrays of these names, in their order, one at a time."""
        from safetensors import safe_open

        dtypes = {name: dtype for name, dtype, _ in self.facts["arrays"]}
        with safe_open(self.path / ARRAYS, framework="np") as file:
            for name in names:
                array = file.get_tensor(name)
                yield array if array.dtype.name == dtypes[name] else array.view(_dtype(dtypes[name]))


def save_state(folder, step: int, arrays: dict, facts: dict, keep: int) -> Path:
    """Saves the state after a step, and removes old ones.

    Args:
        folder: str or path-like. Of the run.
        step: int.
        arrays: dict from name to NumPy array, of any dtype, bfloat16 among them.
        facts: dict of JSON values.
        keep: int. So many of the newest stay. Those of later steps go: they belong to another course, which
            was given up when this one went on from an earlier state.
    Returns:
        Path of the state's folder.
    Raises:
        OutputError: it cannot be written; the older states are as they were.
        UsageError: `facts` holds what JSON has no place for.
    """
    from safetensors.numpy import save_file

    path = Path(folder, f"step-{step:08d}")
    with atomic_folder(path, ours=_is_state) as stage:
        save_file({name: _storable(array) for name, array in arrays.items()}, stage / ARRAYS)
        facts = {**facts, "format": FORMAT, "step": step, "files": hash_files(stage, [ARRAYS])}
        facts["arrays"] = [[name, array.dtype.name, list(array.shape)] for name, array in arrays.items()]
        try:
            text = _text(facts)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"The state of a callback cannot be written: {error}",
                where="get_state",
                expected="JSON values",
            ) from error
        whole = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "state": facts}
        (stage / FACTS).write_text(_text(whole), encoding="utf-8")
    with output_errors(folder):
        _remove_old(Path(folder), step, keep)
    return path


def newest_state(folder) -> RunState | None:
    """The newest state that is sound, with a warning about newer ones that are not; None where there is none.

    Raises:
        CheckpointError: there are some, and none of them is sound.
    """
    faults = []
    for _, path in sorted(_states(Path(folder)), reverse=True):
        try:
            state = read_state(path)
        except CheckpointError as error:
            faults.append(str(error))
            continue
        for fault in faults:
            warnings.warn(f"{fault} The run goes on from {path.name}, the state before it", stacklevel=3)
        return state
    if faults:
        raise CheckpointError(
            f"None of the {len(faults)} saved states can be read. The newest: {faults[0]}", where=str(folder),
            expected="one that is sound",
            remedy="copy the folder here again, or begin anew in another one",
        )  # fmt: skip
    return None


def read_state(path) -> RunState:
    """Opens one state.

    Raises:
        CheckpointError: it is damaged, incomplete, or another version's.
    """
    try:
        whole = json.loads(read_regular(Path(path, FACTS)))
        facts, expected = whole["state"], whole["sha256"]
        actual = hashlib.sha256(_text(facts).encode()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, f"{FACTS} cannot be read ({type(error).__name__}: {error})") from error
    if actual != expected:
        raise _damaged(path, f"{FACTS} was altered")
    if facts.get("format") != FORMAT:
        raise CheckpointError(
            f"It was saved in format {facts.get('format')!r}", where=str(path), expected=f"format {FORMAT}",
            remedy="go on with the keras_bert that saved it",
        )  # fmt: skip
    try:
        verify(path, facts["files"])
    except (CheckpointError, OSError) as error:
        raise _damaged(path, getattr(error, "what", str(error)).replace("The weight file", ARRAYS)) from error
    return RunState(Path(path), facts)


def _damaged(path, how: str) -> CheckpointError:
    return CheckpointError(f"This saved state is damaged: {how}", where=str(path))


def _text(value) -> str:
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no JSON value")


def _storable(array: np.ndarray) -> np.ndarray:
    """The same bits in a dtype that NumPy itself has: bfloat16 and its like come from another package."""
    array = np.ascontiguousarray(array).reshape(array.shape)
    return (
        array.view(f"u{array.dtype.itemsize}")
        if array.dtype.kind == "V" or not array.dtype.isbuiltin == 1
        else array
    )


def _dtype(name: str) -> np.dtype:
    if hasattr(np, name):
        return np.dtype(name)
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name))


def _is_state(path: Path) -> bool:
    return {entry.name for entry in path.iterdir()} <= {ARRAYS, FACTS}


def _states(folder: Path):
    """(step, path) of every state, sound or not."""
    if folder.is_dir():
        for entry in folder.iterdir():
            match = _FOLDER.fullmatch(entry.name)
            if match and entry.is_dir():
                yield int(match[1]), entry


def _remove_old(folder: Path, step: int, keep: int):
    states = sorted(_states(folder), reverse=True)
    kept = [path for number, path in states if number <= step][:keep]
    for _, path in states:
        if path not in kept:
            # Renamed first, so that a process killed here leaves no half of a state under a state's name.
            path.rename(folder / f".{path.name}.removed")
    for entry in folder.iterdir():
        if _REMOVED.fullmatch(entry.name):
            shutil.rmtree(entry, ignore_errors=True)
