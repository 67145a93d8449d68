"""Dropout's masks: how many are dropped, what a mask depends on, and what it must not depend on."""

import threading

import keras
import numpy as np
import pytest
from keras import ops

from keras_bert.layers import Dropout, dropout_masks
from keras_bert.layers.dropout import DropoutSeed, masks_apart

KEYS = np.array([7, 8, 1_000_003, 0])
ONES = np.ones((4, 96, 128), "float32")
MODES = {"stock": None, "replica": np.array(3), "rows": KEYS}
every_mode = pytest.mark.parametrize("key", MODES.values(), ids=MODES)


def dropped_of(x, key, rate=0.5, seed=5, calls=1):
    """What a new layer makes of x in its last call of `calls`."""
    layer = Dropout(rate, seed=seed)
    with masks_apart(key):
        for _ in range(calls):
            y = layer(x, training=True)
    return ops.convert_to_numpy(ops.cast(y, "float32"))


def mask_of(shape, key, **settings):
    """1 where an entry is kept."""
    return (dropped_of(np.ones(shape, "float32"), key, **settings) != 0).astype(int)


def correlation(a, b):
    return abs(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def state_of(layer):
    return ops.convert_to_numpy(layer.seed_generator.state.value).tolist()


@every_mode
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_rate_is_dropped_and_the_rest_is_scaled(rate, key):
    x = np.random.default_rng(0).normal(size=ONES.shape).astype("float32")
    y = dropped_of(x, key, rate)
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-6)
    assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / x.size)


@every_mode
def test_outside_of_training_and_at_rate_zero_the_input_comes_back_and_no_seed_is_drawn(key):
    layer = Dropout(0.5, seed=5)
    before = state_of(layer)
    with masks_apart(key):
        np.testing.assert_array_equal(ops.convert_to_numpy(layer(ONES)), ONES)
        np.testing.assert_array_equal(ops.convert_to_numpy(layer(ONES, training=False)), ONES)
        np.testing.assert_array_equal(ops.convert_to_numpy(Dropout(0.0)(ONES, training=True)), ONES)
    assert state_of(layer) == before
    assert not Dropout(0.0).variables


@every_mode
def test_every_call_advances_the_state_by_one(key):
    layer = Dropout(0.5, seed=5)
    with masks_apart(key):
        for calls in range(3):
            assert state_of(layer) == [5, calls]
            layer(ONES, training=True)


@every_mode
def test_same_seed_same_masks_and_every_call_another(key):
    np.testing.assert_array_equal(mask_of(ONES.shape, key), mask_of(ONES.shape, key))
    assert correlation(mask_of(ONES.shape, key), mask_of(ONES.shape, key, calls=2)) < 0.03


def test_keras_seed_gives_the_seed_of_a_layer_that_has_none():
    states = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        states.append([state_of(Dropout(0.5)) for _ in range(2)])
    assert states[0] == states[1]
    assert states[0][0] != states[0][1]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="has masks of our own")
def test_without_a_key_the_masks_are_those_of_stock_keras():
    stock = keras.layers.Dropout(0.3, seed=5)
    for calls in (1, 2):
        expected = ops.convert_to_numpy(stock(ONES, training=True))
        np.testing.assert_array_equal(dropped_of(ONES, None, 0.3, calls=calls), expected)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="others have the masks of stock Keras")
@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("shape", [(50, 401), (20, 30, 401), (6, 5, 30, 401)], ids=str)
def test_masks_of_places_look_random_along_every_axis(shape, rate):
    mask = mask_of(shape, None, rate=rate)
    assert abs(mask.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / mask.size)
    for axis in range(len(shape)):
        for step in (1, 2, 3):
            rest = mask.take(range(step, shape[axis]), axis), mask.take(range(shape[axis] - step), axis)
            assert correlation(*rest) < 5 / np.sqrt(rest[0].size)
    for other in (mask_of(shape, None, rate=rate, seed=6), mask_of(shape, None, rate=rate, calls=2)):
        assert correlation(mask, other) < 5 / np.sqrt(mask.size)


def test_replicas_have_unrelated_masks_and_one_replica_the_same_ones():
    masks = [mask_of(ONES.shape, np.array(replica)) for replica in range(8)]
    masks += [mask_of(ONES.shape, None)]
    for i, mask in enumerate(masks):
        assert all(correlation(mask, other) < 0.03 for other in masks[:i])
    np.testing.assert_array_equal(masks[3], mask_of(ONES.shape, 3))


@pytest.mark.parametrize("shape", [(4, 31), (4, 7, 31), (4, 3, 7, 31)], ids=str)
def test_the_mask_of_a_row_does_not_depend_on_the_rest_of_the_batch(shape):
    together = mask_of(shape, KEYS)
    order = [2, 0, 3, 1]
    np.testing.assert_array_equal(mask_of(shape, KEYS[order]), together[order])
    for row in range(4):
        np.testing.assert_array_equal(mask_of((1, *shape[1:]), KEYS[row : row + 1]), together[row : row + 1])


def test_the_mask_of_a_row_does_not_depend_on_its_padding():
    np.testing.assert_array_equal(mask_of((4, 20, 31), KEYS)[:, :7], mask_of((4, 7, 31), KEYS))
    np.testing.assert_array_equal(mask_of((4, 3, 20, 20), KEYS)[:, :, :7, :7], mask_of((4, 3, 7, 7), KEYS))


def test_the_mask_of_a_row_depends_on_seed_call_key_and_both_halves_of_the_key():
    masks = [
        mask_of(ONES.shape, KEYS),
        mask_of(ONES.shape, KEYS, seed=6),
        mask_of(ONES.shape, KEYS, calls=2),
        mask_of(ONES.shape, KEYS + 1),
        mask_of(ONES.shape, -KEYS - 1),
    ]
    if keras.backend.backend() != "jax":  # whose integers have 32 bits
        masks += [mask_of(ONES.shape, KEYS + 2**32), mask_of(ONES.shape, KEYS + 2**33)]
    for i, mask in enumerate(masks):
        for other in masks[:i]:
            assert correlation(mask, other) < 0.03
            assert (mask.mean((1, 2)) < 0.6).all() and not (mask == other).all((1, 2)).any()


def test_the_dtype_of_keys_does_not_matter():
    expected = mask_of((4, 7, 31), KEYS - 2)
    for dtype in ("int32", "int64"):
        np.testing.assert_array_equal(mask_of((4, 7, 31), (KEYS - 2).astype(dtype)), expected)


def test_choices_of_one_row_have_masks_of_their_own_wherever_the_row_stands():
    folded = mask_of((12, 40, 50), KEYS).reshape(4, 3, 40, 50)
    np.testing.assert_array_equal(mask_of((6, 40, 50), KEYS[1:3]).reshape(2, 3, 40, 50), folded[1:3])
    for choice in range(3):
        assert correlation(folded[:, choice], folded[:, choice - 1]) < 0.05
    np.testing.assert_array_equal(folded[:, 0], mask_of((4, 40, 50), KEYS))


@pytest.mark.parametrize(
    "keys", [np.arange(64), np.arange(64) * 2**20, -np.arange(64) - 1], ids=["next", "far", "negative"]
)
def test_keyed_masks_look_random_along_every_axis(keys):
    # Each figure is a mean over n fair coins: 5 standard deviations, some hundred of them.
    mask = mask_of((64, 4, 64, 64), keys)
    for axes in [(1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)]:
        means = mask.mean(axes)
        deviation = 0.5 / np.sqrt(mask.size / means.size)
        assert np.abs(means - 0.5).max() < 5 * deviation
        assert 0.4 < means.std() / deviation < 2.0  # and neither are they too even
    signs = 2 * mask - 1
    for axis in range(4):
        for shift in (shift for shift in (1, 2, 3, 16) if 2 * shift < mask.shape[axis]):
            product = (signs * np.roll(signs, shift, axis)).mean()
            assert abs(product) < 5 / np.sqrt(signs.size)
    # A mask that is the outer product of two has correlated rectangles: the product of four corners is 1.
    corners = signs[:, :, :-1, :-1] * signs[:, :, 1:, :-1] * signs[:, :, :-1, 1:] * signs[:, :, 1:, 1:]
    assert abs(corners.mean()) < 5 / np.sqrt(corners.size)


def test_keyed_masks_of_neighbouring_seeds_and_steps_look_unrelated():
    masks = [
        2 * mask_of((16, 32, 64), np.arange(16), seed=seed, calls=c) - 1
        for seed in (1, 2, 3)
        for c in (1, 2, 3)
    ]
    for i, mask in enumerate(masks):
        for other in masks[:i]:
            assert abs((mask * other).mean()) < 5 / np.sqrt(mask.size)


def test_rare_drops_are_rare_along_every_axis():
    mask = mask_of((64, 64, 128), np.arange(64), rate=0.01)
    for axes in [(1, 2), (0, 2), (0, 1)]:
        dropped = (1 - mask).mean(axes)
        assert np.abs(dropped - 0.01).max() < 6 * np.sqrt(0.01 / (mask.size / dropped.size))


def test_the_upper_bits_of_hashes_are_uniform():
    hashes = ops.convert_to_numpy(dropout_masks.hashed(ops.cast(5, "uint32"), ops.arange(2**18)))
    for shift in (16, 20, 24):
        counts = np.bincount((hashes >> shift) & 255, minlength=256)
        chi_squared = ((counts - 2**10) ** 2 / 2**10).sum()
        assert 255 - 5 * np.sqrt(510) < chi_squared < 255 + 5 * np.sqrt(510)


def hashed_in_plain_integers(state, *words):
    def mixed(x):
        x = (x ^ x >> 16) * 0x7FEB352D % 2**32
        return (x ^ x >> 15) * 0x846CA68B % 2**32

    for word in words:
        state = mixed(state ^ mixed((word + 0x9E3779B9) % 2**32))
    return state


def test_a_place_is_kept_by_the_hash_of_seed_call_key_choice_and_coordinates():
    # The same numbers on every backend.
    mask = mask_of((4, 3, 5, 6), KEYS, rate=0.3, seed=9, calls=3)
    for (row, n, t, s), kept in np.ndenumerate(mask):
        words = (2, int(KEYS[row]), 0, 0, n, t, s)  # the third call; the key's halves; the first choice
        assert kept == (hashed_in_plain_integers(9, *words) >= round(0.3 * 2**32))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_has_the_same_keyed_masks_and_keeps_its_dtype(dtype):
    layer = Dropout(0.5, seed=5, dtype=f"mixed_{dtype}")
    with masks_apart(KEYS):
        y = layer(ONES, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    kept = ops.convert_to_numpy(ops.cast(y, "float32")) != 0
    np.testing.assert_array_equal(kept, mask_of(ONES.shape, KEYS))


def compiled(function, *arguments):
    """The same function compiled as its backend does it, by XLA too."""
    if keras.backend.backend() == "jax":
        import jax

        return [jax.jit(function)]
    import tensorflow as tf

    unknown = [tf.TensorSpec([None] * len(a.shape), a.dtype) for a in arguments]
    unknown[0] = tf.TensorSpec([2], arguments[0].dtype)
    return [tf.function(function, input_signature=unknown), tf.function(function, jit_compile=True)]


@every_mode
def test_compiled_the_masks_are_the_same(key):
    layer = Dropout(0.5, seed=5)

    def call(state, x, *keys):
        with masks_apart(*keys or [None]):
            return layer.stateless_call([], [state], x, training=True)

    arguments = [layer.seed_generator.state.value, ONES, *([] if key is None else [key])]
    arguments = [ops.convert_to_tensor(argument) for argument in arguments]
    for number, form in enumerate(compiled(call, *arguments)):
        y, (after,) = form(*arguments)
        assert ops.convert_to_numpy(after).tolist() == [5, 1]
        if number and key is not KEYS:  # TensorFlow's own generator is another one under XLA
            assert abs((ops.convert_to_numpy(y) != 0).mean() - 0.5) < 0.01
        else:
            np.testing.assert_array_equal(ops.convert_to_numpy(y), dropped_of(ONES, key))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="takes a gradient with TensorFlow")
@every_mode
def test_the_gradient_is_the_scaled_mask(key):
    import tensorflow as tf

    x = tf.Variable(ONES)
    with masks_apart(key), tf.GradientTape() as tape:
        y = Dropout(0.5, seed=5)(x, training=True)
    np.testing.assert_array_equal(tape.gradient(y, x), y)


def test_a_key_counts_in_its_own_thread_and_block_only():
    layer, seen = Dropout(0.5, seed=5), []

    def elsewhere():
        seen.append(ops.convert_to_numpy(layer(ONES, training=True)))

    with pytest.raises(RuntimeError), masks_apart(KEYS):
        with masks_apart(np.array(1)):
            pass
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        inside = ops.convert_to_numpy(layer(ONES, training=True))
        raise RuntimeError
    np.testing.assert_array_equal(seen[0], dropped_of(ONES, None))
    np.testing.assert_array_equal(inside, dropped_of(ONES, KEYS, calls=2))
    after = ops.convert_to_numpy(layer(ONES, training=True))
    np.testing.assert_array_equal(after, dropped_of(ONES, None, calls=3))


@pytest.mark.parametrize("key", [np.ones(4), np.ones((2, 2), int), True], ids=str)
def test_keys_that_are_no_integers_or_have_two_axes_are_refused(key):
    with pytest.raises(ValueError, match=r"`key` must be an integer tensor \(\) or \(B,\). Received: dtype="):
        with masks_apart(key):
            pass


def test_rows_that_are_no_multiple_of_the_keys_are_refused():
    for rows in (1, 5):
        with pytest.raises(ValueError, match=f"Received: {rows} rows, 4 keys"):
            mask_of((rows, 3), KEYS)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_that_is_no_share_is_refused(rate):
    with pytest.raises(ValueError, match="Received: rate="):
        Dropout(rate)


def test_a_rate_next_to_one_drops_everything():
    assert not mask_of((4, 31), KEYS, rate=1 - 1e-12).any()


def test_a_model_has_one_state_a_layer_and_keeps_rate_and_seed_when_saved(tmp_path):
    inputs = keras.Input((8,))
    model = keras.Model(inputs, Dropout(0.4, name="b")(Dropout(0.3, seed=5, name="a")(inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        assert [(layer.rate, layer.seed) for layer in each.layers[1:]] == [(0.3, 5), (0.4, None)]
        assert all(isinstance(layer.seed_generator, DropoutSeed) for layer in each.layers[1:])
        states = [layer.seed_generator.state for layer in each.layers[1:]]
        assert [id(v) for v in each.variables] == [id(v) for v in states]
        assert not each.weights
    np.testing.assert_array_equal(loaded.layers[1](np.ones((3, 8))), model.layers[1](np.ones((3, 8))))


def test_a_call_that_is_named_counts_in_place_of_the_layers_own_count():
    layer, keys = Dropout(0.5, seed=3), np.arange(6)
    inputs = np.ones((6, 4, 16), "float32")

    def masked(rows, call):
        with masks_apart(keys[rows], call):
            return np.array(layer(inputs[rows], training=True))

    together = masked(slice(0, 6), 7)
    apart = np.concatenate([masked(slice(0, 2), 7), masked(slice(2, 6), 7)])
    np.testing.assert_array_equal(together, apart)
    assert not np.array_equal(together, masked(slice(0, 6), 8))
