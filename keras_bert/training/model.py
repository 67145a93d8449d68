"""`BertModel`: the functional model that `fit` trains."""

import keras


@keras.saving.register_keras_serializable(package="keras_bert")
class BertModel(keras.Model):
    """A functional Keras model that knows its task's losses and metrics.

    Built as `BertModel(inputs, outputs)`. It behaves as any Keras model; only `compile()` without arguments
    is completed from the task: its loss, its metrics, and AdamW.
    """

    # Functions without arguments that make fresh objects: metrics hold state and belong to one compile.
    default_loss = None
    default_metrics = None

    def with_defaults(self, loss, metrics) -> "BertModel":
        """Sets what `compile()` uses where it is given nothing; returns the model."""
        self.default_loss, self.default_metrics = loss, metrics
        return self

    def compile(self, optimizer=None, loss=None, metrics=None, jit_compile=False, **kwargs):
        """Keras' `compile`, with the task's defaults.

        Args:
            optimizer: None means `kb.AdamW(2e-5)` at a constant rate; give `kb.AdamW(kb.WarmupLinear(...))`
                for a schedule, which needs to know the number of steps.
            loss, metrics: None means the task's.
            jit_compile: bool. Off by default: batches are as long as their longest text, and XLA would
                compile the whole step again for every new length.
            **kwargs: as Keras.
        """
        if optimizer is None:
            from keras_bert.training.optimizer import AdamW

            optimizer = AdamW()
        if loss is None and self.default_loss is not None:
            loss = self.default_loss()
        if metrics is None and self.default_metrics is not None:
            metrics = self.default_metrics()
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile, **kwargs)

    def compile_from_config(self, config):
        # Keras loads a model whose `compile` is overridden uncompiled, without the state of its optimizer.
        # Ours takes Keras' own arguments, so it can be compiled again as it was.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *, shuffle=None, **kwargs):
        """Keras' `fit`; `shuffle` is only asked of arrays.

        Keras' default, `shuffle=True`, makes it warn about every `tf.data.Dataset` it is given.
        """
        if shuffle is None:
            shuffle = not hasattr(x, "element_spec")
        return super().fit(x, y, shuffle=shuffle, **kwargs)
