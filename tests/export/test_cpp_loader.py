"""A program without Python loads an export as TensorFlow Serving does, and answers the same."""

import importlib.util
import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

TEXTS = ["a film", "no", "zz 我. abc", "word by word by word " * 20]


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    """`loader.cc`, built against the TensorFlow wheel."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ here to build tests/export/loader.cc with")
    program = tmp_path_factory.mktemp("loader") / "loader"
    source = pathlib.Path(__file__).with_name("loader.cc")
    libraries = pathlib.Path(tf.sysconfig.get_lib())
    subprocess.run(
        ["g++", *tf.sysconfig.get_compile_flags(), "-w", source, "-o", program, "-l:libtensorflow_cc.so.2",
         *tf.sysconfig.get_link_flags(), f"-Wl,-rpath,{libraries}"],
        check=True, timeout=600,
    )  # fmt: skip
    return program


@pytest.mark.slow
def test_both_signatures_answer_without_python(bert, loader, tmp_path, no_process):
    report = bert.export(tmp_path / "serving")
    features = {name: np.asarray(tensor) for name, tensor in bert.preprocess(TEXTS).items()}
    length = features["padding_mask"].sum(axis=1)
    numbers = [*features["token_ids"].shape, *features["token_ids"].ravel(), *features["segment_ids"].ravel()]
    ids_file = tmp_path / "ids.txt"
    ids_file.write_text(" ".join(str(number) for number in [*numbers, *length]))
    package = pathlib.Path(importlib.util.find_spec("tensorflow_text").submodule_search_locations[0])
    expected = {name: tensor.numpy() for name, tensor in bert.serve(tf.constant(TEXTS)).items()}
    for folder, ops, signatures in (
        (report["path"], sorted(package.glob("python/ops/*.so")), {"ids", "serving_default"}),
        (report["ids_path"], [], {"ids"}),
    ):
        process = subprocess.run(
            [loader, folder, ids_file, *ops],
            input="\n".join(TEXTS),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert process.returncode == 0, process.stderr
        answers = json.loads(process.stdout)
        assert set(answers) == signatures
        for answer in answers.values():
            assert [label.encode() for label in answer["label"]] == expected["label"].tolist()
            for name in ("score", "scores"):
                np.testing.assert_allclose(answer[name], expected[name].ravel(), atol=1e-5, rtol=0)
