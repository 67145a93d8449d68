"""Reading an export back in a fresh process and comparing it with the model it was made from."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from keras_bert.errors import ExportError
from keras_bert.export import readback

TIMEOUT_SECONDS = 1800
# Two values closer than this to one another may change places when weights are rounded.
NEAR_TIE = 0.1


@dataclasses.dataclass
class Question:
    """One call of a signature, and what the model itself answers to it.

    Args:
        signature: str.
        inputs: dict of NumPy arrays, the batch first.
        expected: dict of NumPy arrays, the batch first.
        given: bool. Whether the user gave these rows; the agreement is then counted on such rows alone.
    """

    signature: str
    inputs: dict
    expected: dict
    given: bool = False


def ask(artefacts: list) -> list:
    """Lets one fresh process open artefacts and answer.

    Args:
        artefacts: list of {"kind", "path", "packages", "questions": list of Question}; read in this order,
            see `readback`.
    Returns:
        list of {"answers": list of dict of NumPy arrays, "load_seconds", "latency_ms"}, one an artefact.
    Raises:
        ExportError: an artefact cannot be opened, or fails at a question.
    """
    with tempfile.TemporaryDirectory() as folder:
        questions, answers = pathlib.Path(folder, "questions.json"), pathlib.Path(folder, "answers.json")
        questions.write_text(json.dumps([_as_json(artefact) for artefact in artefacts]), encoding="utf-8")
        _run_reader(questions, answers, where=artefacts[-1]["path"])
        results = json.loads(answers.read_text(encoding="utf-8"))
    for result in results:
        result["answers"] = [
            {name: readback.from_json(tensor) for name, tensor in answer.items()}
            for answer in result["answers"]
        ]
    return results


def _run_reader(questions, answers, where):
    fault = None
    try:
        process = subprocess.run(
            # -P: what lies beside the script must not hide a package of the same name.
            [sys.executable, "-P", readback.__file__, questions, answers],
            # Without the GPU, all of whose memory this process may hold.
            env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True, text=True, errors="replace", timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        fault = f"no answer within {TIMEOUT_SECONDS} seconds"
    else:
        if process.returncode:
            fault = (process.stderr.strip().splitlines() or [f"exit code {process.returncode}"])[-1][:500]
    if fault:
        raise ExportError(
            f"The export cannot be read back, and nothing was published: {fault}",
            where=str(where), expected="a fresh process that opens it and answers",
        )  # fmt: skip


def check(questions, answers, *, where, tolerance=None, min_agreement=None) -> dict:
    """Compares what an artefact answered with what the model answers: names, shapes, then values.

    Strings and integers must be equal. Numbers are compared by their difference; that of values beyond 1 is
    relative to the largest of them.

    Args:
        questions: list of Question.
        answers: list of dict of NumPy arrays, as `ask` returns them.
        where: str. The artefact, for messages.
        tolerance: float or None. Largest difference allowed. None means that weights were rounded: then no
            difference is too large, and integers may differ as they come from `argmax`.
        min_agreement: float or None. Lowest share of rows, near ties left out, whose largest value must
            have the same place.
    Returns:
        {"max_difference": float, "agreement": float}.
    Raises:
        ExportError: they differ.
    """
    differences, agreements, clear = [0.0], {True: [], False: []}, []
    for question, answer in zip(questions, answers, strict=True):
        _check_form(question, answer, where, exact=tolerance is not None)
        differences.append(_difference(question.expected, answer))
        agrees, is_clear = _agreement(question.expected, answer)
        agreements[question.given] += agrees.tolist()
        clear += agrees[is_clear].tolist()
    difference = max(differences)
    if tolerance is not None and not difference <= tolerance:
        raise _differs(where, f"by {difference:.2g}", f"at most {tolerance:g}")
    if min_agreement is not None and clear and not np.mean(clear) >= min_agreement:
        raise _differs(where, f"in {1 - np.mean(clear):.1%} of the rows", f"{min_agreement:.0%} agreement")
    return {
        "max_difference": difference,
        "agreement": float(np.mean(agreements[True] or agreements[False] or [1.0])),
    }


def given_scores(questions, answers) -> dict:
    """{"probe_scores": the `scores` answered to the user's rows, in their order}; {} where there are none."""
    scores = [
        row
        for question, answer in zip(questions, answers, strict=True)
        if question.given and "scores" in answer
        for row in answer["scores"].tolist()
    ]
    return {"probe_scores": scores} if scores else {}


def _as_json(artefact) -> dict:
    questions = [
        {
            "signature": question.signature,
            "inputs": {name: readback.to_json(array) for name, array in question.inputs.items()},
        }
        for question in artefact["questions"]
    ]
    return {**artefact, "path": str(artefact["path"]), "questions": questions}


def _differs(where, how, expected) -> ExportError:
    return ExportError(
        f"The export read back in a fresh process differs from the model {how}, and nothing was published",
        where=str(where), expected=expected,
    )  # fmt: skip


def _check_form(question, answer, where, exact):
    """Names, shapes, NaN; and equality where it is asked for."""
    expected, signature = question.expected, question.signature
    if set(answer) != set(expected):
        raise _differs(where, f"in the names of {signature}: {sorted(answer)}", f"{sorted(expected)}")
    for name, array in expected.items():
        if answer[name].shape != array.shape:
            raise _differs(where, f"in the shape of {name}: {answer[name].shape}", f"{array.shape}")
        if array.dtype.kind == "f":
            if not np.isfinite(answer[name]).all():
                raise _differs(where, f"in {name}: not a finite number", "finite numbers")
        elif exact and not np.array_equal(answer[name], array):
            raise _differs(where, f"in {name}", "equal values")


def _difference(expected, answer) -> float:
    """The largest difference of the floats of one answer."""
    largest = 0.0
    for name, array in expected.items():
        if array.dtype.kind == "f" and array.size:
            difference = np.abs(answer[name].astype("float64") - array).max() / max(1.0, np.abs(array).max())
            largest = max(largest, float(difference))
    return largest


def _agreement(expected, answer):
    """Bool arrays (B,): whether every largest value has the same place, and whether none is a near tie."""
    rows = len(next(iter(expected.values())))
    agrees, is_clear = np.ones(rows, bool), np.ones(rows, bool)
    for name, array in expected.items():
        if array.dtype.kind != "f" or array.ndim < 2 or array.shape[-1] < 2:
            continue
        place = array.argmax(-1) == answer[name].argmax(-1)
        runner_up, best = np.moveaxis(np.sort(array, axis=-1)[..., -2:], -1, 0)
        agrees &= place.reshape(rows, -1).all(-1)
        is_clear &= (best - runner_up >= NEAR_TIE).reshape(rows, -1).all(-1)
    return agrees, is_clear
