"""Files mapped window by window."""

import os
from pathlib import Path

import numpy as np
import pytest

from keras_bert.files.mapped import MappedFile


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def numbers(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, 50_000, np.uint8)
    data.tofile(tmp_path / "numbers")
    return tmp_path / "numbers", data


@pytest.mark.parametrize(
    ("begin", "end"), [(0, 50_000), (0, 1), (4_095, 4_097), (4_096, 8_192), (49_999, 50_000), (7, 7)]
)
def test_a_window_is_the_files_bytes(numbers, begin, end):
    path, data = numbers
    file = MappedFile(path)
    assert len(file) == 50_000
    np.testing.assert_array_equal(file.window(begin, end), data[begin:end])


def test_a_window_cannot_be_written_to(numbers):
    with pytest.raises(ValueError, match="read-only"):
        MappedFile(numbers[0]).window(0, 10)[0] = 1


def test_a_window_outlives_its_file_object_and_a_replaced_file(numbers, tmp_path):
    path, data = numbers
    file = MappedFile(path)
    (tmp_path / "other").write_bytes(b"other")
    os.replace(tmp_path / "other", path)
    window = file.window(10, 20)
    del file
    np.testing.assert_array_equal(window, data[10:20])


def test_an_empty_file_has_no_bytes(tmp_path):
    (tmp_path / "empty").touch()
    assert len(MappedFile(tmp_path / "empty")) == 0


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "absent"):
        with pytest.raises(OSError):
            MappedFile(path)


def test_a_dropped_window_takes_no_memory(tmp_path):
    np.zeros(2**26, np.uint8).tofile(tmp_path / "large")
    file = MappedFile(tmp_path / "large")
    before = resident_bytes()
    for begin in range(0, 2**26, 2**23):
        assert file.window(begin, begin + 2**23).sum() == 0
    assert resident_bytes() - before < 2**24


def test_closing_gives_the_handle_back(numbers):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        MappedFile(numbers[0])
    assert len(os.listdir("/proc/self/fd")) == before
