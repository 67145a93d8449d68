"""Losses are in float32, on logits, and weighted."""

import keras
import numpy as np
import pytest

from keras_bert.training.losses import SparseCrossentropy

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-30.0, 40.0, 1.0]], "float32")
LABELS = np.array([0, 2, 0], "int32")
EACH = np.log(np.exp(LOGITS.astype("float64")).sum(-1)) - LOGITS[np.arange(3), LABELS]


def test_the_loss_is_the_mean_of_logsumexp_minus_the_logit_of_the_label():
    assert float(SparseCrossentropy()(LABELS, LOGITS)) == pytest.approx(EACH.mean(), rel=1e-6)


def test_a_weight_multiplies_the_loss_of_its_row():
    weights = np.array([0.0, 3.0, 0.5], "float32")
    loss = float(SparseCrossentropy()(LABELS, LOGITS, sample_weight=weights))
    assert loss == pytest.approx((weights * EACH).sum() / 3, rel=1e-6)


def test_the_loss_of_bfloat16_logits_is_float32():
    loss = SparseCrossentropy()(LABELS, keras.ops.cast(LOGITS, "bfloat16"))
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    # These logits are exact in bfloat16, so that all rounding would be the loss's own.
    assert float(loss) == pytest.approx(EACH.mean(), rel=1e-6)


def test_a_loss_survives_serialisation():
    restored = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(SparseCrossentropy())
    )
    assert isinstance(restored, SparseCrossentropy)
    assert float(restored(LABELS, LOGITS)) == pytest.approx(EACH.mean(), rel=1e-6)
