"""Faults of the training step that were found by reading it, each against what it should be by hand."""

import itertools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.errors import TrainingError, UsageError
from keras_bert.tasks.classification import Classification
from keras_bert.tasks.tagging import Tagging
from keras_bert.training.best import BestEpoch
from keras_bert.training.class_weights import with_class_weights
from keras_bert.training.crf_loss import CrfLoss
from keras_bert.training.label_smoothing import smoothed
from keras_bert.training.similarity_losses import InBatchNegatives

WORDS = "a warm cold funny dull film play was not new york ann lives in ##york".split()
TOKENIZER = kb.Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
TEXTS = ["a warm film", "a dull play was cold", "cold", "new york film"]
ROWS = [{"text": text, "label": ("good", "bad")[i % 2]} for i, text in enumerate(TEXTS)]
C = 3


def bert(task="classification", **settings):
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(
        len(TOKENIZER.vocabulary), 1, 2, 8, 16, max_sequence_length=64, initializer_range=0.3
    ).with_dropout(settings.pop("dropout", 0.0))
    settings = settings or {"labels": ["bad", "good"]}
    return kb.Bert.from_config(config, TOKENIZER, task, **settings)


def trained(batch_size, optimizer, rows=ROWS, dropout=0.0, **compiling):
    """The weights after one epoch, in the order of the rows."""
    model = bert(dropout=dropout)
    model.model.compile(optimizer=optimizer, **compiling)
    model.model.fit(model.dataset(rows, batch_size), verbose=0)
    return model.weights()


def distance(one, other):
    return max(float(np.abs(one[path] - other[path]).max()) for path in one)


def brute_force(logits, tags, transitions, start, end):
    """-log p of a path among all."""

    def score(path):
        inner = sum(transitions[a, b] for a, b in itertools.pairwise(path))
        return start[path[0]] + end[path[-1]] + inner + sum(logits[t, tag] for t, tag in enumerate(path))

    every = [score(path) for path in itertools.product(range(C), repeat=len(tags))]
    return np.log(np.sum(np.exp(every))) - score(tags)


@pytest.mark.parametrize("beyond", [0, 1, 2, 3])
@pytest.mark.parametrize("tags", [[2], [1, 0, 2, 2]])
def test_of_a_part_of_a_chain_its_own_ends_say_nothing(beyond, tags):
    random = np.random.default_rng(beyond)
    logits, transitions = random.normal(size=(len(tags), C)), random.normal(size=(C, C))
    start, end = random.normal(size=(2, C))
    expected = brute_force(
        logits, tags, transitions, 0 * start if beyond & 1 else start, 0 * end if beyond & 2 else end
    )
    # A place that is no unit at either end, whose target says something else.
    unit = np.array([[0.0, *[1.0] * len(tags), 0.0]], "float32")
    target = np.array([[7, *(tag + C * beyond for tag in tags), 11]], "int32")
    padded = np.pad(logits, [(1, 1), (0, 0)])
    outputs = np.concatenate([padded, transitions, start[None], end[None]])[None].astype("float32")
    loss = CrfLoss("sum").weighted_sum(target, outputs, unit)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_windows_that_cut_an_entity_break_no_rule_of_the_chain():
    row = {
        "text": "ann new york lives in ann new york new york ann",
        "spans": [{"start": 0, "end": 12, "label": "LOC"}, {"start": 22, "end": 47, "label": "LOC"}],
    }
    for scheme in ("BIO", "BIOES"):
        settings = {"labels": ["LOC"], "crf": True, "scheme": scheme, "max_length": 6}
        model = bert("tagging", stride=3, **settings)
        model.model.compile()
        data = model.dataset([row], 8)
        assert model.model.evaluate(data, return_dict=True, verbose=0)["loss"] < 5  # a broken rule: 10,000
        weighted = with_class_weights(data, "balanced", model.task)
        [(_, _, weights)] = list(weighted)
        assert np.isfinite(weights).all() and weights.numpy().max() > 1


def test_a_word_goes_on_behind_a_character_that_no_piece_covers():
    task = Tagging(["PER"], units="words")
    task.prepare(TOKENIZER)
    text = tf.constant(["new\u200cyork ann", "new\u3000york ann"])
    units = task._unit_starts(task.features({"text": text}, TOKENIZER.in_graph()))
    assert units.numpy().tolist() == [[0, 1, 0, 1, 0], [0, 1, 1, 1, 0]]


def test_labels_with_a_dash_are_types_and_tags_are_tags():
    assert Tagging(["E-mail", "PER"]).labels == ("O", "B-E-mail", "I-E-mail", "B-PER", "I-PER")
    assert Tagging(["B-cell"]).tags.types == ("B-cell",)
    assert Tagging(["B-PER", "I-PER"]).tags.types == Tagging(["O", "B-PER"]).tags.types == ("PER",)


def test_accumulated_gradients_are_clipped_as_their_mean():
    def sgd(**more):
        return keras.optimizers.SGD(0.1, global_clipnorm=0.01, **more)

    whole, parts = trained(4, sgd()), trained(1, sgd(gradient_accumulation_steps=4))
    start = bert().weights()
    assert distance(whole, start) > 1e-4 and distance(whole, parts) < 1e-7


def test_in_batch_negatives_are_the_cross_entropy_and_nothing_of_no_rows():
    vectors = np.random.default_rng(0).normal(size=(4, 3, 5)).astype("float32")
    loss = InBatchNegatives()
    unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    others = np.concatenate([unit[:, 1], unit[:, 2]])
    scores = 20.0 * unit[:, 0] @ others.T
    expected = np.log(np.exp(scores).sum(1)) - np.diag(scores[:, :4])
    np.testing.assert_allclose(loss.call(None, vectors), expected, rtol=1e-4)
    assert loss.call(None, vectors[:0]).shape == (0,)


def test_training_goes_on_after_a_step_that_was_not_finite_and_says_what_it_did_not_learn():
    model = bert()
    model.model.compile(optimizer=kb.AdamW(1e-2))
    data = model.dataset(ROWS, 4)
    broken = data.map(lambda x, y, weights: (x, y, weights * np.inf))
    with pytest.raises(TrainingError):
        model.model.fit(broken, verbose=0, callbacks=[kb.Sentinel()])
    before = model.weights()
    with pytest.warns(UserWarning, match="nothing was learnt"):
        model.model.fit(broken, verbose=0)
    assert distance(before, model.weights()) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.model.fit(data, verbose=0, callbacks=[kb.Sentinel()])
    assert distance(before, model.weights()) > 1e-3


def test_the_windows_of_a_row_count_as_one_in_balanced_classes():
    long = " ".join(["a warm film was not cold"] * 4)
    rows = [
        {"text": text, "label": label} for text, label in ((long, "bad"), (long, "bad"), ("cold", "good"))
    ]
    model = bert(labels=["bad", "good"], max_length=10, stride=4)
    sums = np.zeros(2)
    for _, labels, weights in with_class_weights(model.dataset(rows, 4), "balanced", model.task):
        sums += np.bincount(labels, weights=weights, minlength=2)
    assert sums == pytest.approx([1.5, 1.5])


def test_smoothed_labels_leave_the_weights_of_the_losses_and_need_classes_that_are_there():
    parts = {name: {"name": "classification", "labels": ["a", "b"]} for name in ("mood", "kind")}
    asked = bert("multi_task", parts=parts)
    given = smoothed(asked.model, asked.task, 0.1)
    assert given["loss_weights"] == asked.model.default_loss_weights and len(given["loss"]) == 2
    for name in ("multiple_choice", "question_answering"):  # of which a row may have few, and a batch many
        other = bert(name, max_length=16)
        with pytest.raises(UsageError, match="label smoothing"):
            smoothed(other.model, other.task, 0.1)
    assert smoothed(asked.model, asked.task, 0.0) == {}


def test_what_layers_add_to_the_loss_counts_once_however_many_parts_a_batch_has():
    losses = []
    for steps in (1, 4):
        model = bert()
        model.model.get_layer("classifier").kernel_regularizer = keras.regularizers.L2(10.0)
        model.model.get_layer("classifier").kernel.regularizer = keras.regularizers.L2(10.0)
        model.model.compile(optimizer=keras.optimizers.SGD(0.0), accumulation_steps=steps)
        data = model.dataset(ROWS, 4)
        losses.append(model.model.fit(data, verbose=0).history["loss"][0])
        losses.append(model.model.evaluate(data, verbose=0, return_dict=True)["loss"])
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-5) and losses[0] > 1


def test_the_loss_of_a_part_is_of_its_own_rows():
    part = {"name": "classification", "labels": ["bad", "good"]}
    model = bert("multi_task", parts={"mood": part, "tone": part})
    model.model.compile()
    data = model.dataset({"mood": ROWS, "tone": ROWS * 3}, 4)
    logs = model.model.evaluate(data, return_dict=True, verbose=0)
    losses = {}
    for name in ("mood", "tone"):
        logits = [model.model(x, training=False)[name] for x, _, weights in data if weights[name][0] > 0]
        labels = [y[name] for _, y, weights in data if weights[name][0] > 0]
        crossentropy = keras.losses.sparse_categorical_crossentropy(
            np.concatenate(labels), np.concatenate(logits), from_logits=True
        )
        losses[name] = float(np.mean(crossentropy))
    assert {name: logs[f"{name}_loss"] for name in losses} == pytest.approx(losses, rel=1e-5)


def test_a_model_saved_as_keras_saves_it_trains_on_with_its_own_settings(tmp_path):
    model = bert().model
    own = {"accumulation_steps": 2, "r_drop": 0.5, "adversarial": 0.25, "rematerialize": True}
    model.compile(optimizer=kb.AdamW(1e-3), **own)
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert {name: getattr(loaded, name) for name in own} == own


def test_the_last_epoch_stays_where_the_best_is_only_watched():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    for keep, kept in ((True, 1.0), (False, 2.0)):
        values, weight = iter([3.0, 2.0]), model.weights[0]
        best = BestEpoch(lambda values=values: ({"f1": next(values)}, None), "f1", 2, keep)
        best.set_model(model)
        for epoch in (0, 1):
            weight.assign([[epoch + 1.0]])
            best.on_epoch_end(epoch, {})
        best.on_train_end()
        assert float(np.asarray(weight)[0, 0]) == kept and best.epoch == 1


def test_a_part_says_that_the_whole_is_retuned():
    parts = {"mood": {"name": "classification", "labels": ["bad", "good"]}}
    with pytest.raises(UsageError, match="with the whole"):
        bert("multi_task", parts=parts).part("mood").retune(max_length=8)


def scaled():
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=1024.0)


def test_a_scaled_loss_is_pushed_as_far_by_adversarial_embeddings():
    plain = trained(4, keras.optimizers.SGD(0.1), adversarial=2.0)
    assert distance(plain, trained(4, scaled(), adversarial=2.0)) < 1e-5
    assert distance(plain, trained(4, keras.optimizers.SGD(0.1))) > 1e-3


def test_masks_by_record_change_with_the_steps_of_a_scaled_optimizer():
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(len(TOKENIZER.vocabulary), 1, 2, 8, 16, max_sequence_length=16).with_dropout(0.5)
    model = Classification(["a", "b"]).head(kb.bert_encoder(config), config)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.0))
    model.compile(optimizer=optimizer, dropout_by_record=True)
    ids = np.arange(5, 13, dtype="int32").reshape(2, 4)
    x = {
        "token_ids": ids, "segment_ids": 0 * ids, "padding_mask": 0 * ids + 1,
        "record_indices": np.arange(2, dtype="int64"),
    }  # fmt: skip
    data = tf.data.Dataset.from_tensors((x, np.array([0, 1]))).repeat(4)
    losses = []

    class Log(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            losses.append(logs["loss"] * (batch + 1))  # logged is the mean of the epoch so far

    model.fit(data, verbose=0, callbacks=[Log()])
    assert len({round(float(loss), 5) for loss in np.diff([0.0, *losses])}) > 1
