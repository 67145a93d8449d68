"""A step that is not finite ends the run there: the weights stay, and the first such tensor is named."""

import json

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.errors import TrainingError
from keras_bert.tasks.pretraining import Pretraining
from keras_bert.training.sentinel import FILE, Sentinel

tf = pytest.importorskip("tensorflow")

ROWS, LENGTH, SLOTS, PIECES = 8, 6, 2, 20


class Batches:
    """A source of batches like `PretrainingData`: every batch the same but for what is put into it."""

    def __init__(self, bad_step=None, feature=None, row=5):
        self.bad = bad_step, feature, row

    def position(self, step):
        return 0, step

    def batch(self, epoch, number):
        rng = np.random.default_rng(number)
        batch = {
            "token_ids": rng.integers(5, PIECES, (ROWS, LENGTH)).astype("int32"),
            "segment_ids": np.zeros((ROWS, LENGTH), "int32"),
            "padding_mask": np.ones((ROWS, LENGTH), "int32"),
            "mask_positions": np.ones((ROWS, SLOTS), "int32"),
            "mask_ids": rng.integers(5, PIECES, (ROWS, SLOTS)).astype("int32"),
            "mask_weights": np.ones((ROWS, SLOTS), "float32"),
            "next_sentence_label": rng.integers(0, 2, ROWS).astype("int32"),
            "record_indices": np.arange(ROWS) + 100 * number,
        }
        step, feature, row = self.bad
        if number == step:
            batch[feature][row] = np.inf
        return batch

    def dataset(self, targets, steps):
        parts = [self.batch(0, number) for number in range(steps)]
        whole = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
        return tf.data.Dataset.from_tensor_slices(whole).map(targets)


def model():
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(PIECES, 1, 2, 8, 16, max_sequence_length=LENGTH, initializer_range=0.3)
    task = Pretraining(max_length=LENGTH)
    built = task.head(kb.bert_encoder(config), config)
    built.compile(kb.AdamW(1e-3))
    return task, built


def weights(built):
    return {variable.path: variable.numpy() for variable in built.weights}


class Remember(keras.callbacks.Callback):
    """Keeps the weights before every step."""

    def __init__(self):
        super().__init__()
        self.before = []

    def on_train_batch_begin(self, batch, logs=None):
        self.before.append(weights(self.model))


def run(task, built, data, folder=None, steps=5, **settings):
    remember = Remember()
    watch = Sentinel(data, task.batch, folder)
    with pytest.raises(TrainingError) as error:
        built.fit(data.dataset(task.batch, steps), callbacks=[watch, remember], verbose=0, **settings)
    return error.value, remember.before


def test_the_step_the_feature_and_the_row_are_named_and_the_weights_are_as_before(tmp_path):
    task, built = model()
    error, before = run(task, built, Batches(3, "mask_weights"), tmp_path)
    assert "Step 4 is not finite, first the feature mask_weights" in str(error)
    assert str(tmp_path / FILE) in str(error) and "learning_rate" in error.remedy
    found = json.loads((tmp_path / FILE).read_text())
    assert found["step"] == found["number"] == 3 and found["records"] == list(range(300, 308))
    assert found["rows"] == [305]
    assert len(before) == 4
    after = weights(built)
    for path, array in before[3].items():
        np.testing.assert_array_equal(after[path], array, err_msg=path)
    assert any(not np.array_equal(after[path], array) for path, array in before[0].items())


def test_the_first_layer_whose_output_is_not_finite_is_named(tmp_path):
    task, built = model()
    built.get_layer("block_0").intermediate.kernel.assign_add(np.full((8, 16), 1e38, "float32"))
    error, _ = run(task, built, Batches(), tmp_path)
    assert "Step 1 is not finite, first the output of block_0" in str(error)


def test_a_weight_that_is_no_number_is_named_before_what_it_spoils(tmp_path):
    task, built = model()
    built.get_layer("pooler").kernel.assign(np.full((8, 8), np.nan, "float32"))
    error, _ = run(task, built, Batches(), tmp_path)
    assert "first the weight pooler/kernel" in str(error)


def test_a_gradient_that_overflows_behind_finite_outputs_is_named():
    task, built = model()

    @tf.custom_gradient
    def spoilt(values):
        return values, lambda gradient: gradient * np.float32(np.inf)

    compute = built.compute_loss
    built.compute_loss = lambda *args, **kwargs: spoilt(compute(*args, **kwargs))
    built.compile(kb.AdamW(1e-3))
    error, before = run(task, built, Batches())
    assert "first the gradient of embeddings/token_embedding/embeddings" in str(error)
    after = weights(built)
    for path, array in before[0].items():
        np.testing.assert_array_equal(after[path], array, err_msg=path)


def test_later_steps_of_the_same_execution_change_nothing_either():
    task, built = model()
    built.compile(kb.AdamW(1e-3), steps_per_execution=4)
    error, before = run(task, built, Batches(1, "mask_weights"), steps=8)
    assert "Step 2 is not finite" in str(error) and len(before) == 1
    straight_task, straight = model()
    data = Batches()
    straight.fit(data.dataset(straight_task.batch, 1), verbose=0)
    for path, array in weights(straight).items():
        np.testing.assert_array_equal(weights(built)[path], array, err_msg=path)


def test_a_finite_run_is_left_alone():
    task, built = model()
    data = Batches()
    built.fit(data.dataset(task.batch, 3), callbacks=[Sentinel(data, task.batch)], verbose=0)
    assert int(built.optimizer.iterations) == 3
