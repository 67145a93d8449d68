"""TFRecord frames: against TensorFlow's writer and reader, and every kind of damage."""

import gzip

import numpy as np
import pytest
import tensorflow as tf

from keras_bert.corpus.tfrecord import file_bytes, framed, payloads, scan
from keras_bert.errors import DataError

RECORDS = [b"", b"a", *(np.random.default_rng(n).bytes(n * 37 % 400) for n in range(1, 60)), bytes(70_000)]
FRAMED = framed(RECORDS)
STARTS = np.cumsum([0, *(16 + len(record) for record in RECORDS)]).tolist()


def read(data, **options) -> list[bytes]:
    begins, ends = payloads(data, "x.tfrecord", **options)
    return [bytes(data[begin:end]) for begin, end in zip(begins, ends, strict=True)]


def flipped(data: bytes, place: int, bit: int = 0) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def refusal_of(data) -> str:
    with pytest.raises(DataError) as error:
        payloads(data, "x.tfrecord")
    return str(error.value)


def test_tensorflow_reads_what_we_frame(tmp_path):
    (tmp_path / "a").write_bytes(FRAMED)
    found = list(tf.data.TFRecordDataset(str(tmp_path / "a")).as_numpy_iterator())
    assert found == RECORDS


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_we_read_what_tensorflow_frames_and_frame_the_same(tmp_path, compression):
    with tf.io.TFRecordWriter(str(tmp_path / "a"), compression) as writer:
        for record in RECORDS:
            writer.write(record)
    data = file_bytes(tmp_path / "a")
    assert read(data) == RECORDS
    assert data.tobytes() == FRAMED


def test_bytes_views_and_arrays_are_read_alike():
    for data in (FRAMED, memoryview(FRAMED), np.frombuffer(FRAMED, np.uint8)):
        assert read(data) == RECORDS
    assert read(b"") == [] == framed([]) or framed([]) == b""


def test_a_gzip_file_of_several_members_is_read_and_a_cut_one_is_refused(tmp_path):
    whole = gzip.compress(FRAMED[:100]) + gzip.compress(FRAMED[100:])
    (tmp_path / "a.gz").write_bytes(whole)
    assert read(file_bytes(tmp_path / "a.gz")) == RECORDS
    for damaged in (whole[:-5], whole[:200], flipped(whole, 300), flipped(whole, len(whole) - 6)):
        (tmp_path / "a.gz").write_bytes(damaged)
        with pytest.raises(DataError, match=r"a\.gz: The gzip file is damaged or cut"):
            file_bytes(tmp_path / "a.gz")


def test_a_record_that_begins_like_a_gzip_file_is_a_record(tmp_path):
    record = bytes(0x088B1F)
    (tmp_path / "a").write_bytes(framed([record]))
    assert file_bytes(tmp_path / "a")[:3].tobytes() == b"\x1f\x8b\x08"
    assert read(file_bytes(tmp_path / "a")) == [record]


@pytest.mark.parametrize("number", [0, 1, 7, len(RECORDS) - 1])
@pytest.mark.parametrize("part", ["length", "length crc", "data", "data crc"])
def test_a_flipped_bit_anywhere_is_seen_and_named(number, part):
    begin = STARTS[number]
    size = len(RECORDS[number])
    places = {
        "length": range(8),
        "length crc": range(8, 12),
        "data": range(12, 12 + size, max(1, size // 5)),
        "data crc": range(12 + size, 16 + size),
    }[part]
    for place in places:
        message = refusal_of(flipped(FRAMED, begin + place, place % 8))
        assert message.startswith(f"x.tfrecord: Record {number}, at byte {begin}: ")
        if part.startswith("data"):
            assert "its data are altered" in message
        else:
            assert ("its length is altered" if number else "not the beginning of a TFRecord file") in message


def test_a_file_cut_in_a_record_names_it_wherever_the_cut_is():
    for number in (0, 1, 5, len(RECORDS) - 1):
        begin, end = STARTS[number : number + 2]
        for place in {begin + 1, begin + 11, begin + 12, (begin + end) // 2, end - 1}:
            expected = f"Record {number}, at byte {begin}: the file ends in it, at byte {place}"
            assert expected in refusal_of(FRAMED[:place])
            with pytest.raises(DataError, match=f"Record {number}, at byte {begin}"):
                payloads(FRAMED[:place], "x.tfrecord", check=False)


def test_a_cut_between_records_leaves_sound_records():
    """Which is why the manifest counts them."""
    assert read(FRAMED[: STARTS[9]]) == RECORDS[:9]


def test_without_the_check_altered_data_are_not_looked_at():
    altered = flipped(FRAMED, STARTS[8] + 13)
    assert len(read(altered, check=False)) == len(RECORDS)


def test_a_scan_names_every_altered_record_and_stops_at_a_destroyed_length():
    damaged = flipped(flipped(FRAMED, STARTS[5] + 12), STARTS[9] + 14)
    found = scan(damaged)
    assert [record.number for record in found.faults] == [5, 9]
    assert found.broken_off is None
    assert np.flatnonzero(~found.is_sound).tolist() == [5, 9]
    found = scan(flipped(damaged, STARTS[7]))
    assert [record.number for record in found.faults] == [5]
    assert (len(found), found.broken_off.number, found.broken_off.offset) == (7, 7, STARTS[7])


@pytest.mark.parametrize("text", [b"This is a text file, not a TFRecord file.\n", b"\x00" * 40, b"abc"])
def test_what_is_no_tfrecord_file_is_refused(text):
    assert "Record 0, at byte 0" in refusal_of(text)


def test_a_length_beyond_all_memory_is_refused():
    with pytest.raises(DataError, match="Record 0, at byte 0"):
        payloads(b"\xff" * 30, "x", check=False)


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            file_bytes(path)
