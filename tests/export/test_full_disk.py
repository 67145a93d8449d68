"""A disk that is full, or read-only, at any moment of an export: said, and what was published stays."""

import shutil
import subprocess

import pytest

from keras_bert.errors import OutputError
from keras_bert.export import onnx
from keras_bert.files.manifest import hash_files

ROWS = {"text": ["a film", "b"], "label": ["negative", "neither"]}
SIZE = 64 << 20
# What is left of what the export needs: the graph, the weights, what lies beside them, the last file.
SHARES = (0, 0.1, 0.5, 0.9, 0.97, 0.995)
KINDS = {
    "serving": {"format": "tf_saved_model"},
    "model.tflite": {"format": "tflite", "quantize": "float32"},
    "model.onnx": {"format": "onnx"},
}


@pytest.fixture
def disk(tmp_path):
    """A disk of its own in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fingerprints(folder, but=()) -> dict:
    files = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()]
    return hash_files(folder, [file for file in files if file not in but])


@pytest.mark.parametrize("name", KINDS)
def test_a_disk_that_fills_up_at_any_moment_leaves_what_was_published(
    bert, disk, name, no_process, monkeypatch, tmp_path
):
    if name == "model.onnx":  # converted once: tf2onnx takes ten seconds
        bert.export(tmp_path / name, **KINDS[name])
        monkeypatch.setattr(onnx, "_convert", lambda *args: shutil.copyfile(tmp_path / name, args[-1]))

    def export():
        bert.export(disk / name, eval_file=ROWS, **KINDS[name])

    export()
    pages = ("serving/README.md", "serving-ids/README.md")  # may name the version that did not come
    published = fingerprints(disk, but=pages)
    needed = sum(file.stat().st_blocks * 512 for file in disk.rglob("*") if file.is_file())
    for share in SHARES:
        filler = disk / "filler"
        with filler.open("wb") as file:
            file.truncate(0)
            free = shutil.disk_usage(disk).free
            file.write(bytes(max(0, free - int(share * needed))))
        with pytest.raises(OutputError, match="No space left on device"):
            export()
        filler.unlink()
        assert fingerprints(disk, but=pages) == published, share
    export()


def test_a_disk_that_cannot_be_written_is_said(bert, disk, no_process):
    bert.export(disk / "serving", format="tf_saved_model")
    published = fingerprints(disk)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for name, options in KINDS.items():
        with pytest.raises(OutputError, match="[Rr]ead-only"):
            bert.export(disk / name, **options)
    assert fingerprints(disk) == published
