"""Layer normalisation as all layers of a BERT have it."""

import keras


def layer_norm(epsilon, policy, name):
    """A `LayerNormalization` whose weights are float32 in every precision, as its arithmetic is.

    Keras' layer normalises in float32 whatever its policy says and, of a mixed policy, with weights of
    float32: so that a model stored in bfloat16 answers as the mixed one that it is made of.

    Args:
        epsilon: float.
        policy: `keras.DTypePolicy` of the layer that it is part of.
        name: str.
    """
    if policy.variable_dtype in ("bfloat16", "float16"):
        policy = f"mixed_{policy.compute_dtype}"
    return keras.layers.LayerNormalization(epsilon=epsilon, dtype=policy, name=name)
