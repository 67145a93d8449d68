"""What the weights are before training."""

import keras
import numpy as np
import pytest

from keras_bert.layers import Classifier, TruncatedNormal, blank_weights, initial


def kernel_of(layer):
    layer.build((None, 64))
    return np.asarray(layer.kernel)


def test_weights_begin_as_a_normal_distribution_cut_at_two_deviations():
    kernel = kernel_of(Classifier(500, initializer_range=0.02))
    assert np.abs(kernel).max() <= 0.04 + 1e-6
    # The deviation of a normal distribution that is cut at two of its own.
    assert kernel.std() == pytest.approx(0.02 * 0.8796, rel=0.02)


def test_a_new_head_has_outputs_as_wide_as_its_inputs():
    layer = Classifier(500)
    assert kernel_of(layer).std() == pytest.approx(1 / 8, rel=0.02)  # of 64 inputs
    loaded = Classifier.from_config(layer.get_config())
    assert type(loaded.kernel_initializer) is initial.HeadNormal


def test_blank_weights_draw_no_numbers(monkeypatch):
    monkeypatch.setattr(initial, "unset", lambda shape, dtype: keras.ops.full(shape, 7.0, dtype))
    with blank_weights():
        assert (kernel_of(Classifier(3)) == 7.0).all()
    assert (kernel_of(Classifier(3)) != 7.0).all()


def test_an_error_within_does_not_leave_them_blank():
    with pytest.raises(RuntimeError), blank_weights():
        raise RuntimeError
    assert kernel_of(Classifier(3)).std() > 0


def test_it_is_saved_with_its_layer():
    config = keras.saving.serialize_keras_object(TruncatedNormal(stddev=0.5, seed=3))
    loaded = keras.saving.deserialize_keras_object(config)
    assert (type(loaded), loaded.stddev, loaded.seed) == (TruncatedNormal, 0.5, 3)
