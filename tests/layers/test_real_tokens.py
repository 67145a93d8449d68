"""Leaving padding out changes what is computed, not what comes out: outputs, gradients, trained weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.encoder import bert_encoder
from keras_bert.layers.real_tokens import tokens_of, without_padding

WORDS = "a film was warm dull play not good and so it goes".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
LENGTHS = np.array([7, 2, 5, 1, 7])
CONFIG = kb.BertConfig(
    len(PIECES),
    2,
    2,
    8,
    16,
    dropout=0.0,
    attention_dropout=0.0,
    max_sequence_length=16,
    initializer_range=0.5,
)


def features():
    rng = np.random.default_rng(0)
    mask = (np.arange(7) < LENGTHS[:, None]).astype("int32")
    ids = rng.integers(len(PIECES), size=mask.shape).astype("int32")
    return {name: tf.constant(value) for name, value in
            {"token_ids": ids, "segment_ids": ids % 2, "padding_mask": mask}.items()}  # fmt: skip


def answer(encoder, x, active, weights):
    """Sequence output, and the gradients of a weighted sum of its real tokens and of the pooled ones."""
    with without_padding(active), tf.GradientTape() as tape:
        outputs = encoder(x, training=True)
        real = outputs["sequence_output"] * tf.cast(x["padding_mask"], tf.float32)[..., None]
        loss = tf.reduce_sum(real * weights[0]) + tf.reduce_sum(outputs["pooled_output"] * weights[1])
    gradients = tape.gradient(loss, encoder.trainable_variables)
    return outputs, [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


def test_outputs_and_gradients_are_those_of_the_whole_rectangle():
    encoder, x, rng = bert_encoder(CONFIG), features(), np.random.default_rng(1)
    weights = rng.normal(size=(5, 7, 8)).astype("float32"), rng.normal(size=(5, 8)).astype("float32")
    (expected, gradients), (found, ours) = (answer(encoder, x, active, weights) for active in (False, True))
    real = x["padding_mask"].numpy().astype(bool)
    tokens, theirs = found["sequence_output"].numpy(), expected["sequence_output"].numpy()
    np.testing.assert_allclose(tokens[real], theirs[real], rtol=0, atol=2e-6)
    assert not tokens[~real].any() and theirs[~real].any()
    np.testing.assert_allclose(found["pooled_output"], expected["pooled_output"], rtol=0, atol=2e-6)
    for gradient, other in zip(gradients, ours, strict=True):
        np.testing.assert_allclose(other, gradient, rtol=1e-5, atol=2e-5)


def test_in_a_graph_of_open_shapes_the_width_stays_known():
    encoder = bert_encoder(CONFIG)

    @tf.function(
        input_signature=[{name: tf.TensorSpec([None, None], tf.int32, name) for name in encoder.input}]
    )
    def run(x):
        with without_padding():
            outputs = encoder(x)
        assert outputs["sequence_output"].shape.as_list() == [None, None, 8]
        return outputs["pooled_output"]

    np.testing.assert_allclose(run(features()), encoder(features())["pooled_output"], rtol=0, atol=2e-6)


def test_dense_layers_see_the_real_tokens_and_few_more(monkeypatch):
    encoder, seen = bert_encoder(CONFIG), []
    for block in (layer for layer in encoder.layers if layer.name.startswith("block_")):
        for layer in (block.intermediate, block.attention.query_key_value, block.attention.output_projection):
            monkeypatch.setattr(
                layer, "call", lambda x, call=layer.call: seen.append(tuple(x.shape)) or call(x)
            )
    with without_padding():
        encoder(features())
    assert [shape[0] for shape in seen] == [32] * 6 and LENGTHS.sum() == 22  # rounded up: shapes repeat
    assert {len(shape) for shape in seen} == {2}
    seen.clear()
    encoder(features())
    assert {shape[:2] for shape in seen} == {(5, 7)}


@pytest.mark.parametrize("lengths", [[7, 7], [16, 16], [16, 15], [1, 1], [3], [0, 2], [0, 0]], ids=str)
def test_heads_are_those_of_the_rectangle_and_come_back_merged(lengths):
    """With as good as no padding, with nothing else, and with rows that round numbers fit exactly."""
    longest, width, num_heads = max([*lengths, 1]), 6, 2
    mask = (np.arange(longest) < np.array(lengths)[:, None]).astype("int32")
    x = np.random.default_rng(0).normal(size=(*mask.shape, 3 * width)).astype("float32")
    with without_padding():
        tokens, every = tokens_of(tf.constant(mask)), tokens_of(None)
        flat = tokens.gather(tf.constant(x))
        with tf.GradientTape() as tape:
            tape.watch(flat)
            parts = tokens.heads(flat, num_heads)
            merged = [tokens.merged(part) for part in parts]
            loss = tf.add_n(
                [tf.reduce_sum(tf.square(tokens.scatter(part))) * (i + 1) for i, part in enumerate(merged)]
            )
    gradient = tape.gradient(loss, flat).numpy()
    padded = tokens.mask.shape[1] - longest
    assert tokens.mask.shape[1] % 16 == 0 and not tokens.mask.numpy()[:, longest:].any()
    real = np.pad(mask, [[0, 0], [0, padded]]).astype(bool)
    for i, (part, other) in enumerate(zip(parts, every.heads(tf.constant(x), num_heads), strict=True)):
        other = np.pad(other.numpy(), [[0, 0], [0, 0], [0, padded], [0, 0]])
        np.testing.assert_array_equal(
            part.numpy().transpose(0, 2, 1, 3)[real], other.transpose(0, 2, 1, 3)[real]
        )
        count = int(mask.sum())
        own = x[..., i * width : (i + 1) * width][mask.astype(bool)]
        np.testing.assert_array_equal(merged[i].numpy()[:count], own)
        np.testing.assert_allclose(
            gradient[:count, i * width : (i + 1) * width], 2 * (i + 1) * own, rtol=1e-6
        )
    assert not gradient[int(mask.sum()) :].any()  # nothing is learnt from what is no token


def test_packed_rows_and_rows_without_a_mask_stay_as_they_are():
    x = tf.ones((2, 3, 4))
    with without_padding():
        for mask in (None, tf.ones((2, 3, 3), tf.int32)):
            tokens = tokens_of(mask)
            assert tokens.gather(x) is x and tokens.scatter(x) is x


def test_a_batch_without_a_row_has_none():
    x = {name: tf.zeros((0, 4), tf.int32) for name in ("token_ids", "segment_ids", "padding_mask")}
    with without_padding():
        assert bert_encoder(CONFIG)(x)["sequence_output"].shape == (0, 4, 8)


TASKS = {
    "classification": (
        {"labels": ["0", "1"]},
        [{"text": "a film", "label": "0"}, {"text": "a warm film was not so dull", "label": "1"}],
    ),
    "tagging": (
        {"labels": ["x"], "crf": True},
        [
            {"text": "a film", "spans": [[0, 1, "x"]]},
            {"text": "a warm film was dull", "spans": [[7, 11, "x"]]},
        ],
    ),
    "multiple_choice": (
        {},
        [
            {"text": "a film", "choices": ["warm", "a dull play"], "label": 0},
            {"text": "it was", "choices": ["good", "not so good", "a film"], "label": 2},
        ],
    ),
}


@pytest.mark.parametrize(
    "more", [{}, {"r_drop": 1.0}, {"adversarial": 0.5}, {"accumulation_steps": 2}], ids=str
)
@pytest.mark.parametrize("name", TASKS)
def test_a_training_step_ends_at_the_same_weights(name, more):
    settings, rows = TASKS[name]
    keras.utils.set_random_seed(0)
    bert = kb.Bert.from_config(CONFIG, kb.Tokenizer(PIECES), name, **settings)
    start, ends = bert.model.get_weights(), []
    [batch] = bert.dataset(rows, 2)
    for active in (False, True):
        bert.model.set_weights(start)
        bert.model.compile(optimizer=keras.optimizers.SGD(0.1), **more)
        assert bert.model.leaves_padding_out
        bert.model.leaves_padding_out = active
        bert.model.train_on_batch(*batch)
        ends.append(bert.model.get_weights())
    moved = [np.abs(a - b).max() for a, b in zip(start, ends[0], strict=True)]
    assert sum(step > 1e-4 for step in moved) > 20
    for ours, theirs in zip(ends[1], ends[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("flag", ["jit_compile", "dropout_by_record"])
def test_what_needs_the_rectangle_has_it(flag):
    bert = kb.Bert.from_config(CONFIG, kb.Tokenizer(PIECES), "classification", labels=["0", "1"])
    bert.model.compile(**{flag: True})
    assert not bert.model.leaves_padding_out
