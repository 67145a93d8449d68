import hashlib

import pytest

from keras_bert.errors import CheckpointError
from keras_bert.files.manifest import hash_files, sha256_of, verify

NAMES = ("model.safetensors", "config.json", "vocab.txt")


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_bytes(name.encode() * 100)
    return tmp_path


def test_the_hash_is_sha256(folder):
    expected = hashlib.sha256(b"vocab.txt" * 100).hexdigest()
    assert sha256_of(folder / "vocab.txt") == expected
    assert hash_files(folder, ["vocab.txt"]) == {"vocab.txt": {"sha256": expected, "bytes": 900}}


def test_an_untouched_folder_has_no_warnings(folder):
    assert verify(folder, hash_files(folder, NAMES)) == []


def test_an_altered_weight_file_of_the_same_size_is_refused(folder):
    entries = hash_files(folder, NAMES)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(CheckpointError, match="altered: its sha256") as caught:
        verify(folder, entries)
    assert caught.value.where == str(path) and caught.value.expected == entries[path.name]["sha256"]


def test_a_cut_weight_file_is_refused_with_both_sizes(folder):
    entries = hash_files(folder, NAMES)
    (folder / "model.safetensors").write_bytes(b"short")
    with pytest.raises(CheckpointError, match="cut off: it has 5 bytes.*1700 bytes"):
        verify(folder, entries)


def test_a_missing_weight_file_is_refused(folder):
    entries = hash_files(folder, NAMES)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="missing"):
        verify(folder, entries)


def test_edited_and_missing_text_files_only_warn(folder):
    entries = hash_files(folder, NAMES)
    (folder / "config.json").write_text("{}")
    (folder / "vocab.txt").unlink()
    edited, missing = verify(folder, entries)
    assert "config.json" in edited and "2 bytes" in edited
    assert "vocab.txt" in missing and "is missing" in missing


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("../other.bin", {"sha256": "0", "bytes": 1}),
        ("/etc/hosts", {"sha256": "0", "bytes": 1}),
        ("model.safetensors", {"sha256": "0"}),
        ("model.safetensors", {"sha256": "0", "bytes": "1"}),
        ("model.safetensors", None),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(folder, name, entry):
    with pytest.raises(CheckpointError, match="makes no sense"):
        verify(folder, {name: entry})
