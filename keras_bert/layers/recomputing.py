"""Rematerialisation: what a block computed is thrown away and computed again on the way back."""

import keras

from keras_bert.layers.dropout import Dropout, drawn_before


def recomputed(layer, function, inputs):
    """function(inputs), of which only the inputs are kept for the gradient.

    Args:
        layer: the layer that `function` is part of. Its dropouts have the same masks both times.
        function: of one float tensor to one. What else it takes is not differentiated but for variables.
        inputs: float tensor.
    Reference: Chen et al. 2016, https://arxiv.org/abs/1604.06174
    """
    dropouts = [part for part in layer._flatten_layers() if isinstance(part, Dropout) and part.rate]

    # Drawn out here: the state of a seed must not change within what is computed twice.
    seeds = [(dropout.seed_generator, dropout.seed_generator.next()) for dropout in dropouts]

    def again(x):
        with drawn_before(seeds):
            return function(x)

    return keras.remat(again)(inputs)
