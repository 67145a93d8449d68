"""Random numbers depend on the seed and the counters alone, and look random from every side."""

import warnings

import numpy as np
import pytest

from keras_bert.corpus.random_numbers import bits, bits_of, uniforms

COUNT = np.arange(200_000)


def mixed(state):
    """SplitMix64's mixing function in Python's integers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)


def slow_bits(seed, *counters):
    state = mixed((seed + 0x9E3779B97F4A7C15) % 2**64)
    for counter in counters:
        state = mixed((state + counter * 0x9E3779B97F4A7C15) % 2**64)
    return state


def correlation(one, other):
    """In standard deviations of what independent numbers have."""
    return np.corrcoef(one, other)[0, 1] * np.sqrt(len(one))


def chi_square(counts):
    """In standard deviations of what equally likely cells have."""
    expected, freedom = counts.sum() / counts.size, counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


def test_golden_values():
    # The first is the first number of the published SplitMix64 for the seed 0.
    assert int(bits(0)) == 0xE220A8397B1DCDAF
    assert [int(bits(12345, *counters)) for counters in [(0,), (1,), (0, 1), (1, 0), (3, 7, 127)]] == [
        0x4C7E931E2AA6BA11,
        0x40D6020823FBD3F,
        0xCA38A986ABE5B9D,
        0x1378C340732C866A,
        0x78201DD88B178A70,
    ]
    assert float(uniforms(12345, 3, 7, 127)) == 0.4692400602026209


@pytest.mark.parametrize("seed", [0, 1, 12345, -1, 2**63, 2**64 + 5])
def test_every_value_is_that_of_plain_integers(seed):
    rng = np.random.default_rng(0)
    one, other = rng.integers(-(2**63), 2**63, (2, 50))
    expected = [slow_bits(seed, int(a), int(b)) for a, b in zip(one, other, strict=True)]
    assert bits(seed, one, other).tolist() == expected
    assert [int(bits(seed, int(a), int(b))) for a, b in zip(one, other, strict=True)] == expected
    assert bits(seed, 2**64 - 1) == bits(seed, -1) == bits(seed, np.array(-1)) == bits(seed, np.int32(-1))


def test_overflow_is_silent_for_numbers_and_arrays():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for counter in (2**63, np.uint64(2**64 - 1), np.array(2**62), np.full(3, 2**62)):
            assert bits(2**64 - 1, counter, counter).dtype == np.uint64
            assert uniforms(2**64 - 1, counter).dtype == np.float64


def test_the_shape_is_that_of_the_counters():
    assert bits(1).shape == bits(1, 2, 3).shape == uniforms(1, np.int64(2)).shape == ()
    assert bits(1, 5, np.arange(3)[:, None], np.arange(4)).shape == (3, 4)
    assert uniforms(1, np.arange(0)).shape == (0,)


def test_a_value_does_not_depend_on_the_batch_it_is_drawn_in():
    rows, columns = np.arange(64), np.arange(33)
    whole = bits(9, 4, rows[:, None], columns)
    assert (bits(9, 4, rows[10:20, None], columns[:5]) == whole[10:20, :5]).all()
    assert (bits(9, 4, rows[::-1, None], columns) == whole[::-1]).all()
    assert all(int(bits(9, 4, row, 7)) == int(whole[row, 7]) for row in range(64))
    assert bits(9, 4, rows.astype(np.int32)[:, None], columns.astype(np.uint8)).tolist() == whole.tolist()


def test_the_counters_are_left_as_they_are():
    counter = np.arange(10, dtype=np.uint64)
    bits(1, counter), uniforms(1, counter)
    assert counter.tolist() == list(range(10))


def test_the_number_and_the_order_of_the_counters_matter():
    values = [int(bits(1, *counters)) for counters in [(), (0,), (0, 0), (0, 0, 0), (0, 1), (1, 0), (1,)]]
    assert len(set(values)) == len(values)
    square = bits(3, COUNT[:300, None], COUNT[:300])
    assert len(np.unique(square)) == square.size


def test_counters_that_are_no_integers_are_refused():
    for counter in (0.5, np.array([0.5]), "1"):
        with pytest.raises(TypeError):
            bits(1, counter)


@pytest.mark.parametrize("draw", ["first", "second", "seeds", "strided"])
def test_values_are_uniform(draw):
    values = {
        "first": lambda: uniforms(1, COUNT),
        "second": lambda: uniforms(1, 2, COUNT // 128, COUNT % 128),
        "seeds": lambda: np.array([float(uniforms(seed, 1)) for seed in range(20_000)]),
        "strided": lambda: uniforms(1, COUNT * 2**40),
    }[draw]()
    assert 0 <= values.min() and values.max() < 1
    assert abs(chi_square(np.bincount((values * 256).astype(int), minlength=256))) < 5
    low = (values * 2**53).astype(np.uint64) & np.uint64(255)  # the last bits are as random as the first
    assert abs(chi_square(np.bincount(low.astype(int), minlength=256))) < 5


def test_every_bit_is_a_fair_coin():
    values = bits(5, COUNT)
    for bit in range(64):
        ones = int((values >> np.uint64(bit) & np.uint64(1)).sum())
        assert abs(ones - len(COUNT) / 2) < 5 * np.sqrt(len(COUNT)) / 2


@pytest.mark.parametrize("counters", [lambda n: (n,), lambda n: (7, n), lambda n: (n, 7), lambda n: (n, n)])
def test_neighbours_are_not_correlated(counters):
    first = uniforms(1, *counters(COUNT))
    assert abs(correlation(first, uniforms(2, *counters(COUNT)))) < 5  # the next seed
    for distance in (1, 2, 3, 64, 128, 1024):
        assert abs(correlation(first, uniforms(1, *counters(COUNT + distance)))) < 5


def test_swapped_counters_are_not_correlated():
    rows, columns = COUNT // 400, COUNT % 400 + 1000
    assert abs(correlation(uniforms(1, rows, columns), uniforms(1, columns, rows))) < 5
    assert abs(correlation(uniforms(1, rows, columns), uniforms(1, rows + 1, columns - 1))) < 5


def test_pairs_of_neighbours_fill_the_square_evenly():
    one, other = (uniforms(1, 0, COUNT + shift) for shift in (0, 1))
    cells = (one * 32).astype(int) * 32 + (other * 32).astype(int)
    assert abs(chi_square(np.bincount(cells, minlength=1024))) < 5


def test_one_flipped_bit_of_a_counter_or_seed_flips_half_of_the_bits():
    base = bits(77, COUNT[:2000])
    for bit in range(64):
        counters = COUNT[:2000].astype(np.uint64) ^ np.uint64(2**bit)
        for other in (bits(77, counters), bits(77 ^ 2**bit, COUNT[:2000])):
            flipped = np.bitwise_count(base ^ other).mean()
            assert abs(flipped - 32) < 5 * 4 / np.sqrt(2000)  # 64 fair coins have the deviation 4


def test_plain_ints_give_the_same_bits():
    for seed in (0, 1, 12345, 2**64 + 7, -3):
        for counters in ((), (0,), (1, 2, 3), (2**63, 5), (-1, 2**70)):
            assert bits_of(seed, *counters) == int(bits(seed, *counters))
