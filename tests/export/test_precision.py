"""A model of mixed precision is stored in the precision it computes in, and answers the same bits."""

import keras
import numpy as np
import pytest

import keras_bert as kb
from keras_bert.export.precision import in_float32, stored_as_computed

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"a film was warm dull not good and so it".split()]
TASKS = {
    "classification": {"labels": ["0", "1"]}, "tagging": {"labels": ["mood"], "crf": True}, "similarity": {},
    "question_answering": {}, "fill_mask": {}, "pretraining": {}, "multiple_choice": {},
    "multi_task": {
        "parts": {"mood": {"name": "classification", "labels": ["0", "1"]}, "how": {"name": "regression"}}
    },
}  # fmt: skip


@pytest.fixture
def mixed_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def features(bert):
    random = np.random.default_rng(0)
    made = {}
    for name, tensor in bert.model.input.items():
        shape = [3 if axis == 0 else 7 if size is None else size for axis, size in enumerate(tensor.shape)]
        high = {"token_ids": len(PIECES), "mask_positions": 7}.get(name, 2)
        made[name] = np.ones(shape, "int32") if name == "padding_mask" else random.integers(high, size=shape)
    return made


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_the_same_to_the_last_bit(task, mixed_policy):
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(
        len(PIECES), 2, 2, 8, 16, max_sequence_length=16, initializer_range=0.3, embedding_dim=6
    )
    bert = kb.Bert.from_config(config, kb.Tokenizer(PIECES), task, **TASKS[task])
    random = np.random.default_rng(0)
    bert.model.set_weights([random.normal(scale=0.3, size=w.shape) for w in bert.model.weights])
    twin, given = stored_as_computed(bert), features(bert)
    one, two = (keras.tree.flatten(model.model(given, training=False)) for model in (bert, twin))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(np.asarray(a, "float64"), np.asarray(b, "float64"))
    types = {w.dtype for w in twin.encoder.trainable_weights if "norm" not in w.path}
    assert types == {"bfloat16"}
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_float32_is_exported_as_it_is():
    bert = kb.Bert.from_config(kb.BertConfig(len(PIECES), 1, 2, 8, 16), kb.Tokenizer(PIECES), "similarity")
    assert stored_as_computed(bert) is bert


def test_a_model_that_computes_in_bfloat16_becomes_float32_for_a_phone(bert):
    half = type(bert)(bert.config, bert.tokenizer, bert.task, dtype="mixed_bfloat16")
    for ours, theirs in zip(half.model.weights, bert.model.weights, strict=True):
        ours.assign(theirs)
    assert in_float32(bert) is bert
    twin = in_float32(half)
    assert {layer.compute_dtype for layer in twin.model.layers} == {"float32"}
    for ours, theirs in zip(twin.model.weights, bert.model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
