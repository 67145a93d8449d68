"""The one table of features, and the inputs and specs that are built from it."""

import pytest

from keras_bert import features


def test_every_feature_is_filed_under_its_own_name():
    assert all(name == feature.name for name, feature in features.FEATURES.items())


def test_every_feature_has_the_batch_first():
    assert {feature.shape[0] for feature in features.FEATURES.values()} == {"B"}


def test_the_features_of_the_encoder_are_in_the_table():
    assert set(features.ENCODER_FEATURES) <= set(features.FEATURES)


@pytest.mark.parametrize("name", features.FEATURES)
def test_a_keras_input_has_the_name_type_and_axes_of_its_feature(name):
    tensor = features.inputs(name)[name]
    feature = features.FEATURES[name]
    assert (tensor.name, tensor.dtype) == (feature.name, feature.dtype)
    assert tensor.shape == (None,) * len(feature.shape)


@pytest.mark.parametrize("name", features.ENCODER_FEATURES)
def test_choices_add_an_axis_behind_the_batch(name):
    tensor = features.inputs(name, choices=True)[name]
    assert (tensor.name, tensor.dtype, tensor.shape) == (name, "int32", (None, None, None))


@pytest.mark.parametrize("name", features.FEATURES)
def test_every_feature_has_a_spec_with_its_axes(name):
    spec = features.tensor_specs(name, batch=2)[name]
    assert spec.shape.as_list() == [2] + [None] * (len(features.FEATURES[name].shape) - 1)


def test_specs_leave_open_what_is_not_fixed():
    specs = features.tensor_specs("token_ids", "length")
    assert list(specs) == ["token_ids", "length"]
    assert [spec.shape.as_list() for spec in specs.values()] == [[None, None], [None]]
    assert [spec.name for spec in specs.values()] == ["token_ids", "length"]
    assert {spec.dtype.name for spec in specs.values()} == {"int32"}


def test_specs_can_fix_the_batch_and_the_length():
    specs = features.tensor_specs("padding_mask", "length", batch=1, length=64)
    assert [spec.shape.as_list() for spec in specs.values()] == [[1, 64], [1]]
