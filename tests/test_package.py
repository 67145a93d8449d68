"""What `import keras_bert` is and does."""

import importlib
import importlib.metadata
import subprocess
import sys

import pytest

import keras_bert


def test_every_public_name_can_be_reached():
    for name in keras_bert.__all__:
        assert getattr(keras_bert, name).__module__.startswith("keras_bert.")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        keras_bert.no_such_name  # noqa: B018 - reading it is the test


def test_importing_imports_neither_tensorflow_nor_keras():
    script = "import keras_bert, sys; print({'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "set()\n"


def test_import_warns_of_the_unrelated_package_of_the_same_import_name(monkeypatch):
    installed = importlib.metadata.distribution
    monkeypatch.setattr(
        importlib.metadata,
        "distribution",
        lambda name: installed("keras-bert-kit" if name == "keras-bert" else name),
    )
    with pytest.warns(UserWarning, match="pip uninstall keras-bert,"):
        importlib.reload(keras_bert)
