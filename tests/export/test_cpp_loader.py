"""A program without Python loads exports as TensorFlow Serving does; every signature answers as Keras."""

import functools
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
from programs import compiler, environment, read_answers, write_requests
from test_scoring import small

from keras_bert.export import proof
from keras_bert.tasks import TASKS


@pytest.fixture(scope="session")
def loader(tmp_path_factory):
    """`loader.cc`, as a function that waits for it: it is built while the first model is being exported."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ here to build tests/export/loader.cc with")
    program = tmp_path_factory.mktemp("loader") / "loader"
    building = subprocess.Popen(compiler(pathlib.Path(__file__).with_name("loader.cc"), program))

    @functools.cache
    def built():
        assert building.wait(timeout=600) == 0
        return program

    yield built
    building.wait(timeout=600)


@pytest.fixture
def kept(monkeypatch, no_process):
    """The artefacts of exports, with what each was to be asked and what the model itself answered."""
    artefacts, ask = [], proof.ask

    def keep(given):
        artefacts.extend(given)
        return ask(given)

    monkeypatch.setattr(proof, "ask", keep)
    return artefacts


def answered(loader, folder, questions, place, with_text):
    """What the program answers to questions, as dicts of arrays."""
    write_requests(place / "requests", [(question.signature, question.inputs) for question in questions])
    process = subprocess.run(
        [loader(), folder, place / "requests", place / "answers"],
        env=environment(with_text), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return read_answers(place / "answers")


def assert_same(answer, question):
    assert answer.keys() == question.expected.keys(), question.signature
    for name, expected in question.expected.items():
        told = f"{question.signature}: {name}"
        assert (answer[name].shape, answer[name].dtype) == (expected.shape, expected.dtype), told
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(answer[name], expected, rtol=0, atol=1e-5, err_msg=told)
        else:
            assert answer[name].tolist() == expected.tolist(), told


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_every_signature_of_a_task_answers_without_python(name, loader, kept, tmp_path):
    bert, _ = small(name)
    report = bert.export(tmp_path / "served")
    assert {"serving_default", "ids", *bert.task.parts} <= report["signatures"].keys()
    ids, whole = kept
    for folder, artefact, with_text, signatures in (
        (report["ids_path"], ids, False, {"serving_default", "ids"}),
        (report["path"], whole, True, set(report["signatures"])),
    ):
        assert {question.signature for question in artefact.questions} == signatures
        answers = answered(loader, folder, artefact.questions, tmp_path, with_text)
        for answer, question in zip(answers, artefact.questions, strict=True):
            assert_same(answer, question)
