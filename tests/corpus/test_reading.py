"""Reading pretraining records: exact orders, resume, parts of a batch, and every kind of damage."""

import gzip
import hashlib
import json
import os
import warnings

import numpy as np
import pytest
from written_corpus import COUNTS, LENGTH, SLOTS, assert_same, made, write_corpus

from keras_bert.corpus.example_proto import encode_examples
from keras_bert.corpus.examples import concatenated
from keras_bert.corpus.masking import Masker, Masking
from keras_bert.corpus.reading import PretrainingRecords
from keras_bert.corpus.tfrecord import framed, payloads
from keras_bert.errors import DataError, UsageError


@pytest.fixture
def masker(tokenizer):
    return Masker(tokenizer.vocabulary, Masking(0.15, SLOTS), seed=3)


@pytest.fixture
def corpus(tmp_path, tokenizer):
    write_corpus(tmp_path / "corpus", tokenizer)
    return tmp_path / "corpus"


@pytest.fixture
def whole(corpus, tokenizer):
    return concatenated([made(count, seed) for seed, count in enumerate(COUNTS)])


def shard(folder, number):
    return sorted(folder.glob("*.tfrecord"))[number]


def flip(path, place):
    """Flips a bit; the size and, as careless copies do, the time stay."""
    status, data = os.stat(path), bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def bounds(path):
    begins, ends = payloads(path.read_bytes(), str(path))
    return begins.tolist(), ends.tolist()


def cut(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


def refusal_of(act) -> str:
    with pytest.raises(DataError) as error:
        act()
    return str(error.value)


def read_all(source, **options):
    records = PretrainingRecords(source, **options)
    return list(records.batches(1, drop_remainder=False))


def identities(batches) -> list[bytes]:
    """Each example of the batches, told by its ids."""
    return [
        row[mask > 0].tobytes()
        for b in batches
        for row, mask in zip(b["token_ids"], b["padding_mask"], strict=True)
    ]


def examples_of(whole) -> list[bytes]:
    return [
        whole.token_ids[begin:end].tobytes()
        for begin, end in zip(whole.starts[:-1], whole.starts[1:], strict=True)
    ]


# What a corpus says of itself


def test_a_folder_tells_what_is_in_it(corpus, tokenizer):
    records = PretrainingRecords(corpus)
    assert (records.num_examples, records.max_length, records.kind) == (sum(COUNTS), LENGTH, "dynamic")
    assert records.has_pairs and records.skipped == [] and records.settings["max_seq_length"] == LENGTH
    assert records.vocabulary == tokenizer.vocabulary
    assert (records.num_batches(32), records.num_batches(32, drop_remainder=False)) == (3, 4)


def test_the_examples_of_a_shard_come_as_they_were_written(corpus):
    records = PretrainingRecords(corpus)
    for number, count in enumerate(COUNTS):
        found, expected = records.examples(number), made(count, number)
        np.testing.assert_array_equal(found.token_ids, expected.token_ids)
        np.testing.assert_array_equal(found.next_sentence_label, expected.next_sentence_label)


def test_nothing_is_read_of_a_shard_before_it_is_wanted(corpus, monkeypatch):
    opened = []
    read = PretrainingRecords.reader
    monkeypatch.setattr(PretrainingRecords, "reader", lambda self, n: opened.append(n) or read(self, n))
    records = PretrainingRecords(corpus)
    assert opened == []
    next(records.batches(4, shuffle=False, start=25))
    assert opened == [3]


@pytest.mark.parametrize("kind", ["static", "google"])
def test_records_with_masks_give_the_masks_they_were_written_with(tmp_path, tokenizer, masker, kind):
    whole = write_corpus(tmp_path / "c", tokenizer, masker, kind)
    expected = masker(whole.padded(LENGTH), 0, np.arange(len(whole)))
    expected["next_sentence_label"] = whole.next_sentence_label.astype(np.int32)
    indices = {"record_indices": np.arange(len(whole))}
    sources = [tmp_path / "c", str(tmp_path / "c/*.tfrecord"), sorted((tmp_path / "c").glob("*.tfrecord"))]
    for source in sources:
        records = PretrainingRecords(source)
        assert records.kind == kind
        batches = records.batches(len(whole), shuffle=False, max_length=LENGTH)
        assert_same(list(batches), [expected | indices])
    first = PretrainingRecords(tmp_path / "c").masked(0)
    assert_same([first], [{name: rows[: COUNTS[0]] for name, rows in expected.items()}])


def test_google_files_are_read_without_a_manifest_compressed_or_not(tmp_path, tokenizer, masker):
    write_corpus(tmp_path / "c", tokenizer, masker, "google")
    plain = read_all(str(tmp_path / "c/*.tfrecord"))
    for path in sorted((tmp_path / "c").glob("*.tfrecord")):
        (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    packed = PretrainingRecords(str(tmp_path / "*.tfrecord.gz"))
    assert (packed.kind, packed.max_length, packed.num_slots) == ("google", LENGTH, SLOTS)
    assert_same(list(packed.batches(1, drop_remainder=False)), plain)


def test_ours_without_a_manifest_want_to_know_the_length(corpus, whole):
    records = PretrainingRecords(f"{shard(corpus, 0)},{shard(corpus, 1)}, {corpus}/*-0000[23]-*")
    assert (records.kind, records.num_examples, records.has_pairs) == ("dynamic", sum(COUNTS), True)
    assert "say max_length" in refusal_of(lambda: records.batches(4))
    batches = records.batches(1, max_length=LENGTH, shuffle=False)
    assert identities(batches) == examples_of(whole)


def test_a_corpus_without_pairs_has_no_labels(tmp_path, tokenizer, masker):
    write_corpus(tmp_path / "c", tokenizer, pairs=False)
    for source in (tmp_path / "c", str(tmp_path / "c/*.tfrecord")):
        batch = next(PretrainingRecords(source).batches(4, masker=masker, max_length=LENGTH))
        assert "next_sentence_label" not in batch


# The order


def test_an_epoch_has_every_example_once_in_another_order_each(corpus, whole):
    records = PretrainingRecords(corpus)
    expected, orders = sorted(examples_of(whole)), []
    for options in ({}, {"epoch": 1}, {"seed": 1}):
        found = identities(records.batches(7, drop_remainder=False, **options))
        assert sorted(found) == expected
        orders.append(found)
        assert identities(PretrainingRecords(corpus).batches(7, drop_remainder=False, **options)) == found
    assert len(set(map(tuple, orders))) == 3
    unshuffled = records.batches(7, drop_remainder=False, shuffle=False)
    assert identities(unshuffled) == examples_of(whole)


def test_the_shards_and_the_examples_of_each_have_another_order_in_every_epoch(corpus, whole):
    number = {text: i for i, text in enumerate(examples_of(whole))}
    borders, visits, inside = np.cumsum(COUNTS), set(), set()
    for epoch in range(8):
        order = [number[text] for text in identities(PretrainingRecords(corpus).batches(1, epoch=epoch))]
        shards = np.searchsorted(borders, order, side="right")
        visits.add(tuple(shards[np.append(True, np.diff(shards) != 0)].tolist()))
        inside.add(tuple(i for i in order if i < COUNTS[0]))
    assert {len(visit) for visit in visits} == {len(COUNTS)}  # each shard at a stretch
    assert len(visits) > 3 and len(inside) == 8


def test_batches_have_one_size_and_cross_the_borders_of_shards(corpus):
    records = PretrainingRecords(corpus)
    sizes = [len(batch["token_ids"]) for batch in records.batches(32)]
    assert sizes == [32] * 3
    sizes = [len(batch["token_ids"]) for batch in records.batches(32, drop_remainder=False)]
    assert sizes == [32] * 3 + [sum(COUNTS) - 96]


def test_the_order_does_not_depend_on_how_many_are_decoded_at_a_time(corpus, masker, monkeypatch):
    records = PretrainingRecords(corpus)
    expected = list(records.batches(3, masker=masker))
    for at_once in (1, 10, 50):
        monkeypatch.setattr("keras_bert.corpus.batches._AT_ONCE", at_once)
        assert_same(list(records.batches(3, masker=masker)), expected)


def test_masks_depend_on_the_epoch_and_the_example_not_on_its_place(corpus, masker, whole):
    records = PretrainingRecords(corpus)
    expected = masker(whole.padded(LENGTH), 5, np.arange(len(whole)))
    rows = {row.tobytes(): row for row in expected["token_ids"]}
    for size in (1, 7):
        for batch in records.batches(size, masker=masker, epoch=5, drop_remainder=False):
            assert all(row.tobytes() in rows for row in batch["token_ids"])
    labels = [
        b["next_sentence_label"]
        for b in records.batches(8, masker=masker, shuffle=False, drop_remainder=False)
    ]
    np.testing.assert_array_equal(np.concatenate(labels), whole.next_sentence_label)


MODES = [{}, {"shuffle": False}, {"buckets": True}, {"packed": 64}, {"drop_remainder": False}]
MODES += [{"buckets": True, "drop_remainder": False}, {"packed": 40, "drop_remainder": False}]


@pytest.fixture(params=MODES, ids=str)
def mode(request, monkeypatch):
    monkeypatch.setattr("keras_bert.corpus.batches._WINDOW_BATCHES", 3)
    return request.param


def test_resuming_at_any_batch_gives_the_rest_of_the_epoch(corpus, masker, mode):
    records = PretrainingRecords(corpus)
    expected = list(records.batches(6, masker=masker, **mode))
    assert len(expected) >= 6
    for start in range(len(expected) + 2):
        assert_same(list(records.batches(6, masker=masker, start=start, **mode)), expected[start:])


def test_readers_of_parts_have_the_whole_together(corpus, masker, mode):
    records = PretrainingRecords(corpus)
    expected = list(records.batches(6, masker=masker, **mode))
    for readers in (2, 3, 4):
        parts = [list(records.batches(6, masker=masker, shard=(i, readers), **mode)) for i in range(readers)]
        assert {len(batches) for batches in parts} == {len(expected)}
        for number, batch in enumerate(expected):
            for name in ("token_ids", "padding_mask", "segment_ids"):
                found = np.concatenate([batches[number][name] for batches in parts])
                np.testing.assert_array_equal(found, batch[name])
            found = np.concatenate([batches[number]["record_indices"].ravel() for batches in parts])
            expected_indices = batch["record_indices"].ravel()
            np.testing.assert_array_equal(found[found >= 0], expected_indices[expected_indices >= 0])


def test_every_reader_has_a_part_of_the_last_batch_even_if_it_is_empty(
    tmp_path, tokenizer, masker, mode, monkeypatch
):
    monkeypatch.setattr("keras_bert.corpus.batches._AT_ONCE", 1)
    write_corpus(tmp_path / "c", tokenizer, counts=(12, 1))
    records = PretrainingRecords(tmp_path / "c")
    numbers = {len(list(records.batches(6, masker=masker, shard=(i, 6), **mode))) for i in range(6)}
    assert len(numbers) == 1


def test_no_example_is_lost_in_buckets_or_packed_rows(corpus, whole, masker, mode):
    records = PretrainingRecords(corpus)
    tokens = sum(int(batch["padding_mask"].sum()) for batch in records.batches(6, masker=masker, **mode))
    if mode.get("drop_remainder") is False:
        assert tokens == len(whole.token_ids)
    else:
        assert 0.8 * len(whole.token_ids) < tokens <= len(whole.token_ids)


def test_buckets_are_of_about_one_length_and_padded_to_it_only(corpus):
    batches = list(PretrainingRecords(corpus).batches(8, buckets=True))
    assert len({batch["token_ids"].shape[1] for batch in batches}) > 1
    for batch in batches:
        lengths, width = batch["padding_mask"].sum(axis=1), batch["token_ids"].shape[1]
        assert width == min(LENGTH, -(-lengths.max() // 8) * 8)
    plain = sum(batch["padding_mask"].size for batch in PretrainingRecords(corpus).batches(8))
    assert sum(batch["padding_mask"].size for batch in batches) < 0.8 * plain


def test_packed_rows_hold_examples_masked_as_they_would_be_alone(corpus, whole, masker):
    alone = masker(whole.padded(LENGTH), 2, np.arange(len(whole)))
    lengths = whole.lengths
    expected = sorted(row[:length].tobytes() for row, length in zip(alone["token_ids"], lengths, strict=True))
    found = []
    for batch in PretrainingRecords(corpus).batches(
        4, masker=masker, epoch=2, packed=64, drop_remainder=False
    ):
        assert batch["token_ids"].shape[1] == 64 and batch["mask_ids"].shape[1] % 8 == 0
        for row, ids in zip(batch["token_ids"], batch["example_ids"], strict=True):
            found += [row[ids == i].tobytes() for i in range(1, ids.max() + 1)]
    assert sorted(found) == expected


def test_an_example_that_is_too_long_is_refused(corpus):
    assert "max_length" in refusal_of(lambda: list(PretrainingRecords(corpus).batches(8, max_length=10)))
    wide = next(PretrainingRecords(corpus).batches(8, max_length=50))
    assert wide["token_ids"].shape == (8, 50)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0}, {"batch_size": 2.5}, {"epoch": -1}, {"start": -1}, {"shard": (2, 2)},
        {"shard": (0, 5)}, {"buckets": True, "packed": 64}, {"packed": 64}, {"max_length": 0},
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused_at_once(corpus, options):
    with pytest.raises(UsageError):
        PretrainingRecords(corpus).batches(**{"batch_size": 4, **options})


def test_records_with_masks_take_no_masker(tmp_path, tokenizer, masker):
    write_corpus(tmp_path / "c", tokenizer, masker, "static")
    with pytest.raises(UsageError, match="hold their masks"):
        PretrainingRecords(tmp_path / "c").batches(4, masker=masker)


# Damage


def test_every_missing_cut_or_too_long_shard_is_named_at_once(corpus):
    (sizes := [path.stat().st_size for path in sorted(corpus.glob("*.tfrecord"))])
    shard(corpus, 3).write_bytes(shard(corpus, 3).read_bytes() + framed([b"x"]))
    cut(shard(corpus, 0), sizes[0] - 3)
    shard(corpus, 1).unlink()
    message = refusal_of(lambda: PretrainingRecords(corpus))
    assert (
        f"00000-of-00004.tfrecord is cut: {sizes[0] - 3:,} of {sizes[0]:,} bytes, 39 of 40 examples"
        in message
    )
    assert f"00001-of-00004.tfrecord is missing ({sizes[1]:,} bytes, 25 examples)" in message
    assert (
        f"00003-of-00004.tfrecord is too long: {sizes[3] + 17:,} of {sizes[3]:,} bytes, 56 of 55 ex"
        in message
    )
    assert message.startswith(f"{corpus}: 3 of the files")


def test_a_great_many_damaged_shards_are_all_in_the_notes(tmp_path, tokenizer):
    write_corpus(tmp_path / "c", tokenizer, counts=(1,) * 30)
    for path in (tmp_path / "c").glob("*.tfrecord"):
        path.unlink()
    with pytest.raises(DataError, match="30 of the files") as error:
        PretrainingRecords(tmp_path / "c")
    assert len(error.value.__notes__) == 30 and "and 22 more" in str(error.value)


def test_a_cut_between_two_records_is_counted(corpus):
    begins, _ = bounds(shard(corpus, 3))
    cut(shard(corpus, 3), begins[20] - 12)
    assert "20 of 55 examples" in refusal_of(lambda: PretrainingRecords(corpus))


def test_a_shard_of_the_right_size_with_fewer_examples_is_refused(corpus):
    """Filled with a record, so that its size is right."""
    path = shard(corpus, 3)
    begins, _ = bounds(path)
    data = path.read_bytes()
    path.write_bytes(data[: begins[50] - 12] + framed([bytes(len(data) - begins[50] - 4)]))
    message = refusal_of(lambda: read_all(corpus))
    assert "00003-of-00004.tfrecord: The shard has 51 of 55 examples" in message


@pytest.mark.parametrize("part", ["data", "crc"])
def test_a_flipped_bit_is_named_with_its_record(corpus, part):
    path = shard(corpus, 1)
    begins, ends = bounds(path)
    flip(path, ends[7] - 1 if part == "data" else ends[7] + 2)
    message = refusal_of(lambda: read_all(corpus))
    assert f"{path}: The shard has 24 of 25 examples; record 7, at byte {begins[7] - 12}" in message
    assert refusal_of(lambda: read_all(corpus, verify=False)) == message
    assert len(PretrainingRecords(corpus).examples(0)) == 40  # the others can be read


def test_a_flipped_bit_of_a_length_is_named_with_its_record(corpus):
    path = shard(corpus, 1)
    begins, _ = bounds(path)
    flip(path, begins[7] - 12)
    message = refusal_of(lambda: read_all(corpus))
    assert (
        f"The shard has 7 of 25 examples; record 7, at byte {begins[7] - 12}: its length is altered"
        in message
    )


def test_a_shard_that_changes_after_it_was_checked_is_checked_again(corpus):
    records = PretrainingRecords(corpus)
    records.examples(1)
    path = shard(corpus, 1)
    _, ends = bounds(path)
    data = bytearray(path.read_bytes())
    data[ends[7] - 1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(0, 123))
    assert "record 7" in refusal_of(lambda: records.examples(1))


def test_a_shard_is_hashed_once_in_a_process(corpus, monkeypatch):
    hashed = []
    sha256 = hashlib.sha256
    monkeypatch.setattr("hashlib.sha256", lambda *data: hashed.append(1) or sha256(*data))
    for _ in range(3):
        PretrainingRecords(corpus).examples(1)
    assert len(hashed) == 1


def test_exchanged_shards_are_refused(tmp_path, tokenizer):
    """Of one size, so that only the hash can tell."""
    write_corpus(tmp_path / "c", tokenizer, counts=(20, 20))
    one, other = shard(tmp_path / "c", 0), shard(tmp_path / "c", 1)
    examples = made(20, 0)
    examples.token_ids[:] = examples.token_ids[::-1]
    changed = framed(encode_examples(examples))
    assert len(changed) == one.stat().st_size
    one.write_bytes(changed)
    assert "The shard is another file: its sha256" in refusal_of(lambda: read_all(tmp_path / "c"))
    assert "The shard is another file" in refusal_of(lambda: read_all(tmp_path / "c", max_skipped=100))
    assert len(read_all(tmp_path / "c", verify=False)) == 40
    other.rename(one)
    assert "is cut" in refusal_of(lambda: PretrainingRecords(tmp_path / "c")) or "missing" in refusal_of(
        lambda: PretrainingRecords(tmp_path / "c")
    )


def test_a_shard_under_the_name_of_a_larger_one_is_not_taken_for_a_cut_one(corpus):
    shard(corpus, 0).write_bytes(shard(corpus, 1).read_bytes())
    message = refusal_of(lambda: PretrainingRecords(corpus, max_skipped=1000))
    assert "The file is another shard, pretraining-00001" in message


def test_an_extra_shard_is_not_read_and_said(corpus):
    (corpus / "pretraining-00009-of-00010.tfrecord").write_bytes(framed([b"x"]))
    with pytest.warns(UserWarning, match="are not read: pretraining-00009"):
        records = PretrainingRecords(corpus)
    assert records.num_examples == sum(COUNTS)


def test_an_id_beyond_the_vocabulary_is_refused(tmp_path, tokenizer):
    folder = tmp_path / "c"
    write_corpus(folder, tokenizer)
    text = (folder / "manifest.json").read_text()
    pieces = f'"pieces": {len(tokenizer.vocabulary)}'
    assert pieces in text
    (folder / "manifest.json").write_text(text.replace(pieces, '"pieces": 20'))
    assert "ids below 20" in refusal_of(lambda: read_all(folder))


def test_another_vocabulary_in_the_folder_is_refused(corpus):
    (corpus / "vocab.txt").write_text((corpus / "vocab.txt").read_text() + "more\n")
    assert "not the one that the corpus was built with" in refusal_of(
        lambda: PretrainingRecords(corpus).vocabulary
    )


@pytest.mark.parametrize("value", [None, "x", 0, 2.5])
def test_a_setting_that_makes_no_sense_is_refused(corpus, value):
    path = corpus / "manifest.json"
    fields = json.loads(path.read_text())
    fields["settings"]["max_seq_length"] = value
    path.write_text(json.dumps(fields))
    assert "max_seq_length" in refusal_of(lambda: PretrainingRecords(corpus))


# Skipping


def damage(corpus):
    """Two records altered, a destroyed length before the last five, a cut in the last three: 10 lost."""
    begins, ends = bounds(shard(corpus, 0))
    flip(shard(corpus, 0), ends[3] - 1)
    flip(shard(corpus, 0), ends[30] + 1)
    begins, _ = bounds(shard(corpus, 1))
    flip(shard(corpus, 1), begins[20] - 12)
    begins, _ = bounds(shard(corpus, 3))
    cut(shard(corpus, 3), begins[52] - 12)
    numbers = np.arange(sum(COUNTS))
    lost = {3, 30, *range(60, 65), *range(66 + 52, 66 + 55)}
    return [i for i in numbers if i not in lost]


def test_damaged_examples_are_skipped_counted_and_said(corpus, whole):
    left = damage(corpus)
    with pytest.warns(UserWarning, match="10 examples are skipped: .*00000-of.*00001-of.*00003-of"):
        records = PretrainingRecords(corpus, max_skipped=10)
    assert [(row.path, row.examples) for row in records.skipped] == [
        (str(shard(corpus, 0)), 2), (str(shard(corpus, 1)), 5), (str(shard(corpus, 3)), 3),
    ]  # fmt: skip
    assert records.num_examples == len(left)
    found = identities(records.batches(1, shuffle=False))
    assert found == [examples_of(whole)[i] for i in left]


def test_skipping_moves_no_mask_and_resumes_where_it_stopped(corpus, whole, masker):
    expected = masker(whole.padded(LENGTH), 1, np.arange(len(whole)))
    left = damage(corpus)
    with pytest.warns(UserWarning, match="skipped"):
        records = PretrainingRecords(corpus, max_skipped=20)
    [batch] = records.batches(len(left), shuffle=False, masker=masker, epoch=1)
    np.testing.assert_array_equal(batch["token_ids"], expected["token_ids"][left])
    batches = list(records.batches(6, masker=masker))
    assert_same(list(records.batches(6, masker=masker, start=11)), batches[11:])


def test_more_than_may_be_skipped_is_refused(corpus):
    damage(corpus)
    message = refusal_of(lambda: PretrainingRecords(corpus, max_skipped=9))
    assert "10 examples are lost, and 9 may be" in message
    assert "00000-of-00004.tfrecord: The shard has 38 of 40 examples; record 3" in message


def test_a_missing_shard_counts_as_all_its_examples(corpus):
    shard(corpus, 1).unlink()
    assert "25 examples are lost" in refusal_of(lambda: PretrainingRecords(corpus, max_skipped=24))
    with pytest.warns(UserWarning, match="the file is missing"):
        assert PretrainingRecords(corpus, max_skipped=25).num_examples == sum(COUNTS) - 25


def test_a_sound_corpus_skips_nothing_and_warns_of_nothing(corpus):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        records = PretrainingRecords(corpus, max_skipped=10)
    assert records.skipped == []
    assert_same(list(records.batches(4)), list(PretrainingRecords(corpus).batches(4)))


def test_examples_of_files_without_a_manifest_are_skipped_too(tmp_path, tokenizer, masker):
    write_corpus(tmp_path / "c", tokenizer, masker, "google", counts=(20, 20))
    one, other = shard(tmp_path / "c", 0), shard(tmp_path / "c", 1)
    _, ends = bounds(one)
    flip(one, ends[0] - 1)
    begins, _ = bounds(other)
    cut(other, begins[15] + 5)
    files = str(tmp_path / "c/*.tfrecord")
    assert f"{other}: record 15" in refusal_of(lambda: PretrainingRecords(files))
    with pytest.warns(UserWarning, match="2 examples are skipped"):
        records = PretrainingRecords(files, max_skipped=2)
    assert records.num_examples == 34 and len(identities(records.batches(1))) == 34
    assert "2 examples are lost" in refusal_of(lambda: PretrainingRecords(files, max_skipped=1))


# What is no corpus


def test_what_is_no_pretraining_record_is_refused(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(framed([b"\x0a\x00"]))
    assert "These are no pretraining records" in refusal_of(
        lambda: PretrainingRecords(tmp_path / "a.tfrecord")
    )
    (tmp_path / "b.txt").write_text("A text, not a file of records.\n" * 3)
    assert "not the beginning of a TFRecord" in refusal_of(lambda: PretrainingRecords(tmp_path / "b.txt"))
    (tmp_path / "empty").write_bytes(b"")
    assert "There is no example" in refusal_of(lambda: PretrainingRecords(tmp_path / "empty"))
    assert "No file fits" in refusal_of(lambda: PretrainingRecords(str(tmp_path / "*.none")))
    assert "no such file" in refusal_of(lambda: PretrainingRecords(tmp_path / "none"))
    assert "No file is named" in refusal_of(lambda: PretrainingRecords([]))
    with pytest.raises(UsageError, match="max_skipped"):
        PretrainingRecords(tmp_path, max_skipped=-1)
