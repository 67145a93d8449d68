"""The README's code runs as it stands, in both languages."""

import ast
import pathlib
import re
import shutil

import pytest

ROOT = pathlib.Path(__file__).parents[1]
BUNDLED = ROOT / "keras_bert" / "recipes"


def _blocks(readme):
    return re.findall(
        r"^```python\n(.*?)^```", (ROOT / readme).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def _programs():
    """Of READMEs whose blocks differ in nothing but comments, one: the same program need not run twice."""
    programs = {}
    for readme in ("README.md", "README.zh.md"):
        programs.setdefault(tuple(ast.dump(ast.parse(block, readme)) for block in _blocks(readme)), readme)
    return programs.values()


@pytest.mark.slow
@pytest.mark.parametrize("readme", _programs())
def test_the_readmes_python_runs_and_leaves_what_it_promises(
    readme, minilm_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(minilm_folder, "all-MiniLM-L6-v2")
    for ours, theirs, count in (("reviews_train.tsv", "train.tsv", 33), ("reviews_eval.tsv", "dev.tsv", 17)):
        lines = (BUNDLED / ours).read_text(encoding="utf-8").splitlines(keepends=True)
        pathlib.Path(theirs).write_text("".join(lines[:count]), encoding="utf-8")
    names = {}
    for block in _blocks(readme):
        exec(compile(block, readme, "exec"), names)
    printed = capsys.readouterr().out
    assert "['una', '##ffa', '##ble']" in printed
    assert "['covid', 'ri', '##tu', '##xi', '##mab']" in printed
    for path in ("out/model/model.safetensors", "out/serving/1/saved_model.pb", "out/model.tflite"):
        assert pathlib.Path(path).is_file()
