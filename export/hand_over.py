"""What those need who build a `.tflite` file into an application: the folder `NAME.edge`.

README.md                how the file is run, on Android, iOS and in browsers, and what it costs
test_vectors.json        texts, their ids and the file's answers, to test an application against
vocab.txt, tokenizer_config.json, labels.json
BertTokenizer.kt, BertTokenizer.swift, bert_tokenizer.mjs       the tokeniser of those who have no other
"""

import json
import pathlib
import shutil

import numpy as np

from keras_bert.export.hand_over_readme import readme
from keras_bert.export.serving import json_values
from keras_bert.files.manifest import sha256_of

VECTORS = "test_vectors.json"
TEMPLATES = pathlib.Path(__file__).with_name("edge")


def is_hand_over(folder: pathlib.Path) -> bool:
    """Whether a folder is one that `write_hand_over` wrote, and may be replaced."""
    return (folder / VECTORS).is_file()


def write_hand_over(folder, bert, artefact, report: dict):
    """Writes the folder.

    Args:
        folder: path. Empty.
        bert: `Bert` with a task.
        artefact: `proof.Artefact`. The file, which has answered its questions.
        report: of `tflite.write`.
    """
    bert.tokenizer.save(folder)
    if report["labels"] is not None:
        _write_json(folder / "labels.json", report["labels"])
    for template in sorted(TEMPLATES.iterdir()):
        shutil.copyfile(template, folder / template.name)
    vectors = [
        _vector(question, answer)
        for question, answer in zip(artefact.questions, artefact.answers, strict=True)
    ]
    fingerprint = sha256_of(artefact.path)
    _write_json(folder / VECTORS, {"model_sha256": fingerprint, "vectors": vectors})
    (folder / "README.md").write_text(readme(bert, artefact, report, fingerprint), encoding="utf-8")


def _vector(question, answer) -> dict:
    vector = {"signature": question.signature, "inputs": _of_row(question.inputs), "outputs": _of_row(answer)}
    return vector if question.texts is None else {"texts": _of_row(question.texts), **vector}


def _of_row(arrays: dict) -> dict:
    """The one row of every array; numbers as precise as float32 is."""
    rounded = {
        name: np.array([float(f"{value:.7g}") for value in array.ravel()]).reshape(array.shape)
        if array.dtype.kind == "f"
        else array
        for name, array in arrays.items()
    }
    return {name: values[0] for name, values in json_values(rounded).items()}


def _write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
