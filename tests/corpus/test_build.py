"""Raw text to records: the same bytes by any number of processes and after any interruption."""

import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_bert.corpus import build
from keras_bert.corpus.build import build_corpus
from keras_bert.corpus.masking import Masker
from keras_bert.corpus.reading import PretrainingRecords
from keras_bert.corpus.settings import CorpusSettings
from keras_bert.errors import DataError, OutputError, UsageError, VocabularyError

SETTINGS = CorpusSettings(max_seq_length=48, num_shards=5, sentences="auto", random_seed=7)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(build, "_PIECE_BYTES", (4096, 4096))


def hashes_of(folder):
    """Every file of a folder, but the manifest's own date-less self included."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


@pytest.fixture(scope="module")
def undisturbed(corpus_files, tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "_PIECE_BYTES", (4096, 4096))
        build_corpus(corpus_files, folder, tokenizer, SETTINGS, num_workers=1)
    return folder


@pytest.mark.parametrize("num_workers", [2, 8])
def test_the_number_of_workers_changes_no_byte(num_workers, undisturbed, corpus_files, tokenizer, tmp_path):
    build_corpus(corpus_files, tmp_path / "out", tokenizer, SETTINGS, num_workers=num_workers)
    assert hashes_of(tmp_path / "out") == hashes_of(undisturbed)


def test_nothing_but_the_records_their_manifest_and_the_vocabulary_is_left(undisturbed):
    names = {f"pretraining-{i:05d}-of-00005.tfrecord" for i in range(5)}
    assert {path.name for path in undisturbed.iterdir()} == {
        *names, "manifest.json", "vocab.txt", "tokenizer_config.json",
    }  # fmt: skip


def test_another_seed_gives_other_pairs_of_the_same_text(undisturbed, corpus_files, tokenizer, tmp_path):
    settings = CorpusSettings(**{**SETTINGS.to_dict(), "random_seed": 8})
    manifest = build_corpus(corpus_files, tmp_path / "out", tokenizer, settings, num_workers=1)
    before = PretrainingRecords(undisturbed).manifest
    assert hashes_of(tmp_path / "out") != hashes_of(undisturbed)
    for name in ("documents", "sentences", "tokens", "unknown"):
        assert manifest.counts[name] == before.counts[name]


def test_the_counts_are_those_of_the_text(undisturbed, corpus_files, tokenizer):
    text = (corpus_files / "a.txt").read_text().strip().split("\n\n")
    rows = [json.loads(line)["text"] for line in (corpus_files / "b.jsonl").read_text().splitlines()]
    counts = PretrainingRecords(undisturbed).manifest.counts
    assert counts["documents"] == len(text) + len(rows) == 260
    assert counts["tokens"] == sum(len(tokenizer.ids(document)) for document in [*text, *rows])
    assert counts["unknown"] == 0
    lines = sum(len(document.split("\n")) for document in text)
    assert counts["sentences"] == lines + sum(row.count(".") + row.count("!") for row in rows)


def test_the_examples_are_pairs_of_the_text(undisturbed, corpus_files, tokenizer):
    whole = " ".join((corpus_files / name).read_text() for name in ("a.txt", "b.jsonl")).lower()
    stream = " ".join(map(str, tokenizer.ids(" ".join(whole.replace('{"text": "', " ").split('"}')))))
    records = PretrainingRecords(undisturbed)
    cls_id, sep_id = tokenizer.vocabulary.cls_id, tokenizer.vocabulary.sep_id
    labels = []
    for shard in range(5):
        examples = records.examples(shard)
        labels += examples.next_sentence_label.tolist()
        for i in range(len(examples)):
            ids = examples.token_ids[examples.starts[i] : examples.starts[i + 1]].tolist()
            split = int(examples.b_starts[i])
            assert len(ids) <= 48 and ids[0] == cls_id and ids[split - 1] == ids[-1] == sep_id
            for segment in (ids[1 : split - 1], ids[split:-1]):
                assert segment and f" {' '.join(map(str, segment))} " in f" {stream} "
    assert len(labels) == records.num_examples > 500
    assert 0.45 < np.mean(labels) < 0.65


def test_masks_of_two_epochs_differ_and_of_two_runs_do_not(undisturbed, tokenizer):
    def masks(epoch):
        masker = Masker(tokenizer.vocabulary, SETTINGS.masks, 0)
        batches = PretrainingRecords(undisturbed).batches(16, masker=masker, epoch=epoch, shuffle=False)
        return np.concatenate([batch["mask_positions"] for batch in batches])

    np.testing.assert_array_equal(masks(0), masks(0))
    assert (masks(0) != masks(1)).any(axis=1).mean() > 0.9


def test_a_finished_corpus_is_not_built_again(undisturbed, corpus_files, tokenizer, monkeypatch):
    monkeypatch.setattr(build, "in_order", None)
    manifest = build_corpus(corpus_files, undisturbed, tokenizer, SETTINGS)
    assert manifest.counts["documents"] == 260


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_failure_at_any_moment_loses_nothing(
    num_workers, undisturbed, corpus_files, tokenizer, tmp_path, monkeypatch
):
    """The process ends in the midst of a step, again and again; the same call goes on each time."""
    rng, out, replace = random.Random(1), tmp_path / "out", os.replace
    for _ in range(12):
        left = [rng.randint(1, 12)]

        def failing(source, target, left=left):
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", failing)
            try:
                build_corpus(corpus_files, out, tokenizer, SETTINGS, num_workers=num_workers)
                break
            except KeyboardInterrupt:
                pass
    build_corpus(corpus_files, out, tokenizer, SETTINGS, num_workers=num_workers)
    assert hashes_of(out) == hashes_of(undisturbed)


def test_what_a_killed_run_left_is_cleared_away(undisturbed, corpus_files, tokenizer, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(build, "_write", interrupted)
        build_corpus(corpus_files, out, tokenizer, SETTINGS, num_workers=1)
    # Its process is a zombie, or its number another's: it looks alive.
    (out / f".pretraining-00001-of-00005.tfrecord.aa.{os.getppid()}.vm.stage.tfrecord").touch()
    build_corpus(corpus_files, out, tokenizer, SETTINGS, num_workers=1)
    assert hashes_of(out) == hashes_of(undisturbed)


def interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_kill_9_at_random_moments_loses_nothing(undisturbed, corpus_files, tokenizer, tmp_path):
    script = tmp_path / "build.py"
    script.write_text(
        "import sys\n"
        "from keras_bert.corpus import build\n"
        "from keras_bert.corpus.settings import CorpusSettings\n"
        "from keras_bert.text.tokenizer import Tokenizer\n"
        "if __name__ == '__main__':\n"
        "    build._PIECE_BYTES = (4096, 4096)\n"
        f"    settings = CorpusSettings(**{SETTINGS.to_dict()!r})\n"
        "    tokenizer = Tokenizer.from_folder(sys.argv[2])\n"
        "    build.build_corpus(sys.argv[1], sys.argv[3], tokenizer, settings, num_workers=2)\n"
    )
    command = [sys.executable, str(script), str(corpus_files), str(undisturbed)]
    started = time.perf_counter()
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    seconds = time.perf_counter() - started  # machines differ by factors
    command.append(str(tmp_path / "out"))
    rng, kills = random.Random(2), 0
    for _ in range(30):
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)
        time.sleep(seconds * rng.uniform(0.2, 0.8 if kills else 0.5))
        kills += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if (tmp_path / "out" / "manifest.json").exists():
            break
    subprocess.run(command, check=True)
    assert kills >= 1
    assert hashes_of(tmp_path / "out") == hashes_of(undisturbed)


def test_a_shard_of_one_document_takes_its_random_text_from_others(tokenizer, tmp_path, corpus_files):
    text = (corpus_files / "a.txt").read_text().split("\n\n")[:6]
    (tmp_path / "few.txt").write_text("\n\n".join(text))
    settings = CorpusSettings(max_seq_length=32, num_shards=6, dupe_factor=20)
    build_corpus(tmp_path / "few.txt", tmp_path / "out", tokenizer, settings, num_workers=1)
    records = PretrainingRecords(tmp_path / "out")
    shares = [
        (records.examples(shard).next_sentence_label == 1).mean()
        for shard in range(6)
        if len(records.examples(shard))
    ]
    assert min(shares) > 0.3


def test_static_records_hold_their_masks_and_google_records_their_features(tokenizer, tmp_path, corpus_files):
    made = {}
    for format in ("keras_bert", "google"):
        settings = CorpusSettings(
            max_seq_length=48, num_shards=2, masking="static", format=format, dupe_factor=2
        )
        build_corpus(corpus_files, tmp_path / format, tokenizer, settings, num_workers=1)
        batches = PretrainingRecords(tmp_path / format).batches(
            32, masker=None, shuffle=False, drop_remainder=False, max_length=48
        )
        made[format] = list(batches)
    for one, other in zip(made["keras_bert"], made["google"], strict=True):
        for name in ("token_ids", "segment_ids", "padding_mask", "mask_positions", "mask_ids", "mask_weights",
                     "next_sentence_label"):  # fmt: skip
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    chosen = np.concatenate([batch["mask_weights"].sum(axis=1) for batch in made["google"]])
    assert chosen.min() >= 1 and chosen.max() <= 20


@pytest.mark.parametrize("step", ["piece-000002.0", "pretraining-00003"])
def test_a_full_disk_is_told_of_and_loses_nothing(
    step, undisturbed, corpus_files, tokenizer, tmp_path, monkeypatch
):
    out, replace = tmp_path / "out", os.replace

    def full(source, target):
        if step in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OutputError, match="No space left"):
            build_corpus(corpus_files, out, tokenizer, SETTINGS, num_workers=1)
    build_corpus(corpus_files, out, tokenizer, SETTINGS, num_workers=1)
    assert hashes_of(out) == hashes_of(undisturbed)


BAD = {
    "no document": (b"\n\n  \n", {}, DataError, "no text"),
    "one document": (b"a film.\nthe night.\n", {}, DataError, "there is one document"),
    "one sentence each": (b"a film.\n\nthe night.\n", {}, DataError, "every document has one sentence"),
    "not UTF-8": (b"a film.\nthe \xe9t\xe9.\n\na plot.\nthe road.\n", {}, DataError, r"text\.txt:2"),
    "short": (b"a\nb\n\nc\nd\n", {"max_seq_length": 4}, UsageError, "--max_seq_length"),
    "no share": (b"a\nb\n\nc\nd\n", {"masked_lm_prob": 1.5}, UsageError, "--masked_lm_prob"),
    "google dynamic": (b"a\nb\n\nc\nd\n", {"format": "google"}, UsageError, "--masking"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name, tokenizer, tmp_path):
    data, changes, error, message = BAD[name]
    (tmp_path / "text.txt").write_bytes(data)
    with pytest.raises(error, match=message):
        build_corpus(
            tmp_path / "text.txt", tmp_path / "out", tokenizer, CorpusSettings(**changes), num_workers=1
        )


def test_after_a_corpus_without_pairs_the_folder_is_free_for_other_settings(tokenizer, tmp_path):
    (tmp_path / "text.txt").write_text("a film.\nthe night.\n")
    with pytest.raises(DataError, match="nonext_sentence"):
        build_corpus(tmp_path / "text.txt", tmp_path / "out", tokenizer, num_workers=1)
    assert not (tmp_path / "out").exists()
    settings = CorpusSettings(next_sentence=False)
    manifest = build_corpus(tmp_path / "text.txt", tmp_path / "out", tokenizer, settings, num_workers=1)
    assert manifest.counts["examples"] == 1


def test_a_vocabulary_without_mask_is_refused(tmp_path, corpus_files, tokenizer):
    from keras_bert.text.tokenizer import Tokenizer

    pieces = [piece for piece in tokenizer.vocabulary.pieces if piece != "[MASK]"]
    with pytest.raises(VocabularyError, match=r"no \[MASK\]"):
        build_corpus(corpus_files, tmp_path / "out", Tokenizer(pieces), SETTINGS)


def test_text_that_the_vocabulary_does_not_know_is_told_of_with_samples(tmp_path, tokenizer):
    (tmp_path / "text.txt").write_text("a film.\nγειά σου κόσμε.\n\nthe night.\na road.\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"\[UNK\].*γειά σου"):
        build_corpus(tmp_path / "text.txt", tmp_path / "out", tokenizer, SETTINGS, num_workers=1)


def test_a_folder_of_other_settings_or_other_files_is_refused(tmp_path, corpus_files, tokenizer, undisturbed):
    other = CorpusSettings(**{**SETTINGS.to_dict(), "max_seq_length": 64})
    with pytest.raises(OutputError, match="max_seq_length=48, now 64"):
        build_corpus(corpus_files, undisturbed, tokenizer, other)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"mine\.txt"):
        build_corpus(corpus_files, tmp_path / "out", tokenizer, SETTINGS)
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_beam_writes_the_same_bytes(tmp_path, corpus_files, tokenizer, undisturbed):
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install apache-beam")
    build_corpus(corpus_files, tmp_path / "out", tokenizer, SETTINGS, runner="DirectRunner")
    assert hashes_of(tmp_path / "out") == hashes_of(undisturbed)


def test_without_beam_its_extra_is_named(tmp_path, corpus_files, tokenizer, monkeypatch):
    from keras_bert.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(MissingExtraError, match=r"keras-bert-kit\[beam\]"):
        build_corpus(corpus_files, tmp_path / "out", tokenizer, SETTINGS, runner="DirectRunner")
