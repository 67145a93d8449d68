"""Packed rows: every example gets what it gets alone, and learns what it learns alone."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy_bert import batch, by_path, config_with, random_encoder, randomised, run

import keras_bert as kb
from keras_bert.corpus.row_packing import pack, packed_rows
from keras_bert.encoder import packed_encoder
from keras_bert.errors import UsageError
from keras_bert.heads import head_model

LENGTHS, ROW, M = (17, 5, 3, 9, 12, 4, 2, 6), 28, 3  # a row is longer than the table of positions
MASKED = {"mask_positions": True}
CONFIG = config_with()


def examples(seed=0):
    """Examples one a row: their features, and the labels of both objectives."""
    rng = np.random.default_rng(seed)
    slots = [np.sort(rng.permutation(length)[:M]) for length in LENGTHS]
    used = np.arange(M) < np.array([[len(places)] for places in slots])
    positions = np.stack([np.pad(places, (0, M - len(places))) for places in slots]).astype("int32")
    ids = rng.integers(0, CONFIG.vocabulary_size, used.shape).astype("int32")
    label = rng.integers(0, 2, len(LENGTHS)).astype("int32")
    label[3] = -1  # an example that is no pair
    slots = {"mask_positions": positions, "mask_ids": ids * used, "mask_weights": used.astype("float32")}
    return batch(CONFIG, LENGTHS, seed) | slots | {"next_sentence_label": label}


ALONE = examples()
GROUPS = pack(LENGTHS, ROW)
PACKED = packed_rows(ALONE, LENGTHS, GROUPS, ROW)
PLACES = [(row, number, group[number]) for row, group in enumerate(GROUPS) for number in range(len(group))]


def features_of(model, rows):
    return {name: rows[name] for name in model.input}


def models(head, settings, **changes):
    """The head on an encoder and on the same encoder for packed rows, with the same weights."""
    config = config_with(**changes)
    encoder = kb.bert_encoder(config)
    alone = randomised(head_model(encoder, config, head, **settings))
    packed = head_model(packed_encoder(encoder), config, head, **settings)
    values = by_path(alone)
    for weight in packed.weights:
        weight.assign(values[weight.path])
    return alone, packed


def own(row, number):
    return PACKED["example_ids"][row] == number + 1


def test_the_rows_of_this_test_hold_several_examples_each_and_padding():
    assert sorted(len(group) for group in GROUPS) == [1, 3, 4]
    assert (PACKED["example_ids"] == 0).any(axis=1).sum() == 2 and PACKED["example_weights"].sum() == len(
        LENGTHS
    ) - 1
    assert ROW > CONFIG.max_sequence_length


@pytest.mark.parametrize("changes", [{}, {"embedding_dim": 5, "activation": "gelu_approximate"}], ids=str)
def test_every_example_of_a_packed_row_has_the_vectors_it_has_alone(changes):
    encoder = random_encoder(config_with(**changes))
    alone = run(encoder, features_of(encoder, ALONE))
    packed = packed_encoder(encoder)
    outputs = run(packed, features_of(packed, PACKED))
    assert outputs["pooled_output"].shape == (*PACKED["cls_positions"].shape, 12)
    for row, number, example in PLACES:
        vectors = alone["sequence_output"][example, : LENGTHS[example]]
        np.testing.assert_allclose(
            outputs["sequence_output"][row, own(row, number)], vectors, rtol=0, atol=1e-5
        )
        pooled = outputs["pooled_output"][row, number]
        np.testing.assert_allclose(pooled, alone["pooled_output"][example], rtol=0, atol=1e-5)


def test_nothing_is_nan_at_padding_and_in_unused_places():
    packed = packed_encoder(random_encoder(CONFIG))
    empty = {
        name: np.zeros((2, *rows.shape[1:]), "int32") for name, rows in features_of(packed, PACKED).items()
    }
    for rows in (features_of(packed, PACKED), empty):
        assert all(np.isfinite(output).all() for output in run(packed, rows).values())


@pytest.mark.parametrize("changed", range(4))
def test_nothing_of_an_example_reaches_its_neighbours(changed):
    packed = packed_encoder(random_encoder(CONFIG))
    [row] = [row for row, group in enumerate(GROUPS) if len(group) == 4]
    features = features_of(packed, PACKED)
    other = {name: rows.copy() for name, rows in features.items()}
    other["token_ids"][row, own(row, changed)] += 1
    other["token_ids"] %= CONFIG.vocabulary_size
    other["segment_ids"][row, own(row, changed)] = 2
    other["token_ids"][PACKED["example_ids"] == 0] = 7  # padding reaches nobody either
    before, after = run(packed, features), run(packed, other)
    difference = {name: np.abs(after[name] - before[name]).max(-1)[row] for name in before}
    for number in range(4):
        reached = difference["sequence_output"][own(row, number)], difference["pooled_output"][number]
        if number == changed:
            assert reached[0].min() > 1e-2 and reached[1] > 1e-2
        else:
            assert reached[0].max() == reached[1] == 0


def test_the_order_of_the_examples_in_a_row_does_not_matter():
    packed = packed_encoder(random_encoder(CONFIG))
    turned = packed_rows(ALONE, LENGTHS, [group[::-1] for group in GROUPS], ROW)
    here, there = (run(packed, features_of(packed, rows))["pooled_output"] for rows in (PACKED, turned))
    for row, number, _ in PLACES:
        opposite = there[row, len(GROUPS[row]) - 1 - number]
        np.testing.assert_allclose(here[row, number], opposite, rtol=0, atol=1e-5)


def losses(outputs, rows, ops=ops):
    """BERT's two losses, each a sum over the whole batch divided by the sum of the weights."""
    weights = {"nsp_logits": rows.get("example_weights", rows["next_sentence_label"] >= 0)}
    weights["mlm_logits"] = rows["mask_weights"]
    labels = {"nsp_logits": np.maximum(rows["next_sentence_label"], 0), "mlm_logits": rows["mask_ids"]}
    result = {}
    for name, logits in outputs.items():
        values = keras.losses.sparse_categorical_crossentropy(labels[name], logits, from_logits=True)
        weight = ops.cast(weights[name], "float32")
        result[name] = ops.sum(values * weight) / ops.sum(weight)
    return result


HEADS = [("pretraining", MASKED), ("pretraining", MASKED | {"tied": False}), ("masked_lm", MASKED)]
HEADS += [("next_sentence", {})]
both_ways = pytest.mark.parametrize(("head", "settings"), HEADS, ids=str)


@both_ways
def test_the_losses_of_packed_rows_are_those_of_their_examples(head, settings):
    alone, packed = models(head, settings)
    expected = losses(run(alone, features_of(alone, ALONE)), ALONE)
    measured = losses(run(packed, features_of(packed, PACKED)), PACKED)
    assert set(measured) == set(expected) == set(alone.output)
    for name, loss in measured.items():
        assert float(loss) == pytest.approx(float(expected[name]), abs=1e-5)
        assert float(loss) > 0.1


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="takes gradients with TensorFlow")
@both_ways
def test_the_gradients_of_packed_rows_are_those_of_their_examples(head, settings):
    import tensorflow as tf

    gradients = []
    for model, rows in zip(models(head, settings), (ALONE, PACKED), strict=True):
        with tf.GradientTape() as tape:
            loss = sum(losses(model(features_of(model, rows), training=True), rows).values())
        found = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
        names = [weight.path for weight in model.trainable_weights]
        found = zip(names, found, strict=True)
        gradients.append({name: tf.convert_to_tensor(g).numpy() for name, g in found if g is not None})
    alone, packed = gradients
    largest = max(np.abs(gradient).max() for gradient in alone.values())
    # The pooler of a model without next sentence is in neither.
    assert set(alone) == set(packed) and largest > 1e-3
    for name, gradient in alone.items():
        np.testing.assert_allclose(packed[name], gradient, rtol=0, atol=1e-5 * largest, err_msg=name)
        assert np.abs(gradient).max() > 0 or name.endswith("position_embedding/embeddings")


def test_an_answer_is_one_of_an_example_where_it_was_one_of_a_text():
    for head, shape in [("next_sentence", (None, None, 2)), ("sequence_classification", (None, None, 4))]:
        settings = {"num_labels": 4} if head == "sequence_classification" else {}
        alone, packed = models(head, settings)
        expected, outputs = run(alone, features_of(alone, ALONE)), run(packed, features_of(packed, PACKED))
        for name, output in outputs.items():
            assert packed.output[name].shape == shape
            for row, number, example in PLACES:
                np.testing.assert_allclose(output[row, number], expected[name][example], rtol=0, atol=1e-5)


def test_the_packed_encoder_has_the_weights_of_the_encoder_and_no_other():
    encoder = random_encoder(CONFIG)
    packed = packed_encoder(encoder)
    assert [id(weight) for weight in packed.weights] == [id(weight) for weight in encoder.weights]
    assert [weight.path for weight in packed.weights] == [weight.path for weight in encoder.weights]
    assert [id(v) for v in packed_encoder(encoder).variables] == [id(v) for v in encoder.variables]
    # And the encoder is what it was.
    assert set(kb.attention_scores(encoder).output) == {"block_0", "block_1"}
    expected = run(random_encoder(CONFIG), features_of(encoder, ALONE))
    for name, output in run(encoder, features_of(encoder, ALONE)).items():
        np.testing.assert_array_equal(output, expected[name])


def test_without_a_vector_for_an_example_nobody_has_to_say_where_they_begin():
    packed = packed_encoder(kb.bert_encoder(CONFIG), pooled=False)
    inputs = {"token_ids", "segment_ids", "position_ids", "example_ids"}
    assert set(packed.input) == inputs and set(packed.output) == {"sequence_output"}
    model = head_model(packed, CONFIG, "masked_lm", mask_positions=True)
    assert set(model.input) == inputs | {"mask_positions"}
    assert not any("pooler" in weight.path for weight in model.weights)
    pooled = packed_encoder(kb.bert_encoder(CONFIG))
    assert set(pooled.input) == inputs | {"cls_positions"}


@both_ways
def test_a_saved_packed_model_comes_back_bit_by_bit(head, settings, tmp_path):
    _, packed = models(head, settings, dropout=0.3, embedding_dim=5)
    packed.save(tmp_path / "packed.keras")
    loaded = keras.saving.load_model(tmp_path / "packed.keras")
    features = features_of(packed, PACKED)
    expected = run(packed, features)
    for name, output in run(loaded, features).items():
        np.testing.assert_array_equal(output, expected[name])
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in packed.weights]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compiles with TensorFlow")
def test_packed_rows_of_unknown_sizes_can_be_traced_and_compiled():
    import tensorflow as tf

    from keras_bert import features

    packed = packed_encoder(random_encoder(CONFIG))
    rows = features_of(packed, PACKED)
    expected = run(packed, rows)
    traced = tf.function(packed, input_signature=[features.tensor_specs(*packed.input)])
    for form in (traced, tf.function(packed, jit_compile=True)):
        for name, output in form(rows).items():
            np.testing.assert_allclose(output, expected[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("head", ["pretraining", "next_sentence", "sequence_classification"])
def test_heads_over_one_vector_refuse_an_encoder_that_has_none(head):
    settings = {"num_labels": 2} if head == "sequence_classification" else {}
    with pytest.raises(UsageError, match="encoder: .*no vector for an example.*pooled=True"):
        head_model(packed_encoder(kb.bert_encoder(CONFIG), pooled=False), CONFIG, head, **settings)


def test_choices_and_shown_attention_are_refused_on_packed_rows():
    packed = packed_encoder(kb.bert_encoder(CONFIG))
    with pytest.raises(UsageError, match="encoder: Choices cannot be packed.*padding_mask"):
        head_model(packed, CONFIG, "multiple_choice")
    with pytest.raises(UsageError, match="encoder: Attention is shown of texts"):
        kb.attention_scores(packed)
