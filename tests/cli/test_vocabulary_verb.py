"""`keras-bert vocabulary`: a file that our tokeniser opens, a report, one message for each fault."""

import gzip
import json
import subprocess
import sys

import pytest

from keras_bert.cli.main import main
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary

TEXTS = [f"The film number {i} was a Warm, funny film 我们" for i in range(300)]


@pytest.fixture
def corpus(tmp_path):
    """A compressed JSONL with lists of texts."""
    path = tmp_path / "corpus.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps({"lines": [text]}) + "\n" for text in TEXTS).encode()))
    return path


def run(corpus, output, *more):
    flags = [f"--input_file={corpus}", f"--output_file={output}", "--text_column=lines", "--vocab_size=80"]
    return main(["vocabulary", *flags, *more])


def test_the_written_folder_opens_as_a_tokenizer(corpus, tmp_path, capsys):
    assert run(corpus, tmp_path / "out" / "vocab.txt", "--nodo_lower_case") == 0
    out, err = capsys.readouterr()
    report = json.loads(out.splitlines()[-1])
    tokenizer = Tokenizer.from_folder(tmp_path / "out")
    assert not tokenizer.lowercase
    assert tokenizer.tokenize("The film was Warm, 我们") == ["The", "film", "was", "Warm", ",", "我", "们"]
    assert report["pieces"] == len(tokenizer.vocabulary) <= 80
    assert report["texts"] + report["held_out_texts"] == 300 and report["held_out_unk_rate"] == 0
    assert "counting" in err and "learning  100 %" in err


def test_another_name_gets_no_settings_beside_it(corpus, tmp_path):
    assert run(corpus, tmp_path / "words.txt") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.jsonl.gz", "words.txt"]
    assert "film" in Vocabulary.from_file(tmp_path / "words.txt")


def test_the_evaluation_file_is_measured_and_not_learnt(corpus, tmp_path, capsys):
    (tmp_path / "eval.txt").write_text("unseen ☃ film\n", encoding="utf-8")
    assert run(corpus, tmp_path / "vocab.txt", f"--eval_file={tmp_path / 'eval.txt'}") == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (report["texts"], report["held_out_texts"], report["held_out_words"]) == (300, 1, 3)
    assert report["held_out_unk_rate"] == pytest.approx(1 / 3)


def test_the_verb_runs_without_tensorflow_and_keras(corpus, tmp_path):
    script = """
import sys
for package in ("tensorflow", "tensorflow_text", "keras"):
    sys.modules[package] = None
from keras_bert.cli.main import main
sys.exit(main(["vocabulary", *sys.argv[1:]]))
"""
    flags = [f"--input_file={corpus}", f"--output_file={tmp_path / 'vocab.txt'}", "--text_column=lines"]
    subprocess.run([sys.executable, "-c", script, *flags], check=True, capture_output=True)
    assert (tmp_path / "vocab.txt").is_file()


@pytest.mark.parametrize(
    ("flags", "fragments"),
    [
        (["--input_file=absent.txt"], ["absent.txt", "no such file"]),
        (["--eval_file=absent.txt"], ["absent.txt", "no such file"]),
        (["--text_column=text"], ["corpus.jsonl.gz:1", "no field 'text'", "'lines'", "--text_column"]),
        (["--vocab_size=20"], ["no room for the alphabet", "--vocab_size"]),
        (["--encoding=klingon"], ["klingon"]),
        (["--vocab_size=none"], ["vocab_size"]),
        (["--min_frequency=0"], ["min_frequency"]),
    ],
)
def test_bad_input_gets_one_message_and_loses_nothing(corpus, tmp_path, capsys, flags, fragments):
    (tmp_path / "vocab.txt").write_text("old\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert run(corpus, tmp_path / "vocab.txt", *flags) == 2
    err = capsys.readouterr().err
    message = "\n".join(line for line in err.splitlines() if not line.startswith(("counting", "learning")))
    assert message.startswith("keras-bert vocabulary: ") and len(message.splitlines()) <= 2
    assert all(fragment in message for fragment in fragments), message
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_output_that_cannot_be_written_is_found_before_the_work(corpus, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    assert run(corpus, tmp_path / "folder") == 2
    err = capsys.readouterr().err
    assert "There is a folder of this name" in err and "counting" not in err


def test_a_file_without_words_is_refused(tmp_path, capsys):
    (tmp_path / "empty.txt").write_text("\n \n")
    assert (
        main(["vocabulary", f"--input_file={tmp_path / 'empty.txt'}", f"--output_file={tmp_path / 'v.txt'}"])
        == 2
    )
    assert "no words" in capsys.readouterr().err
    assert not (tmp_path / "v.txt").exists()


def test_the_vocabulary_of_last_time_is_no_text_to_learn_from(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("a warm film\n")
    (tmp_path / "vocab.txt").write_text("old\n")
    for whole_folder in (f"--input_file={tmp_path}", f"--eval_file={tmp_path}"):
        flags = [f"--input_file={tmp_path}/a.txt", whole_folder, f"--output_file={tmp_path / 'vocab.txt'}"]
        assert main(["vocabulary", *flags]) == 2
        assert "--output_file=" in capsys.readouterr().err
        assert (tmp_path / "vocab.txt").read_text() == "old\n"
