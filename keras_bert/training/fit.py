"""Fine-tuning with `model.fit`: the schedule from the number of steps, and what is watched meanwhile."""

from keras_bert.training.optimizer import AdamW
from keras_bert.training.schedule import WarmupLinear
from keras_bert.training.sentinel import Sentinel


def fit(
    model,
    train,
    validation=None,
    *,
    epochs=3,
    learning_rate=5e-5,
    warmup_proportion=0.1,
    warmup_steps=None,
    weight_decay=0.01,
    layer_decay=None,
    callbacks=(),
    **compiling,
):
    """Compiles and fits a model as BERT is fine-tuned: AdamW, warm-up, linear decay to 0, clipping at norm 1.

    Args:
        model: `BertModel`, whose defaults are the loss and the metrics.
        train: `tf.data.Dataset` of known cardinality.
        validation: `tf.data.Dataset` or None. Evaluated after every epoch.
        epochs: int.
        learning_rate: float. The highest rate.
        warmup_proportion: float. Share of all steps in which the rate rises from 0.
        warmup_steps: int or None. The same as a count; goes before the proportion.
        weight_decay: float.
        layer_decay: float or None. As `kb.AdamW` takes it.
        callbacks: sequence of `keras.callbacks.Callback`.
        **compiling: more of what `BertModel.compile` takes.
    Returns:
        `keras.callbacks.History`.
    Raises:
        TrainingError: the loss or a gradient is no longer finite.
    """
    total_steps = epochs * int(train.cardinality())
    if warmup_steps is None:
        warmup_steps = round(total_steps * warmup_proportion)
    schedule = WarmupLinear(learning_rate, total_steps, min(warmup_steps, total_steps))
    optimizer = AdamW(schedule, weight_decay=weight_decay, layer_decay=layer_decay)
    model.compile(optimizer=optimizer, **compiling)
    watch = [Sentinel(), *callbacks]
    return model.fit(
        train, validation_data=validation, epochs=epochs, callbacks=watch, verbose=0, shuffle=False
    )
