"""Hugging Face and torch as the judge: the same outputs, and the same model after 100 steps of training."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.tasks.classification import Classification

GOLDEN = Path(__file__).parent / "golden"
ENCODER_INPUTS = ("token_ids", "segment_ids", "padding_mask")


def golden(name):
    with np.load(GOLDEN / name, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def outputs_of_minilm():
    return golden("minilm_encoder.npz")


@pytest.fixture(scope="module")
def minilm(minilm_folder):
    return kb.load(minilm_folder)


@pytest.mark.parametrize("case", ["length_1", "length_7", "length_128", "length_512", "padding", "pairs"])
def test_minilm_gives_the_outputs_it_gives_in_torch(minilm, outputs_of_minilm, case):
    expected = {
        name.partition("/")[2]: array
        for name, array in outputs_of_minilm.items()
        if name.startswith(f"{case}/")
    }
    outputs = minilm.encoder({name: expected[name] for name in ENCODER_INPUTS}, training=False)
    positions = expected["positions"]
    sequence = keras.ops.convert_to_numpy(outputs["sequence_output"])[:, positions]
    real = expected["padding_mask"][:, positions] == 1
    np.testing.assert_allclose(sequence[real], expected["sequence_output"][real], rtol=0, atol=1e-5)
    np.testing.assert_allclose(outputs["pooled_output"], expected["pooled_output"], rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def torch_run():
    return golden("training_100_steps.npz")


def weights_of(torch_run, moment):
    return {
        name.partition("/")[2]: array for name, array in torch_run.items() if name.startswith(f"{moment}/")
    }


def model_like(torch_run):
    """The model that torch trained, with the weights it started from, compiled with its optimizer."""
    config = kb.BertConfig(**json.loads(str(torch_run["config"])))
    model = Classification(["a", "b", "c"], max_length=40).head(kb.bert_encoder(config), config)
    before = weights_of(torch_run, "before")
    assert {weight.path for weight in model.weights} == set(before)
    for weight in model.weights:
        weight.assign(before[weight.path])
    schedule = kb.WarmupLinear(1e-3, total_steps=100, warmup_steps=10)
    model.compile(
        optimizer=kb.AdamW(schedule, weight_decay=0.01, epsilon=1e-6, global_clipnorm=1.0), metrics=[]
    )
    return model


class LossOfEveryStep(keras.callbacks.Callback):
    """Keras logs the mean since the epoch began: begun anew at every step, it is the loss of that step."""

    def on_train_begin(self, logs=None):
        self.losses = []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])


@pytest.fixture(scope="module")
def our_run(torch_run):
    """The losses of one `fit` of 100 steps, and the model after it."""
    import tensorflow as tf

    model, watch = model_like(torch_run), LossOfEveryStep()
    features = {name: torch_run[name] for name in ENCODER_INPUTS}
    batches = tf.data.Dataset.from_tensor_slices((features, torch_run["labels"]))
    model.fit(batches, callbacks=[watch], verbose=0)
    return watch.losses, model


def test_the_schedule_has_the_rates_of_torch(torch_run):
    schedule = kb.WarmupLinear(1e-3, total_steps=100, warmup_steps=10)
    rates = [float(schedule(step)) for step in range(100)]
    np.testing.assert_allclose(rates, torch_run["learning_rates"], rtol=1e-6, atol=1e-12)


def test_100_steps_of_training_have_the_losses_of_torch(torch_run, our_run):
    losses, _ = our_run
    # The run is one in which something is learned and in which clipping sets in.
    assert torch_run["losses"][-1] < 0.2 < 1.0 < torch_run["losses"][0]
    assert torch_run["gradient_norms"].min() < 1.0 < torch_run["gradient_norms"].max()
    # Measured 3e-7. Decaying LayerNorm too, or a norm that counts rows, is seen in the third digit.
    np.testing.assert_allclose(losses, torch_run["losses"], rtol=0, atol=5e-6)


def test_100_steps_of_training_end_at_the_weights_of_torch(torch_run, our_run):
    _, model = our_run
    after, width = weights_of(torch_run, "after"), torch_run["before/pooler/bias"].size
    for weight in model.weights:
        ours = keras.ops.convert_to_numpy(weight)
        difference = np.abs(ours - after[weight.path])
        if weight.path.endswith("query_key_value/bias"):
            # A key bias has no gradient, it shifts all scores of a row alike: both sides turn the rounding
            # noise of that zero into steps.
            difference = np.delete(difference, slice(width, 2 * width))
        assert difference.max() < 2e-6, weight.path  # they moved by about 0.05
