"""Class weights, and the best epoch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert.errors import UsageError
from keras_bert.tasks.classification import Classification
from keras_bert.tasks.regression import Regression
from keras_bert.training.best import BestEpoch
from keras_bert.training.class_weights import with_class_weights

TASK = Classification(["rare", "common"])


def batches(labels, weights=None):
    weights = np.ones(len(labels)) if weights is None else np.array(weights)
    features = {"token_ids": tf.zeros((len(labels), 3), tf.int32)}
    return tf.data.Dataset.from_tensor_slices((features, np.array(labels), weights.astype("float32"))).batch(
        3
    )


def weights_of(dataset):
    return np.concatenate([weights for _, _, weights in dataset.as_numpy_iterator()]).tolist()


def test_balanced_classes_weigh_the_same_together_and_rows_one_on_average():
    weights = weights_of(with_class_weights(batches([0, 1, 1, 1]), "balanced", TASK))
    assert weights == pytest.approx([2.0, 2 / 3, 2 / 3, 2 / 3]) and sum(weights) == pytest.approx(4)


def test_weights_by_label_multiply_those_of_the_rows():
    given = with_class_weights(batches([0, 1], weights=[0.5, 2.0]), {"rare": 4}, TASK)
    assert weights_of(given) == [2.0, 2.0]


@pytest.mark.parametrize("weights", [{"unknown": 1.0}, {"rare": -1.0}, {"rare": float("nan")}])
def test_weights_that_cannot_be_are_refused(weights):
    with pytest.raises(UsageError, match="class_weights"):
        with_class_weights(batches([0, 1]), weights, TASK)


def test_a_task_without_classes_has_no_class_weights():
    with pytest.raises(UsageError, match="no class weights"):
        with_class_weights(batches([0, 1]), "balanced", Regression())


def run(scores, patience=0):
    """Trains one weight, which is the number of the epoch; returns (callback, the weight at the end)."""
    model = keras.Sequential([keras.layers.Dense(1, use_bias=False)])
    model.build((None, 1))
    given = iter(scores)
    best = BestEpoch(lambda: ({"f1": (score := next(given))}, f"answers of {score}"), "f1", patience)

    class Count(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            pass

        def on_epoch_begin(self, epoch, logs=None):
            model.layers[0].kernel.assign([[epoch + 1.0]])

    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
    history = model.fit(
        np.ones((2, 1)), np.ones((2, 1)), epochs=len(scores), callbacks=[Count(), best], verbose=0
    )
    return best, float(model.layers[0].kernel.numpy()[0, 0]), history


def test_the_best_epoch_is_given_back_and_logged():
    best, weight, history = run([0.1, 0.7, 0.7, 0.3])
    assert (best.epoch, best.best, weight) == (2, 0.7, 2.0)
    assert best.scores == {"f1": 0.7} and best.answered == "answers of 0.7"
    assert history.history["val_f1"] == [0.1, 0.7, 0.7, 0.3]


def test_patience_ends_a_run_that_does_not_get_better():
    best, weight, history = run([0.5, 0.4, 0.3, 0.9], patience=2)
    assert len(history.history["loss"]) == 3 and weight == 1.0 and best.epochs_seen == 3


def test_a_score_that_is_no_number_is_never_the_best():
    best, weight, _ = run([float("nan"), 0.1, float("nan")])
    assert (best.epoch, weight) == (2, 2.0)
