"""Several tasks on one encoder, such as the intent of a request and its slots."""

import copy

import keras
import numpy as np

from keras_bert.data.mixing import mixed
from keras_bert.errors import UsageError
from keras_bert.features import ENCODER_FEATURES
from keras_bert.tasks import task_class
from keras_bert.tasks.base import Task
from keras_bert.training.model import BertModel


class MultiTask(Task):
    """Heads side by side on one encoder. Every batch is of one part, which alone it teaches.

        kb.load(folder, "multi_task", parts={
            "intent": {"name": "classification", "labels": [...]},
            "slots": {"name": "tagging", "labels": [...]}})
        bert.dataset({"intent": "intents.tsv", "slots": "slots.conll"}, 32, training=True)

    Args:
        parts: dict from a part's name to {"name": its task, and that task's settings}. Tasks that read a
            text, or a pair, as one sequence: classification, multi_label, regression, tagging.
        max_length: int. Of all parts.
        temperature: float. How much more often small parts are drawn, see `data.mixing.shares`.
    Raises:
        UsageError: no parts, or a task that cannot be one.
    """

    name = "multi_task"
    optional_columns = ("text_pair",)
    label_columns = ("label",)
    architecture = "BertModel"
    main_score = "mean_score"
    targets_by_token = True

    def __init__(self, parts, max_length: int = 128, temperature=1.0):
        super().__init__(max_length)
        if not isinstance(parts, dict) or not parts:
            raise UsageError(
                "There are no parts", where="parts", expected='{"intent": {"name": "tagging", ...}}'
            )
        self.temperature = float(temperature)
        self._parts = {}
        for name, settings in parts.items():
            kind = settings.get("name") if isinstance(settings, dict) else None
            settings = {key: value for key, value in (settings or {}).items() if key != "name"}
            part = task_class(kind)(**{**settings, "max_length": max_length})
            is_name = name.isidentifier() and not name.startswith("_")
            if part.reads_windows or part.list_columns or part.inputs != ENCODER_FEATURES or not is_name:
                raise UsageError(
                    f"The task {kind} cannot be a part called {name!r}", where="parts",
                    expected="a name like intent, of classification, multi_label, regression or tagging",
                )  # fmt: skip
            self._parts[name] = part

    @property
    def parts(self):
        return {name: _Part(part, name) for name, part in self._parts.items()}

    @property
    def own_layers(self):
        return tuple(self._parts)

    def settings(self):
        parts = {name: {"name": part.name, **part.settings()} for name, part in self._parts.items()}
        for settings in parts.values():
            del settings["max_length"]
        return {**super().settings(), "parts": parts, "temperature": self.temperature}

    def resized(self, max_length):
        task = super().resized(max_length)
        task._parts = {name: part.resized(max_length) for name, part in self._parts.items()}
        return task

    def prepare(self, tokenizer):
        for part in self._parts.values():
            part.prepare(tokenizer)

    def dataset(self, source, tokenizer, batch_size, *, training=False, seed=0, **reading):
        """Batches of all parts.

        Args:
            source: dict from a part's name to what that task's `dataset` takes.
        """
        if not isinstance(source, dict) or source.keys() != self._parts.keys():
            raise UsageError(
                "The data are not one source for every part", where="dataset",
                expected=f"a dict of {', '.join(self._parts)}",
            )  # fmt: skip
        made = {
            name: part.dataset(source[name], tokenizer, batch_size, training=training, seed=seed, **reading)
            for name, part in self._parts.items()
        }
        specs = {name: dataset.element_spec[1] for name, dataset in made.items()}
        made = {name: dataset.map(_among(name, specs)) for name, dataset in made.items()}
        if training:
            return mixed(made, self.temperature, seed)
        whole, *others = made.values()
        for dataset in others:
            whole = whole.concatenate(dataset)
        return whole

    def head(self, encoder, config):
        outputs, losses, weights, metrics = {}, {}, {}, {}
        read = {**encoder.input, **encoder.output}
        for name, part in self._parts.items():
            stub = _encoder_of(encoder)
            with keras.name_scope(name):
                model = part.head(stub, config)
            outputs[name] = keras.Model(model.input, model.output, name=name)(
                {key: read[key] for key in model.input}
            )
            losses[name] = model.default_loss
            weights[name] = model.default_loss_weights or 1.0
            metrics[name] = [made for made in (model.default_metrics, model.default_weighted_metrics) if made]
        return BertModel(encoder.input, outputs, name=self.name).with_defaults(
            loss=lambda: {name: loss() for name, loss in losses.items()},
            loss_weights=weights,
            # Weighted all: in a batch of another part a row has the weight 0.
            weighted_metrics=lambda: {
                name: [metric for make in makers for metric in make()] for name, makers in metrics.items()
            },
        )

    def features(self, columns, tokenizer):
        features = {}
        for part in self._parts.values():
            if "text_pair" not in columns or "text_pair" in part.optional_columns:
                features |= part.features(columns, tokenizer)
        return features

    def logits(self, outputs, features):
        return {
            f"{name}_{key}": tensor
            for name, part in self._parts.items()
            for key, tensor in part.logits(outputs[name], features).items()
        }

    def answer(self, outputs, features):
        return {
            f"{name}_{key}": tensor
            for name, part in self._parts.items()
            for key, tensor in part.answer(outputs[name], features).items()
        }

    def completed(self, answer, features):
        return {
            f"{name}_{key}": tensor
            for name, part in self._parts.items()
            for key, tensor in part.completed(_of_part(answer, name), features).items()
        }

    def rows(self, answer):
        by_part = {name: part.rows(_of_part(answer, name)) for name, part in self._parts.items()}
        return [dict(zip(by_part, row, strict=True)) for row in zip(*by_part.values(), strict=True)]

    def scores_of_parts(self, scores: dict) -> dict:
        """What is said of the whole, from the scores of every part."""
        return {"mean_score": float(np.mean([scores[n][self._parts[n].main_score] for n in scores]))}


class _Part:
    """A part as a task of its own, whose model is the whole one."""

    def __init__(self, task, name):
        self._task, self._name = copy.copy(task), name

    def __getattr__(self, attribute):
        return getattr(self._task, attribute)

    def outputs(self, model, features):
        return model({key: features[key] for key in model.input}, training=False)[self._name]

    def completed(self, answer, features):
        return self._task.completed(_of_part(answer, self._name), features)


def _of_part(answer: dict, name: str) -> dict:
    """The tensors of the whole task's answer that are one part's, under the names they have there."""
    return {key.removeprefix(f"{name}_"): a for key, a in answer.items() if key.startswith(f"{name}_")}


def _encoder_of(encoder):
    """A model that hands on what the encoder put out, for a head that is to be a layer of another model."""
    shapes = {
        name: (tensor.shape, tensor.dtype) for name, tensor in {**encoder.input, **encoder.output}.items()
    }
    inputs = {
        name: keras.Input(batch_shape=shape, dtype=dtype, name=name)
        for name, (shape, dtype) in shapes.items()
    }
    return keras.Model(inputs, {name: inputs[name] for name in encoder.output})


def _among(own, specs):
    """A function that puts a part's targets among those of all; the others' are 0 and weigh nothing."""
    import tensorflow as tf

    def among(features, target, weights):
        batch, length = tf.unstack(tf.shape(features["token_ids"]))

        def blank(spec):
            shape = [batch, *(length if size is None else size for size in spec.shape[1:])]
            return tf.zeros(shape, spec.dtype)

        def no_weights(spec):
            # One a row, or one a token where the targets are such.
            return tf.zeros([batch, length] if None in spec.shape[1:] else [batch], tf.float32)

        targets = {name: target if name == own else blank(spec) for name, spec in specs.items()}
        return features, targets, {n: weights if n == own else no_weights(s) for n, s in specs.items()}

    return among
