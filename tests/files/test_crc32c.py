"""CRC-32C: against published values, against itself byte by byte, one stretch and many."""

import numpy as np
import pytest

from keras_bert.files.crc32c import crc32c, crc32c_of_many, masked_crc32c, masked_crc32c_of_many


def test_the_checksum_is_crc_32c():
    """The values of RFC 3720, B.4, and of the catalogue of CRCs."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


@pytest.mark.parametrize("lengths", [range(70), (4095, 4096, 65_535, 65_536, 65_540, 131_079, 200_001)])
def test_the_checksum_of_any_length_is_that_of_its_bytes_one_by_one(lengths):
    data = np.random.default_rng(0).bytes(max(lengths))
    expected, register = {}, 0xFFFFFFFF
    for place, byte in enumerate(data + b"\0"):
        expected[place] = register ^ 0xFFFFFFFF
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    for length in lengths:
        assert crc32c(data[:length]) == expected[length]


def stretches(lengths, gap=12):
    """Data with stretches of these lengths in it, `gap` bytes apart: (data, begins, ends)."""
    ends = np.cumsum(np.asarray(lengths) + gap)
    data = np.random.default_rng(0).integers(0, 256, int(ends[-1]), np.uint8)
    return data, ends - lengths, ends


@pytest.mark.parametrize("gap", [0, 1, 2, 3, 16])
def test_many_at_once_are_those_of_each_alone(gap):
    lengths = np.random.default_rng(1).permutation([*range(70), 300, 0, 0, 2000, 65_540, 65_536, 200_001])
    data, begins, ends = stretches(lengths, gap)
    expected = [crc32c(data[begin:end]) for begin, end in zip(begins, ends, strict=True)]
    assert crc32c_of_many(data, begins, ends).tolist() == expected
    assert crc32c_of_many(data.tobytes(), begins, ends).tolist() == expected
    masked = [masked_crc32c(data[begin:end]) for begin, end in zip(begins, ends, strict=True)]
    assert masked_crc32c_of_many(data, begins, ends).tolist() == masked


def test_many_need_no_order_and_may_overlap():
    data, begins, ends = stretches(np.arange(10, 5100))
    begins[::7], ends[::7] = begins[::7] - 5, ends[::7] + 1
    ends = np.minimum(ends, len(data))
    order = np.random.default_rng(2).permutation(len(begins))
    found = crc32c_of_many(data, begins[order], ends[order])
    places = range(0, len(order), 41)
    assert [found[i] for i in places] == [crc32c(data[begins[order[i]] : ends[order[i]]]) for i in places]


def test_many_of_data_that_begin_anywhere_in_memory():
    data, begins, ends = stretches([9, 33, 2])
    expected = crc32c_of_many(data, begins, ends).tolist()
    for shift in range(1, 5):
        shifted = np.concatenate([np.zeros(shift, np.uint8), data])[shift:]
        assert crc32c_of_many(memoryview(shifted), begins, ends).tolist() == expected


def test_none_at_all_have_no_checksum():
    assert crc32c_of_many(b"", [], []).tolist() == []
    assert crc32c_of_many(b"", [0, 0], [0, 0]).tolist() == [0, 0]
