"""`keras-bert corpus`: text files to a folder of records, and one message where that cannot be."""

import json

import pytest

from keras_bert.cli.main import main
from keras_bert.corpus.reading import PretrainingRecords

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "film", "plot", "the", "road", "."]
TEXT = "A film.\nThe plot.\nThe road.\n\nThe film.\nA plot. A road.\nA film.\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES))
    return tmp_path


def corpus(files, *more, vocabulary="vocab.txt", out="out"):
    return main([
        "corpus", f"--input_file={files}/text.txt", f"--vocab_file={files}/{vocabulary}",
        f"--output_dir={files}/{out}", "--num_workers=1", *more,
    ])  # fmt: skip


def test_it_builds_records_and_prints_their_counts_as_its_last_line(files, capsys):
    assert corpus(files, "--max_seq_length=32", "--dupe_factor=3") == 0
    counts = json.loads(capsys.readouterr().out.splitlines()[-1])
    records = PretrainingRecords(files / "out")
    assert counts["documents"] == 2 and counts["sentences"] == 6 and counts["shards"] == 1
    assert counts["examples"] == records.num_examples >= 6
    assert records.settings["max_seq_length"] == 32 and records.settings["masking"] == "dynamic"


def test_its_folder_serves_as_vocabulary_for_the_next(files):
    assert corpus(files) == 0
    assert corpus(files, vocabulary="out", out="again") == 0
    one, other = (PretrainingRecords(files / name).manifest for name in ("out", "again"))
    assert one.shards == other.shards


def test_google_s_format_has_static_masks(files):
    assert corpus(files, "--format=google") == 0
    assert PretrainingRecords(files / "out").kind == "google"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--masking=sometimes"], "masking"),
        (["--max_seq_length=3"], "--max_seq_length"),
        (["--format=google", "--masking=dynamic"], "--masking"),
        (["--chinese_words=/no/such/words.txt"], "/no/such/words.txt"),
    ],
)
def test_bad_flags_get_one_message_and_leave_nothing(files, arguments, message, capsys):
    assert corpus(files, *arguments) == 2
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told
    assert not (files / "out" / "manifest.json").exists()


def test_other_settings_in_a_finished_folder_are_refused_and_it_is_untouched(files, capsys):
    assert corpus(files) == 0
    before = {path.name: path.read_bytes() for path in (files / "out").iterdir()}
    assert corpus(files, "--random_seed=1") == 2
    assert "random_seed=12345, now 1" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (files / "out").iterdir()} == before
