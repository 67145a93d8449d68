"""The manifest: there and back, strict with what it reads, and never half written."""

import json

import pytest

from keras_bert.corpus.manifest import Manifest, Shard, read_manifest, write_manifest
from keras_bert.errors import DataError, OutputError

SHA = "0123456789abcdef" * 4
FIELDS = {
    "settings": {"max_seq_length": 128, "short_seq_prob": 0.1, "encoding": None},
    "vocabulary": {"sha256": SHA, "pieces": 30_522, "options": SHA},
    "inputs": [{"name": "a.txt", "bytes": 7, "changed": 1}],
    "plan": "abc",
    "counts": {"examples": 1500, "documents": 12},
    "lengths": {8: 1000, 3: 500},
    "shards": [
        {"name": "pretraining-00000-of-00002.tfrecord", "examples": 1000, "bytes": 30_000, "sha256": SHA},
        {"name": "pretraining-00001-of-00002.tfrecord", "examples": 500, "bytes": 15_000, "sha256": SHA},
    ],
}


@pytest.fixture
def folder(tmp_path):
    write_manifest(tmp_path, **FIELDS)
    return tmp_path


def refusal_of(folder) -> str:
    with pytest.raises(DataError) as error:
        read_manifest(folder)
    return str(error.value)


def changed(folder, change) -> str:
    """The refusal of a manifest in which `change` has altered something."""
    path = folder / "manifest.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    return refusal_of(folder)


def test_a_manifest_comes_back_as_it_was_written(folder):
    found = read_manifest(folder)
    assert found == Manifest(
        settings=FIELDS["settings"],
        vocabulary=FIELDS["vocabulary"],
        inputs=FIELDS["inputs"],
        plan="abc",
        counts=FIELDS["counts"],
        lengths=[0, 0, 0, 500, 0, 0, 0, 0, 1000],
        shards=[Shard(**row) for row in FIELDS["shards"]],
    )
    assert found.num_examples == 1500


def test_the_same_facts_give_the_same_bytes_whatever_their_order(folder, tmp_path):
    before = (folder / "manifest.json").read_bytes()
    counts = dict(reversed(FIELDS["counts"].items()))
    write_manifest(tmp_path / "b", **{**FIELDS, "counts": counts})
    assert (tmp_path / "b/manifest.json").read_bytes() == before


def test_a_manifest_that_cannot_be_written_leaves_the_old_one(folder, monkeypatch):
    before = (folder / "manifest.json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OutputError, match="No space left"):
        write_manifest(folder, **{**FIELDS, "plan": "new"})
    assert (folder / "manifest.json").read_bytes() == before


def test_an_unfinished_corpus_says_what_to_do(tmp_path):
    (tmp_path / "_work").mkdir()
    assert "The corpus is not finished" in refusal_of(tmp_path)
    assert "run the same command again" in refusal_of(tmp_path)


def test_a_folder_without_a_manifest_and_no_folder_are_refused(tmp_path):
    assert "There is no manifest.json" in refusal_of(tmp_path)
    assert "There is no such folder" in refusal_of(tmp_path / "none")
    (tmp_path / "manifest.json").mkdir()
    assert "cannot be read" in refusal_of(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": 1, "format": 1}',
        b'{"format": 1, "settings": {"a": NaN}}',
        b'{"format": 1' + b"1" * 10_000 + b"}",
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_bytes(text)
    assert "manifest.json" in refusal_of(tmp_path)


def test_a_key_that_stands_there_twice_is_refused(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("{", '{"plan": "abc",', 1))
    assert "a key stands there twice" in refusal_of(folder)


def test_another_format_is_refused(folder):
    assert "The format is 2" in changed(folder, lambda value: value.update(format=2))


@pytest.mark.parametrize("name", list(FIELDS))
@pytest.mark.parametrize("value", [None, 7, "x", [3.5], {"a": -1}, True])
def test_a_field_that_is_missing_or_of_another_type_is_refused(folder, name, value):
    if (name, value) not in (("settings", {"a": -1}), ("plan", "x")):
        assert "makes no sense" in changed(folder, lambda fields: fields.update({name: value}))
        write_manifest(folder, **FIELDS)
    assert f"`{name}`" in changed(folder, lambda fields: fields.pop(name))


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "..",
        ".hidden",
        "",
        "a\nb",
        "C:x",
        "manifest.json",
        "x" * 300,
        None,
    ],
)
def test_a_shard_with_a_name_that_leads_elsewhere_is_refused(folder, name):
    message = changed(folder, lambda fields: fields["shards"][1].update(name=name))
    assert "makes no sense" in message and "\n" not in message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("examples", -1), ("examples", 1.0), ("examples", True), ("examples", 2**63), ("bytes", "7"),
        ("bytes", None), ("sha256", SHA[:-1]), ("sha256", SHA.upper()), ("sha256", None), ("sha256", 7),
    ],
)  # fmt: skip
def test_a_shard_with_an_impossible_value_is_refused(folder, field, value):
    message = changed(folder, lambda fields: fields["shards"][0].update({field: value}))
    assert "makes no sense" in message and "pretraining-00000" in message


def test_what_does_not_add_up_is_refused(folder):
    assert "1400 examples together" in changed(folder, lambda value: value["shards"][1].update(examples=400))
    write_manifest(folder, **FIELDS)
    assert "by `counts` 1501" in changed(folder, lambda value: value["counts"].update(examples=1501))
    write_manifest(folder, **FIELDS)
    assert "by `lengths` 1501" in changed(folder, lambda value: value["lengths"].append(1))
    write_manifest(folder, **FIELDS)
    assert "twice" in changed(folder, lambda value: value["shards"].append(value["shards"][0]))


def test_a_shard_that_is_a_link_out_of_the_folder_is_refused(tmp_path):
    folder = tmp_path / "corpus"
    write_manifest(folder, **FIELDS)
    (tmp_path / "outside").write_bytes(b"")
    shard = folder / FIELDS["shards"][0]["name"]
    shard.symlink_to(folder / "inside")
    assert read_manifest(folder).num_examples == 1500
    shard.unlink()
    shard.symlink_to(tmp_path / "outside")
    assert "is a link out of the folder" in refusal_of(folder)


def test_a_folder_that_is_itself_reached_by_a_link_is_read(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert read_manifest(tmp_path / "link").num_examples == 1500
