"""`Bert` and `kb.load`: what is learned is kept, what does not fit is refused."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.errors import ConfigError, DataError, UsageError

GOOD = ["a warm film", "a funny play", "good plot and warm", "the film was funny", "not a bad film"]
BAD = ["a cold film", "a dull play", "bad plot and cold", "the film was dull", "not a good film"]
ROWS = (GOOD + BAD, ["good"] * 5 + ["bad"] * 5)
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(" ".join(GOOD + BAD).split())]
CONFIG = kb.BertConfig(len(PIECES), 1, 2, 32, 64, max_sequence_length=12, initializer_range=0.1)
STEPS = 120


def fresh(task="classification", config=CONFIG, **settings):
    if task:
        settings = {"labels": ["bad", "good"], **settings}
    return kb.Bert.from_config(config, kb.Tokenizer(PIECES), task, **settings)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    bert = fresh()
    schedule = kb.WarmupLinear(5e-3, total_steps=STEPS, warmup_steps=STEPS // 10)
    bert.model.compile(optimizer=kb.AdamW(schedule))
    # One epoch over the ten sentences again and again: to begin an epoch costs more than to train its steps.
    texts, labels = ROWS[0] * STEPS, ROWS[1] * STEPS
    bert.model.fit(bert.dataset((texts, labels), batch_size=10, training=True), verbose=0)
    return bert


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    trained.save(folder)
    return folder


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for path, array in ours.items():
        np.testing.assert_array_equal(array, theirs[path], err_msg=path)


def test_ten_sentences_can_be_memorised_in_120_steps(trained):
    assert int(trained.model.optimizer.iterations) == STEPS == 120
    assert [answer["label"] for answer in trained.predict(ROWS[0])] == ROWS[1]
    assert trained.evaluate(ROWS)["accuracy"] == 1.0
    assert min(answer["score"] for answer in trained.predict(ROWS[0])) > 0.8


def test_evaluate_agrees_with_keras_and_weights_reach_the_loss(trained):
    rows = [{"text": text, "label": "good", "sample_weight": i / 4} for i, text in enumerate(ROWS[0])]
    scores = trained.evaluate(rows)
    keras_says = trained.model.evaluate(trained.dataset(rows, batch_size=10), verbose=0, return_dict=True)
    assert scores["accuracy"] == pytest.approx(keras_says["accuracy"]) == 0.5
    assert scores["rows"] == 10
    losses = [-np.log(answer["scores"][1]) * i / 4 for i, answer in enumerate(trained.predict(ROWS[0]))]
    assert keras_says["loss"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_a_saved_model_comes_back_bit_by_bit(trained, folder):
    loaded = kb.load(folder)
    assert_equal(loaded.weights(), trained.weights())
    assert loaded.predict(ROWS[0]) == trained.predict(ROWS[0])
    assert loaded.config == trained.config
    assert loaded.task.settings() == trained.task.settings()


def test_a_loaded_model_can_be_saved_again(trained, folder, tmp_path):
    kb.load(folder).save(tmp_path / "again")
    assert_equal(kb.load(tmp_path / "again").weights(), trained.weights())


def test_the_same_labels_keep_the_head(trained, folder):
    loaded = kb.load(folder, task="classification", labels=["bad", "good"], max_length=8)
    assert_equal(loaded.weights(), trained.weights())
    assert loaded.task.max_length == 8


@pytest.mark.parametrize("labels", [["ham", "spam"], ["bad", "fair", "good"], ["good", "bad"]], ids=str)
def test_other_labels_start_a_fresh_head_on_the_same_encoder(trained, folder, labels):
    with pytest.warns(UserWarning, match="is not used: .* starts fresh: classifier/kernel"):
        loaded = kb.load(folder, labels=labels)
    assert loaded.task.labels == tuple(labels)
    old, new = trained.weights(), loaded.weights()
    head = {path for path in old if path.startswith("classifier/")}
    assert_equal(*({path: w[path] for path in old.keys() - head} for w in (old, new)))
    kernel = new["classifier/kernel"]
    assert kernel.shape == (32, len(labels))
    assert 0.05 < np.abs(kernel).max() <= 2 / (0.8796 * np.sqrt(32)) + 1e-6
    assert (new["classifier/bias"] == 0).all()


def test_a_head_whose_classes_have_no_names_is_kept_under_the_names_given(trained, folder, tmp_path):
    # As Hugging Face saves a classifier of two classes: without `id2label`, and without our file.
    unnamed = shutil.copytree(folder, tmp_path / "unnamed")
    (unnamed / "keras_bert.json").unlink()
    config = json.loads((unnamed / "config.json").read_text())
    del config["id2label"], config["label2id"]
    (unnamed / "config.json").write_text(json.dumps(config))
    loaded = kb.load(unnamed, task="classification", labels=["no", "yes"])
    assert_equal(loaded.weights(), trained.weights())


def test_a_model_without_a_head_can_be_given_one(tmp_path):
    bare = fresh(task=None)
    bare.save(tmp_path / "bare")
    with_head = kb.load(tmp_path / "bare", task="classification", labels=["bad", "good"])
    assert_equal({path: with_head.weights()[path] for path in bare.weights()}, bare.weights())
    assert len(with_head.predict("a warm film")) == 1


def test_the_encoder_of_a_bert_is_part_of_its_model():
    bert = fresh()
    shared = {id(weight) for weight in bert.model.weights}
    assert {id(weight) for weight in bert.encoder.weights} < shared


def test_encode_gives_one_vector_a_piece_and_one_a_text():
    bert = fresh(task=None)
    outputs = bert.encode(["a warm film", "dull"])
    assert outputs["sequence_output"].shape == (2, 5, 32) and outputs["pooled_output"].shape == (2, 32)
    alone = bert.encode(["dull"])
    np.testing.assert_allclose(
        outputs["sequence_output"][1, :3], alone["sequence_output"][0], rtol=0, atol=1e-6
    )


def test_encode_takes_pairs_and_a_single_text():
    bert = fresh(task=None)
    assert bert.encode(["a warm film"], ["dull"])["sequence_output"].shape == (1, 7, 32)
    np.testing.assert_array_equal(
        bert.encode("dull")["pooled_output"], bert.encode(["dull"])["pooled_output"]
    )


def test_encode_gives_float32_whatever_the_precision():
    bert = fresh(task=None, dtype="mixed_bfloat16")
    assert {output.dtype.name for output in bert.encode(["dull"]).values()} == {"float32"}


def test_features_are_those_of_the_python_tokenizer_and_can_be_mapped():
    bert = fresh(max_length=6)
    texts = ["a warm film", "the film was funny and the plot not bad"]
    [features] = tf.data.Dataset.from_tensor_slices(texts).batch(2).map(bert.preprocess)
    for text, ids, mask in zip(texts, features["token_ids"], features["padding_mask"], strict=True):
        expected = bert.tokenizer.encode(text, max_length=6).token_ids
        assert ids.numpy()[mask.numpy() == 1].tolist() == expected


def test_a_keras_file_answers_as_the_model_it_was_saved_from(trained, tmp_path):
    trained.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    features = trained.preprocess(ROWS[0])
    np.testing.assert_array_equal(loaded(features), trained.model(features))


def test_a_vocabulary_larger_than_the_embedding_table_is_refused():
    with pytest.raises(ConfigError, match=f"{len(PIECES)} pieces, vocabulary_size={len(PIECES) - 1}"):
        fresh(config=CONFIG.replace(vocabulary_size=len(PIECES) - 1))


def test_a_length_over_the_position_table_is_refused():
    with pytest.raises(ConfigError, match="max_length=13, max_sequence_length=12"):
        fresh(max_length=13)


def test_the_length_defaults_to_what_the_position_table_holds():
    assert fresh().task.max_length == 12
    assert fresh(config=CONFIG.replace(max_sequence_length=512)).task.max_length == 128


def test_a_longer_text_is_cut_and_answered():
    assert fresh().preprocess(["film " * 100])["token_ids"].shape == (1, 12)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"task": "foretelling"}, UsageError, "no task 'foretelling'"),
        ({"labels": ["one"]}, DataError, "two classes or more"),
        ({"colour": "red"}, UsageError, "colour"),
    ],
    ids=str,
)
def test_a_task_that_does_not_exist_or_fit_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        fresh(**arguments)


@pytest.mark.parametrize("method", ["predict", "serve", "dataset", "evaluate", "export"])
def test_what_needs_a_head_says_so(method):
    with pytest.raises(UsageError, match="no head.*kb.load"):
        getattr(fresh(task=None), method)(["a warm film"])


def test_settings_for_a_head_that_was_not_named_are_refused(tmp_path):
    fresh(task=None).save(tmp_path / "bare")
    with pytest.raises(UsageError, match="no task was named"):
        kb.load(tmp_path / "bare", labels=["bad", "good"])
