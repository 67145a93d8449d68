"""What does not go with several replicas: refused before it trains another model than was asked for."""

import keras

from keras_bert.errors import UsageError

KERAS_VERSIONS = ("3.15",)  # the minor versions whose internals training/distribution.py was tried with


def check_goes_with_replicas(optimizer, jit_compile: bool, is_scaled: bool):
    """Refuses what no correction makes right on several replicas, with the way round.

    Args:
        optimizer: `keras.optimizers.Optimizer`.
        jit_compile: bool.
        is_scaled: bool. Whether Keras scales the loss for float16.
    Raises:
        UsageError
    """
    _check_keras_version()
    if jit_compile:
        _refuse("jit_compile=True", "XLA does not compile a step that spans them", "leave it out")
    if is_scaled:
        _refuse("mixed_float16", "each would scale its loss by rules of its own", "use mixed_bfloat16")
    if optimizer.gradient_accumulation_steps:
        _refuse(
            "gradient_accumulation_steps of the optimizer", "Keras crashes",
            "compile(accumulation_steps=...), which trains one batch in parts",
        )  # fmt: skip
    if optimizer.ema_overwrite_frequency:
        _refuse(
            "ema_overwrite_frequency",
            "Keras crashes",
            "leave it out: the averages replace the weights at the end",
        )


def _check_keras_version():
    version = keras.version()
    if not version.startswith(tuple(f"{minor}." for minor in KERAS_VERSIONS)):
        raise UsageError(
            f"Keras {version} was not tried under a strategy: the corrections that make replicas train one "
            "model touch its internals", expected=f"Keras {' or '.join(KERAS_VERSIONS)}",
            remedy=f"pip install 'keras=={KERAS_VERSIONS[-1]}.*', or train on one device",
        )  # fmt: skip


def _refuse(what, why, instead):
    raise UsageError(f"{what} does not go with several replicas: {why}", where="compile", remedy=instead)
