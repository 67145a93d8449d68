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
from keras_bert.export.agreement import decisions

# What takes longer hangs: an export, and one of its questions, which is up to 32 rows of 512 tokens.
TIMEOUT_SECONDS, QUESTION_SECONDS = 1800, 180
MEASURED = ("load_seconds", "first_answer_ms", "latency_ms", "latency_p99_ms", "peak_memory_bytes")


@dataclasses.dataclass
class Question:
    """One call of a signature, and what the model itself answers to it.

    Args:
        signature: str.
        inputs: dict of NumPy arrays, the batch first.
        expected: dict of NumPy arrays, the batch first.
        given: bool. Whether the user gave these rows; the time is then measured on such rows.
        texts: dict of string arrays or None. What the inputs were made of, where they are ids of one text.
    """

    signature: str
    inputs: dict
    expected: dict
    given: bool = False
    texts: dict | None = None


@dataclasses.dataclass
class Artefact:
    """Something written, and what it is asked before it is published.

    Args:
        kind: str. "tf_saved_model" or "tflite".
        path: path.
        packages: sequence of str. What must be imported before it can be read.
        questions: list of Question. On the built-in texts.
        scored: dict of str to list of Batch. The user's rows by what they are put to.
        answers: list of dict of NumPy arrays. What it answered to `questions`, once it was asked.
    """

    kind: str
    path: os.PathLike
    packages: tuple
    questions: list
    scored: dict = dataclasses.field(default_factory=dict)
    answers: list = dataclasses.field(default_factory=list)

    def answering(self, names) -> "Artefact":
        """The same, its questions expecting of the answers only those of these names."""

        def narrowed(questions):
            return [
                dataclasses.replace(each, expected={name: each.expected[name] for name in names})
                for each in questions
            ]

        scored = {
            asked: [dataclasses.replace(batch, questions=narrowed(batch.questions)) for batch in batches]
            for asked, batches in self.scored.items()
        }
        return dataclasses.replace(self, questions=narrowed(self.questions), scored=scored)

    def all_questions(self) -> list:
        rows = [question for batches in self.scored.values() for b in batches for question in b.questions]
        return [*self.questions, *rows]


def prove(artefacts: list, evaluation=None, **limits) -> list:
    """Reads artefacts back in a fresh process, compares and scores them.

    Args:
        artefacts: list of Artefact; read in this order, see `readback`.
        evaluation: `Evaluation` or None. Judges what was asked of `scored`.
        **limits: of `check`, on the built-in texts.
    Returns:
        list of dict, one an artefact: max_difference and agreement on all rows, and `MEASURED`;
        with an evaluation also `proof`, a dict by what the rows were put to.
    Raises:
        ExportError: one differs from the model, or loses too much of its score.
    """
    reports = []
    for artefact, result in zip(artefacts, ask(artefacts), strict=True):
        behind = len(artefact.questions)
        artefact.answers = result["answers"][:behind]
        report = check(artefact.questions, artefact.answers, where=artefact.path, **limits)
        proofs = {}
        for name, batches in artefact.scored.items():
            place, behind = behind, behind + sum(len(batch.questions) for batch in batches)
            part = slice(place, behind)
            proofs[name] = evaluation.judged(
                batches, result["answers"][part], result["seconds"][part], where=artefact.path, **limits
            )
        if proofs:
            report["max_difference"] = max(
                report["max_difference"], *(p["max_difference"] for p in proofs.values())
            )
            report["agreement"] = min(p["agreement"] for p in proofs.values())
            report["proof"] = proofs
        timing = {name: result[name] for name in MEASURED}
        reports.append({**report, **timing})
    return reports


def ask(artefacts: list) -> list:
    """Lets one fresh process open artefacts and answer.

    Args:
        artefacts: list of Artefact.
    Returns:
        list of {"answers": list of dict of NumPy arrays, "seconds": of each, and `MEASURED`}, one an
        artefact.
    Raises:
        ExportError: an artefact cannot be opened, or fails at a question.
    """
    with tempfile.TemporaryDirectory() as folder:
        questions, answers = pathlib.Path(folder, "questions.json"), pathlib.Path(folder, "answers.json")
        questions.write_text(json.dumps([_as_json(artefact) for artefact in artefacts]), encoding="utf-8")
        asked = sum(len(artefact.all_questions()) for artefact in artefacts)
        timeout = max(TIMEOUT_SECONDS, QUESTION_SECONDS * asked)
        _run_reader(questions, answers, timeout, where=artefacts[-1].path)
        results = json.loads(answers.read_text(encoding="utf-8"))
    for result in results:
        result["answers"] = [
            {name: readback.from_json(tensor) for name, tensor in answer.items()}
            for answer in result["answers"]
        ]
    return results


def _run_reader(questions, answers, timeout, where):
    fault = None
    try:
        process = subprocess.run(
            # -P: what lies beside the script must not hide a package of the same name.
            [sys.executable, "-P", readback.__file__, questions, answers],
            # Without the GPU, all of whose memory this process may hold.
            env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True, text=True, errors="replace", timeout=timeout,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        fault = f"no answer within {timeout} seconds"
    else:
        if process.returncode:
            fault = (process.stderr.strip().splitlines() or [f"exit code {process.returncode}"])[-1][:500]
    if fault:
        raise ExportError(
            f"The export cannot be read back, and nothing was published: {fault}",
            where=str(where), expected="a fresh process that opens it and answers",
        )  # fmt: skip


def check(questions, answers, *, where, tolerance=None, min_agreement=None, exact=None) -> dict:
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
        exact: bool or None. Whether strings and integers must be equal; None: where there is a tolerance.
    Returns:
        {"max_difference": float, "agreement": float}: the share of all decisions that agree, see
        `agreement.decisions`.
    Raises:
        ExportError: they differ.
    """
    exact = tolerance is not None if exact is None else exact
    differences, agreements, clear = [0.0], [], []
    for question, answer in zip(questions, answers, strict=True):
        _check_form(question, answer, where, exact)
        differences.append(_difference(question.expected, answer))
        for agrees, is_clear in decisions(question.inputs, question.expected, answer):
            agreements.append(agrees)
            clear += [agrees.all()] if is_clear.all() else []
    difference, agreements = max(differences), np.concatenate([[], *agreements])
    if tolerance is not None and not difference <= tolerance:
        raise _differs(where, f"by {difference:.2g}", f"at most {tolerance:g}")
    if min_agreement is not None and clear and not np.mean(clear) >= min_agreement:
        raise _differs(where, f"in {1 - np.mean(clear):.1%} of the rows", f"{min_agreement:.0%} agreement")
    return {
        "max_difference": difference,
        "agreement": float(np.mean(agreements)) if agreements.size else 1.0,
    }


def _as_json(artefact) -> dict:
    questions = [
        {
            "signature": question.signature,
            "given": question.given,
            "inputs": {name: readback.to_json(array) for name, array in question.inputs.items()},
        }
        for question in artefact.all_questions()
    ]
    packages = list(artefact.packages)
    return {"kind": artefact.kind, "path": str(artefact.path), "packages": packages, "questions": questions}


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
