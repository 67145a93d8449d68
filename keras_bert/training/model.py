"""`BertModel`: the functional model that `fit` trains."""

import contextlib
import copy

import keras
from keras import ops

from keras_bert.errors import UsageError
from keras_bert.layers.encoder_block import EncoderBlock
from keras_bert.training.losses import GlobalMean, RowLoss
from keras_bert.training.memory import keep_freed_blocks
from keras_bert.training.regularisers import check_regularisers

if keras.backend.backend() == "tensorflow":
    from keras_bert.training.distribution import DistributedModel
else:
    DistributedModel = keras.Model

_WORTH_COMPILING = 4_000_000  # weights
# What `compile` takes beside Keras' arguments.
_OWN_ARGUMENTS = ("accumulation_steps", "dropout_by_record", "r_drop", "adversarial", "rematerialize")


@keras.saving.register_keras_serializable(package="keras_bert")
class BertModel(DistributedModel):
    """A functional Keras model that knows its task's losses and metrics.

    Built as `BertModel(inputs, outputs)`. It behaves as any Keras model; only `compile()` without arguments
    is completed from the task: its loss, its metrics, and AdamW. Under a `tf.distribute` strategy it trains
    the same model on any number of replicas, see training/distribution.py.
    """

    # Functions without arguments that make fresh objects: metrics hold state and belong to one compile.
    default_loss = None
    default_metrics = None
    default_weighted_metrics = None
    default_loss_weights = None
    _global_losses = None
    _loss_trackers = ()

    def with_defaults(self, loss, metrics=None, weighted_metrics=None, loss_weights=None) -> "BertModel":
        """Sets what `compile()` uses where it is given nothing; returns the model.

        Args:
            loss: function that makes the loss, or the dict of losses by output.
            metrics, weighted_metrics: functions that make a list, or a dict of lists by output.
            loss_weights: dict of float by output, a float where there is one output, or None.
        """
        self.default_loss, self.default_loss_weights = loss, loss_weights
        self.default_metrics, self.default_weighted_metrics = metrics, weighted_metrics
        return self

    def compile(
        self,
        optimizer=None,
        loss=None,
        metrics=None,
        jit_compile=None,
        *,
        accumulation_steps=1,
        dropout_by_record=False,
        r_drop=0.0,
        adversarial=0.0,
        rematerialize=False,
        **kwargs,
    ):
        """Keras' `compile`, with the task's defaults.

        Args:
            optimizer: None means `kb.AdamW(2e-5)` at a constant rate; give `kb.AdamW(kb.WarmupLinear(...))`
                for a schedule, which needs to know the number of steps.
            loss, metrics: None means the task's.
            jit_compile: bool. On TensorFlow off by default: batches are as long as their longest text, and
                XLA would compile the whole step again for every new length. What pays is compiled all the
                same, where there is one replica and 4 million weights or more: normalisation, activations,
                attention (in bfloat16 its softmax), the cross-entropy of a vocabulary, the update
                (layers/compiled.py). Elsewhere on, as Keras has it.
            accumulation_steps: int. Every batch is trained in so many parts, one after the other, whose
                gradients are added up before the one update: the memory of a part, the result of the batch.
            dropout_by_record: bool. Dropout masks follow from the seed, the step and each row's
                `record_indices` alone, so that they do not depend on the number of replicas.
            r_drop: float. Weight of R-Drop's penalty: every row is read twice with other dropout masks, and
                the two outputs shall agree. 0: off; published values are 1 to 5.
            adversarial: float. Every batch is also learnt with its token embeddings pushed by so much to
                where the loss grows. 0: off; 0.5 to 1 is usual.
            rematerialize: bool. Of every block only the input is kept for the way back, and the block is
                computed again there: larger batches or longer rows in the same memory, for more time (on
                two CPU cores a step takes 1.8 times as long). The results are the same.
            **kwargs: as Keras.
        """
        if (
            isinstance(accumulation_steps, bool)
            or not isinstance(accumulation_steps, int)
            or accumulation_steps < 1
        ):
            raise UsageError(
                f"The value is {accumulation_steps!r}", where="accumulation_steps", expected="1 or more"
            )
        corrected = keras.backend.backend() == "tensorflow"
        if not corrected and (accumulation_steps > 1 or dropout_by_record):
            raise UsageError(
                "accumulation_steps and dropout_by_record need the TensorFlow backend", where="compile",
                remedy="give the optimizer gradient_accumulation_steps, which Keras' other backends know",
            )  # fmt: skip
        check_regularisers(r_drop, adversarial, dropout_by_record, corrected)
        if jit_compile in (None, "auto"):
            jit_compile = False if corrected else "auto"  # elsewhere nothing else would compile anything
        self.accumulation_steps, self.dropout_by_record = accumulation_steps, dropout_by_record
        self.r_drop, self.adversarial = float(r_drop), float(adversarial)
        self.rematerialize = bool(rematerialize)
        for layer in self._flatten_layers():
            if isinstance(layer, EncoderBlock):
                layer.rematerialize = self.rematerialize
        # XLA has no shapes for it, and masks by record no rows.
        self.leaves_padding_out = not jit_compile and not dropout_by_record
        in_graph = corrected and not kwargs.get("run_eagerly")
        self.compiles_parts = self.leaves_padding_out and in_graph and self._is_worth_compiling()
        if corrected and self.count_params() >= _WORTH_COMPILING:
            keep_freed_blocks()
        with self.distribute_strategy.scope() if corrected else contextlib.nullcontext():
            if optimizer is None:
                from keras_bert.training.optimizer import AdamW

                optimizer = AdamW()
            if loss is None and self.default_loss is not None:
                loss = self.default_loss()
                kwargs.setdefault("loss_weights", self.default_loss_weights)
            if metrics is None and kwargs.get("weighted_metrics") is None:
                metrics = self.default_metrics and self.default_metrics()
                kwargs["weighted_metrics"] = self.default_weighted_metrics and self.default_weighted_metrics()
            if corrected:
                optimizer = self.corrected(optimizer, jit_compile, kwargs.get("auto_scale_loss", True))
            super().compile(
                optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile, **kwargs
            )
            self._set_losses(loss, kwargs.get("loss_weights"))

    def _set_losses(self, loss, loss_weights):
        self._global_losses = _global_losses(loss, loss_weights, self.output)
        if self._global_losses is None and loss is not None and (self.accumulation_steps > 1 or self.r_drop):
            raise UsageError(
                "accumulation_steps and r_drop need a loss for each output", where="loss",
                expected="one loss, or a dict by output",
            )  # fmt: skip
        outputs = self._global_losses or ()
        self._loss_trackers = _Trackers(outputs if len(outputs) > 1 else ())

    def _is_worth_compiling(self) -> bool:
        """Whether XLA shall compile parts of the step: it takes seconds, which a small model never gains."""
        if self._distribute_strategy is not None or self.count_params() < _WORTH_COMPILING:
            return False
        from keras_bert.layers import compiled

        return compiled.works()

    def get_compile_config(self):
        # Keras' own arguments, and those that it does not know.
        config = super().get_compile_config()
        return config and {**config, **{name: getattr(self, name) for name in _OWN_ARGUMENTS}}

    def compile_from_config(self, config):
        # Keras loads a model whose `compile` is overridden uncompiled, without the state of its optimizer.
        # Ours knows what its arguments were, so it can be compiled again as it was.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def losses_of(self, y, sample_weight):
        """The losses with what they are of: list of (GlobalMean, weight, output, target, sample weights).

        Empty where they are nested as only Keras knows.
        """
        rows = []
        for output, (loss, weight) in (self._global_losses or {}).items():
            target = y[output] if isinstance(y, dict) and output is not None else y
            given = sample_weight[output] if isinstance(sample_weight, dict) else sample_weight
            rows.append((loss, weight, output, target, given))
        return rows

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The sum of the losses of all outputs, and of what layers added; a float32 scalar.

        Within `losses.known_totals` it is one replica's share: the shares of all replicas add up to the loss.
        """
        if self._global_losses is None:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        parts = []
        for loss, weight, output, target, given in self.losses_of(y, sample_weight):
            found = y_pred[output] if isinstance(y_pred, dict) and output is not None else y_pred
            value = loss(target, found, given)
            own = loss.total(target, given), loss.counted(target, given)
            self._loss_trackers.add(output, loss, value, *own)
            parts.append(weight * value)
        # Every part of an accumulated batch adds what layers added.
        count = self.accumulation_steps if training else 1
        parts += [self._aggregate_additional_loss(loss) / count for loss in self.losses]
        return ops.sum(ops.stack(parts)) if len(parts) > 1 else parts[0]

    @property
    def metrics(self):
        return [*super().metrics, *self._loss_trackers]

    def get_metrics_result(self):
        # Keras puts the output's name before the metric's: mlm_logits_accuracy. Not the logits are accurate.
        return {name.replace("_logits_", "_"): value for name, value in super().get_metrics_result().items()}

    def fit(self, x=None, y=None, *, shuffle=None, **kwargs):
        """Keras' `fit`; `shuffle` is only asked of arrays.

        Keras' default, `shuffle=True`, makes it warn about every `tf.data.Dataset` it is given. A dataset of
        known length it begins twice in every epoch, a second or more where texts become ids in it; one that
        repeats itself it begins once.
        """
        if shuffle is None:
            shuffle = not hasattr(x, "element_spec")
        if kwargs.get("steps_per_epoch") is None:
            x, kwargs["steps_per_epoch"] = self._repeated(x)
        if kwargs.get("validation_steps") is None:
            data, kwargs["validation_steps"] = self._repeated(kwargs.get("validation_data"))
            kwargs["validation_data"] = data
        return super().fit(x, y, shuffle=shuffle, **kwargs)

    def _repeated(self, data):
        """(data without end, batches in an epoch); (data, None) where that would be other batches."""
        # An array lacks the one, a distributed dataset the other.
        is_dataset = hasattr(data, "cardinality") and hasattr(data, "repeat")
        length = int(data.cardinality()) if is_dataset else -1
        # An execution of several steps ends where the data do; without an end it would begin the next epoch.
        if length < 1 or length % self.steps_per_execution:
            return data, None
        return data.repeat(), length


def _global_losses(loss, loss_weights, outputs) -> dict | None:
    """{output or None: (GlobalMean, weight)}; None where the losses are nested as only Keras knows."""
    if isinstance(loss, list | tuple) and len(loss) == 1:
        [loss] = loss
    if not isinstance(loss, dict):
        # One loss for several outputs is one for each.
        loss = dict.fromkeys(outputs if isinstance(outputs, dict) else [None], loss)
    by_output = {output: one for output, one in loss.items() if one is not None}
    if isinstance(loss_weights, list | tuple) and len(loss_weights) == 1:
        [loss_weights] = loss_weights
    if not isinstance(loss_weights, dict):
        loss_weights = dict.fromkeys(by_output, 1.0 if loss_weights is None else loss_weights)
    if unknown := [output for output in loss_weights if output not in loss]:
        raise UsageError(
            f"There is no loss of {unknown[0]!r} to weigh", where="loss_weights",
            expected=f"some of {', '.join(map(str, loss))}",
        )  # fmt: skip
    simple = (str, keras.losses.Loss)
    if not by_output or not all(isinstance(one, simple) or callable(one) for one in by_output.values()):
        return None
    if any(isinstance(weight, list | tuple) for weight in loss_weights.values()):
        return None
    return {
        # Each an object of its own: what it divides by is told by that.
        output: (copy.copy(one) if isinstance(one, GlobalMean) else RowLoss(one), loss_weights.get(output, 1))
        for output, one in by_output.items()
    }


class _Trackers:
    """The loss of each output over an epoch, where there are several: sum of weight * value / sum of weights.

    Out of sight of Keras, which would keep those of an earlier compile.
    """

    def __init__(self, outputs):
        self._means = {
            name: keras.metrics.Mean(name=f"{name.removesuffix('_logits')}_loss") for name in outputs
        }

    def __iter__(self):
        return iter(self._means.values())

    def add(self, output, loss, value, own_total, own_count):
        """Counts a loss, or one replica's share of it, in; `own_count` is `GlobalMean.counted`."""
        if output in self._means:
            mean = self._means[output]
            mean.total.assign_add(value * loss.divisor(own_total))
            mean.count.assign_add(own_count)
