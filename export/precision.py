"""The model that is exported computes as the one it is made of; how its weights are stored may differ."""

import contextlib

import keras


def in_float32(bert):
    """The same weights in a model that computes in float32; TFLite has no bfloat16."""
    if all(layer.compute_dtype == "float32" for layer in bert.model.layers):
        return bert
    return _twin(bert, "float32")


def stored_as_computed(bert):
    """The same model, whose weights are in the precision that its layers compute in.

    In training a layer of mixed precision keeps float32, to add small updates to; served it would only cast
    the same weights anew in every request, which takes a quarter of the time of a short text.
    """
    policies = {layer.dtype_policy.name for layer in bert.model._flatten_layers(include_self=False)}
    mixed = [policy for policy in policies if policy.startswith("mixed_")]
    return _twin(bert, mixed[0].removeprefix("mixed_")) if mixed else bert


def _twin(bert, policy):
    """`bert` again, built under another policy; layers that ask for a precision of their own keep it."""
    with _global_policy(policy):
        twin = type(bert)(bert.config, bert.tokenizer, bert.task, dtype=policy, blank=True)
    for ours, theirs in zip(twin.model.weights, bert.model.weights, strict=True):
        ours.assign(theirs)
    return twin


@contextlib.contextmanager
def _global_policy(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
