"""`fit` trains as BERT is fine-tuned, stops where that has become pointless, and keeps a log."""

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.errors import TrainingError
from keras_bert.tasks.classification import Classification
from keras_bert.training.fit import fit
from keras_bert.training.metrics_log import MetricsLog

tf = pytest.importorskip("tensorflow")

IDS = np.random.default_rng(0).integers(5, 30, (12, 6)).astype("int32")
FEATURES = {"token_ids": IDS, "segment_ids": 0 * IDS, "padding_mask": 0 * IDS + 1}
LABELS = (IDS[:, 1] % 2).astype("int32")


def data(labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((FEATURES, labels)).batch(4)


def model():
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(30, 1, 2, 8, 16, dropout=0.0, attention_dropout=0.0)
    return Classification(["a", "b"], max_length=16).head(kb.bert_encoder(config), config)


@pytest.fixture(scope="module")
def run():
    """A model after four epochs of three steps, and its log."""
    bert, log = model(), MetricsLog(batch_size=4, every=2)
    settings = {"learning_rate": 1e-3, "warmup_proportion": 0.25, "weight_decay": 0.2}
    fit(bert, data(), data(), epochs=4, callbacks=[log], **settings)
    return bert, log


def test_the_rate_rises_over_a_share_of_all_steps_and_falls_to_zero(run):
    optimizer = run[0].optimizer
    schedule = optimizer._learning_rate.get_config()
    assert schedule == {"peak": 1e-3, "total_steps": 12, "warmup_steps": 3, "end": 0.0}
    assert int(optimizer.iterations) == 12 and float(optimizer.learning_rate) == 0.0
    assert optimizer.weight_decay == 0.2


def test_the_log_holds_every_nth_step_and_every_epoch(run):
    rows = run[1].rows
    assert [(row["epoch"], row["step"], "val_loss" in row) for row in rows[:5]] == [
        (1, 2, False), (1, 3, True), (2, 4, False), (2, 6, False), (2, 6, True),
    ]  # fmt: skip
    assert all(isinstance(value, (int, float)) for row in rows for value in row.values())


@pytest.fixture(scope="module")
def stopped():
    """A model whose weights are no numbers, and what `fit` raised."""
    bert = model()
    bert.get_layer("classifier").kernel.assign(np.full((8, 2), np.nan, "float32"))
    with pytest.raises(TrainingError) as error:
        fit(bert, data(), epochs=1, warmup_steps=2, warmup_proportion=0.9)
    return bert, error.value


def test_a_loss_that_is_no_number_stops_the_run_at_once(stopped):
    bert, error = stopped
    assert "Step 1 is not finite, first the weight classifier/kernel" in str(error)
    assert "learning_rate" in error.remedy
    assert int(bert.optimizer.iterations) == 1


def test_a_number_of_warmup_steps_goes_before_the_proportion(stopped):
    assert stopped[0].optimizer._learning_rate.warmup_steps == 2


def test_a_dataset_is_begun_once_and_each_epoch_has_every_row_in_an_order_of_its_own(monkeypatch):
    begun, read = [], []
    begin = tf.data.Dataset.__iter__
    monkeypatch.setattr(tf.data.Dataset, "__iter__", lambda dataset: begun.append(dataset) or begin(dataset))

    def note(place):
        read.append(int(place))
        return np.int64(place)

    def row(place):
        place = tf.ensure_shape(tf.numpy_function(note, [place], tf.int64), ())
        return {name: tf.constant(ids)[place] for name, ids in FEATURES.items()}, place % 2

    train = tf.data.Dataset.range(12).shuffle(12, seed=1).map(row).batch(4)
    bert = model()
    bert.compile()
    history = bert.fit(train, validation_data=data(), epochs=4, verbose=0).history
    assert sum(dataset.element_spec == train.element_spec for dataset in begun) == 1
    epochs = [read[12 * i : 12 * i + 12] for i in range(4)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert len(history["val_loss"]) == 4 and bert.optimizer.iterations == 12


@pytest.mark.parametrize("steps_per_execution", [1, 2, 3])
def test_an_epoch_is_as_long_as_its_data_however_many_steps_are_executed_at_once(steps_per_execution):
    bert = model()
    bert.compile(steps_per_execution=steps_per_execution)
    history = bert.fit(data(), validation_data=data(), epochs=2, verbose=0).history
    assert bert.optimizer.iterations == 6
    after = bert.evaluate(data(), verbose=0, return_dict=True)
    assert history["val_loss"][-1] == pytest.approx(after["loss"], abs=1e-7)


def test_a_distributed_dataset_is_taken_as_it_is():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        bert = model()
        bert.compile()
        bert.fit(strategy.experimental_distribute_dataset(data()), epochs=2, verbose=0)
        assert int(bert.optimizer.iterations.numpy()) == 6
