import shutil

import pytest

from keras_bert.checkpoints.checkpoint import read_folder
from keras_bert.checkpoints.find import find_folder
from keras_bert.errors import CheckpointError


@pytest.fixture
def cache(tmp_path, saved, monkeypatch):
    """A Hugging Face cache that holds someone/tiny at the commit 0a1b, which is main."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    model = tmp_path / "home" / ".cache" / "huggingface" / "hub" / "models--someone--tiny"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("0a1b")
    shutil.copytree(saved, model / "snapshots" / "0a1b")
    return model


def test_a_name_is_found_in_the_local_cache(cache, monkeypatch, tmp_path):
    snapshot = cache / "snapshots" / "0a1b"
    assert find_folder("someone/tiny") == find_folder("someone/tiny", revision="0a1b") == snapshot
    assert read_folder(find_folder("someone/tiny")).labels == ["negative", "neutral", "positive"]
    moved = cache.parent.rename(tmp_path / "elsewhere")
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.setenv(variable, str(moved))
        assert find_folder("someone/tiny") == moved / cache.name / "snapshots" / "0a1b"
        monkeypatch.delenv(variable)


def test_a_reference_cannot_lead_out_of_the_cache(cache, tmp_path):
    (tmp_path / "home" / "elsewhere").mkdir()
    (cache / "refs" / "main").write_text("../../../../../elsewhere")
    with pytest.raises(CheckpointError, match="'main' in the Hugging Face cache"):
        find_folder("someone/tiny")


def test_an_existing_folder_comes_before_the_cache(cache, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "someone" / "tiny").mkdir(parents=True)
    assert find_folder("someone/tiny").absolute() == tmp_path / "someone" / "tiny"


@pytest.mark.parametrize("revision", ["main", "v2", "../../refs"])
def test_what_is_not_found_is_told_with_the_places_it_was_looked_for(cache, revision):
    with pytest.raises(CheckpointError) as refusal:
        find_folder("someone/other", revision=revision)
    assert "There is no model 'someone/other'" in str(refusal.value)
    assert "the folder /" in str(refusal.value)
    assert ("models--someone--other" in str(refusal.value)) == (".." not in revision)


@pytest.mark.parametrize("name", ["../tiny", "a/b/c", "/nowhere/tiny", "some one/tiny", ""])
def test_a_path_is_not_looked_for_in_the_cache(cache, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    if name:
        with pytest.raises(CheckpointError) as refusal:
            find_folder(name)
        assert "cache" not in str(refusal.value)
