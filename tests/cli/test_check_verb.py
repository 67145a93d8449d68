"""`keras-bert check`: a report, one JSON object, and exit code 2 for grave findings with --strict."""

import json
import subprocess
import sys

import pytest

from keras_bert.cli.main import main

TRAIN = "text\tlabel\nA good film\tgood\na  good film\tbad\nonly one field\nbad film\tbad\n"
TRAIN += "fine &amp; dull\tbad \n"
EVAL = "text\tlabel\nbad film\tbad\na warm film\tgood\n"
CLEAN = "text\tlabel\nthe road\tgood\nthe plot\tbad\n"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film", "good", "bad"]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Files with planted faults, in the folder the command runs in."""
    for name, text in (("train.tsv", TRAIN), ("eval.tsv", EVAL), ("clean.tsv", CLEAN)):
        (tmp_path / name).write_text(text)
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*flags, train="train.tsv"):
    return main(["check", f"--train_file={train}", *flags])


def test_findings_come_worst_first_with_places_and_what_to_do(files, capsys):
    assert check("--eval_file=eval.tsv") == 0
    out = capsys.readouterr().out
    report = json.loads(out.splitlines()[-1])
    assert [finding["kind"] for finding in report["findings"][:3]] == ["contradiction", "leak", "unreadable"]
    assert report["findings"][1]["what"] == (
        "1 row has a text of the train file (50.0 %; 0 of them with another label)"
    )
    for line in (
        "GRAVE  train: 1 text occurs with contradicting labels, in 2 rows.",
        "    train.tsv:2 = train.tsv:3  [good / bad]  a good film",
        "    train.tsv:4  This row has 1 columns, the first one 2",
        "    eval.tsv:2 = train.tsv:5  [bad / bad]  bad film",
        "    train.tsv:6  fine &amp; dull",
        "NOTE  train: 1 row has white space around the label.",
    ):
        assert line in out.splitlines()
    assert out.count("To do: ") == len(report["findings"])


def test_strict_ends_with_2_for_grave_findings_only(files, capsys):
    assert check("--strict", train="clean.tsv") == 0
    assert check("--strict") == 2
    captured = capsys.readouterr()
    assert "2 of the findings are grave" in captured.err and "Traceback" not in captured.err
    assert json.loads(captured.out.splitlines()[-1])["findings"]


def test_without_faults_it_says_so(files, capsys):
    assert check(train="clean.tsv") == 0
    assert "Nothing is wrong that could be seen." in capsys.readouterr().out


def test_a_vocabulary_counts_pieces_and_the_report_is_written(files, capsys):
    assert check("--vocab_file=vocab.txt", "--max_seq_length=4", "--output_file=report.json") == 0
    out = capsys.readouterr().out
    report = json.loads((files / "report.json").read_text(encoding="utf-8"))
    assert report == json.loads(out.splitlines()[-1])
    tokens = report["files"]["train"]["texts"]["tokens"]
    assert (tokens["lengths"]["max"], tokens["truncated"]) == (7, 3)  # fine & amp ; dull
    assert "suggested: --max_seq_length=16" in out and "'dull'" in out


def test_what_a_terminal_would_obey_is_shown_escaped(files, capsys):
    text = '{"text": "red \\u001b[31m &amp; on", "label": "\\ud83d"}\n{"text": "b two", "label": "x"}\n'
    (files / "a.jsonl").write_text(text)
    assert check(train="a.jsonl") == 0
    out = capsys.readouterr().out
    assert "red \\x1b[31m" in out and "\x1b" not in out
    assert "\ud83d" in json.loads(out.splitlines()[-1])["files"]["train"]["targets"]["counts"]


def test_a_byte_that_is_no_text_ends_the_reading_and_the_rest_is_reported(files, capsys):
    (files / "cut.tsv").write_bytes(
        b"text\tlabel\n" + b"good film\t1\nbad film\t0\n" * 2000 + b"\xff\t1\nx\t0\n"
    )
    assert check(train="cut.tsv") == 0
    out = capsys.readouterr().out
    assert "reading ended" in out and "cut.tsv:4002  The byte 0xff is not valid utf-8" in out


@pytest.mark.parametrize(
    ("flags", "fragments"),
    [
        (["--eval_file=absent.tsv"], ["--eval_file=absent.tsv", "no such file"]),
        (["--text_column=review"], ["no column 'review'", "train.tsv:1", "--text_column"]),
        (["--vocab_file=vocab.txt", "--model_dir=."], ["two vocabularies"]),
        (["--max_seq_length=2"], ["--max_seq_length=2"]),
        (["--task=dancing"], ["--task", "classification"]),
    ],
)
def test_bad_flags_get_one_message(files, capsys, flags, fragments):
    assert check(*flags) == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    for fragment in fragments:
        assert fragment in message


def test_the_verb_runs_without_tensorflow_and_keras(files):
    script = """
import sys
for package in ("tensorflow", "tensorflow_text", "keras"):
    sys.modules[package] = None
from keras_bert.cli.main import main
sys.exit(main(["check", *sys.argv[1:]]))
"""
    flags = ["--train_file=train.tsv", "--eval_file=eval.tsv", "--vocab_file=vocab.txt"]
    subprocess.run([sys.executable, "-c", script, *flags], check=True, capture_output=True)
