"""Attention: what it looks at, what it may not look at, and that it shows what it does."""

import keras
import numpy as np
import pytest

from keras_bert.layers import AttentionScores, EncoderBlock, ExampleMask, SelfAttention
from keras_bert.layers.attention import attention_bias

B, T, N, D = 3, 6, 2, 8
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 1, 0, 1, 0]], "int32")
X = np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")
# So near to 1 that nothing survives, and still a rate that every backend accepts.
ALL = 1.0 - 1e-9


def attention(dropout=0.0, dtype="float32"):
    layer = SelfAttention(N, dropout, dtype=dtype)
    layer.build(X.shape)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(scale=0.5, size=w.shape) for w in layer.weights])
    return layer


def array(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def textbook(layer, x, mask):
    """softmax(q k^T / sqrt(H)) v for one row, one head and one token at a time, over real keys only."""
    kernel, bias, output_kernel, output_bias = (w.astype("float64") for w in layer.get_weights())
    query, key, value = np.split(x @ kernel + bias, 3, axis=-1)
    mixed, width = np.zeros(x.shape), x.shape[-1] // N
    for b in range(len(x)):
        real = np.flatnonzero(mask[b])
        for head in range(N):
            part = slice(head * width, (head + 1) * width)
            for t in range(x.shape[1]):
                weights = np.exp(key[b, real, part] @ query[b, t, part] / np.sqrt(width))
                mixed[b, t, part] = weights @ value[b, real, part] / weights.sum()
    return mixed @ output_kernel + output_bias


def test_attention_equals_the_textbook_formula_over_real_tokens():
    layer = attention()
    np.testing.assert_allclose(layer(X, MASK), textbook(layer, X, MASK), rtol=0, atol=1e-4)


def test_scores_sum_to_one_and_give_nothing_to_padding():
    scores = array(attention().scores(X, MASK))
    assert scores.shape == (B, N, T, T)
    np.testing.assert_allclose(scores.sum(axis=-1), 1.0, rtol=0, atol=1e-6)
    hidden = np.broadcast_to(MASK[:, None, None, :] == 0, scores.shape)
    assert (scores[hidden] == 0).all() and (scores[~hidden] > 0).all()


def test_the_shown_scores_reproduce_the_output_of_the_layer():
    layer = attention()
    kernel, bias, output_kernel, output_bias = layer.get_weights()
    value = (X @ kernel + bias)[..., 2 * D :].reshape(B, T, N, D // N)
    mixed = np.einsum("bnts,bsnh->btnh", array(layer.scores(X, MASK)), value).reshape(B, T, D)
    np.testing.assert_allclose(layer(X, MASK), mixed @ output_kernel + output_bias, rtol=0, atol=1e-5)


def test_no_mask_means_that_every_token_is_real():
    layer = attention()
    np.testing.assert_allclose(layer(X), layer(X, np.ones_like(MASK)), rtol=0, atol=1e-6)


def test_a_mask_may_be_of_bools():
    layer = attention()
    np.testing.assert_array_equal(array(layer(X, MASK.astype(bool))), array(layer(X, MASK)))


def test_a_row_without_any_real_token_gives_no_nan():
    layer = attention()
    nothing = np.zeros((B, T), "int32")
    assert np.isfinite(array(layer(X, nothing))).all()
    np.testing.assert_allclose(layer.scores(X, nothing), 1.0 / T, rtol=0, atol=1e-6)


def test_the_bias_of_the_mask_is_zero_for_real_tokens_and_hides_padding():
    bias = array(attention_bias(MASK))
    assert bias.shape == (B, 1, 1, T)
    assert (bias[:, 0, 0][MASK == 1] == 0).all() and (bias[:, 0, 0][MASK == 0] <= -1e9).all()


# Who sees whom: two examples and padding, no order, and a token that sees nothing.
SEEN = np.zeros((B, T, T), "int32")
SEEN[0, :2, :2] = SEEN[0, 2:5, 2:5] = 1
SEEN[1] = np.random.default_rng(2).integers(0, 2, (T, T)) | np.eye(T, dtype=int)
SEEN[2, :5] = 1


def test_a_mask_may_say_for_every_token_what_it_sees():
    layer = attention()
    outputs, shown = array(layer(X, SEEN)), array(AttentionScores(layer)(X, SEEN))
    sees = SEEN.any(axis=-1)
    assert (~sees).sum() == 2
    for t in range(T):  # the row of a token of a full mask is a mask for all of that token's own
        np.testing.assert_allclose(
            outputs[:, t][sees[:, t]], array(layer(X, SEEN[:, t]))[:, t][sees[:, t]], rtol=0, atol=1e-6
        )
    hidden = np.broadcast_to(SEEN[:, None] == 0, shown.shape) & sees[:, None, :, None]
    assert (shown[hidden] == 0).all() and np.isfinite(outputs).all()
    np.testing.assert_allclose(shown.sum(axis=-1), 1.0, rtol=0, atol=1e-6)
    assert array(attention_bias(SEEN)).shape == (B, 1, T, T)


def test_the_same_mask_for_every_token_is_a_mask_of_tokens():
    block = EncoderBlock(N, 16, dropout=0.0, attention_dropout=0.0)
    repeated = np.repeat(MASK[:, None], T, axis=1)
    for layer in (attention(), block):
        np.testing.assert_array_equal(array(layer(X, repeated)), array(layer(X, MASK)))


def test_tokens_of_one_example_see_one_another_and_padding_sees_nothing():
    ids = np.array([[1, 1, 2, 0], [3, 0, 3, 1]], "int32")
    expected = [
        [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]],
        [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]],
    ]
    mask = ExampleMask()(ids)
    assert keras.backend.standardize_dtype(mask.dtype) == "int32"
    np.testing.assert_array_equal(array(mask), expected)
    symbolic = ExampleMask()(keras.Input((None,), dtype="int32"))
    assert (symbolic.shape, symbolic.dtype) == ((None, None, None), "int32")


def test_what_padding_holds_does_not_change_real_tokens():
    layer = attention()
    other = np.where(MASK[..., None] == 1, X, 100.0).astype("float32")
    real = MASK == 1
    np.testing.assert_allclose(
        array(layer(other, MASK))[real], array(layer(X, MASK))[real], rtol=0, atol=1e-6
    )


def test_attention_dropout_removes_probabilities_in_training_only():
    layer = attention(dropout=ALL)
    plain = attention()
    np.testing.assert_array_equal(array(layer(X, MASK, training=False)), array(plain(X, MASK)))
    # Without any probability the values are gone: what remains is the bias of the output projection.
    nothing_attended = np.broadcast_to(layer.get_weights()[-1], X.shape)
    np.testing.assert_allclose(layer(X, MASK, training=True), nothing_attended, rtol=0, atol=1e-6)


def test_without_dropout_training_is_inference():
    layer = attention()
    np.testing.assert_array_equal(array(layer(X, MASK, training=True)), array(layer(X, MASK, training=False)))


def test_probabilities_stay_float32_under_mixed_bfloat16():
    layer = attention(dtype="mixed_bfloat16")
    scores = layer.scores(X, MASK)
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    np.testing.assert_allclose(array(scores).sum(axis=-1), 1.0, rtol=0, atol=1e-6)
    assert keras.backend.standardize_dtype(layer(X, MASK).dtype) == "bfloat16"
    assert {keras.backend.standardize_dtype(w.dtype) for w in layer.weights} == {"float32"}


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match=r"num_heads=3, hidden width=8"):
        SelfAttention(3).build((None, None, 8))
