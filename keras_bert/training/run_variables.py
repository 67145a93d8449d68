"""The variables of a model in training by name: read to be saved, compared, and put back."""

import itertools
import re

import keras
import numpy as np

from keras_bert.errors import CheckpointError

_SHOWN = 3  # of the differences


class RunVariables:
    """Weights with dropout's seeds, the optimizer's variables, and the metrics' running sums.

    A name is the variable's path after its group, such as model/block_0/output_layer_norm/gamma; what has the
    path of another gets a number. Keras counts names up as a process makes objects (seed_generator_7), so the
    numbers in them may differ between two runs of one program: compared are the names without, in order.

    Args:
        model: compiled keras.Model.
        workers: Workers.
    """

    def __init__(self, model, workers):
        self.model, self.workers = model, workers
        optimizer = model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(model.trainable_variables)
        self.weights = _named("model", model.variables)
        self.weights |= _named("optimizer", optimizer.variables if optimizer is not None else ())

    def facts(self) -> dict:
        """What `put` compares beside the arrays."""
        return {"optimizer": type(self.model.optimizer).__name__, "replicas": self.workers.num_replicas}

    def arrays(self) -> dict:
        """Name to array of weights and optimizer."""
        return {name: _value(variable) for name, variable in self.weights.items()}

    def metrics(self) -> dict:
        """Name to array (replicas, ...) of the metrics' sums. Collective."""
        return {name: self._rows(variable) for name, variable in self._metrics().items()}

    def put(self, state):
        """Puts weights and optimizer back.

        Raises:
            CheckpointError: they are another model's, or another optimizer's.
        """
        now = type(self.model.optimizer).__name__
        if state.facts["optimizer"] != now:
            raise _changed(state, [f"the optimizer was {state.facts['optimizer']}, now it is {now}"])
        saved = [entry for entry in state.facts["arrays"] if not entry[0].startswith("metrics/")]
        pairs = _paired(state, saved, [[n, v.dtype, list(v.shape)] for n, v in self.weights.items()])
        for array, name in zip(state.arrays(pairs.values()), pairs, strict=True):
            self.weights[name].assign(array)

    def put_metrics(self, state):
        """Puts the metrics' sums back; where Keras has not made their variables yet, before the first step.

        Raises:
            CheckpointError: they are other metrics.
        """
        saved = [entry for entry in state.facts["arrays"] if entry[0].startswith("metrics/")]
        if len(self._metrics()) == len(saved) or keras.backend.backend() != "tensorflow":
            return self._put_metrics(state, saved)
        function = self.model.train_function

        def first(iterator):
            import tensorflow as tf

            # Tracing makes the variables, and runs nothing.
            tf.function(self.model.train_step).get_concrete_function(iterator.element_spec)
            self.model.train_function = function
            self._put_metrics(state, saved)
            return function(iterator)

        self.model.train_function = first

    def _put_metrics(self, state, saved):
        metrics = self._metrics()
        here = [[n, v.dtype, [self.workers.num_replicas, *v.shape]] for n, v in metrics.items()]
        pairs = _paired(state, [[n, d, [self.workers.num_replicas, *s[1:]]] for n, d, s in saved], here)
        for rows, name in zip(state.arrays(pairs.values()), pairs, strict=True):
            if len(rows) != self.workers.num_replicas:  # the run goes on on another number of replicas
                sums = rows.sum(axis=0, dtype=rows.dtype)
                rows = np.zeros((self.workers.num_replicas, *sums.shape), sums.dtype)
                rows[0] = sums
            for local, row in zip(self._local(metrics[name]), rows[self.workers.own_rows], strict=True):
                local.assign(row)

    def _metrics(self) -> dict:
        return _named("metrics", itertools.chain(*(metric.variables for metric in self.model.metrics)))

    def _rows(self, variable) -> np.ndarray:
        """One row a replica, of all workers: each adds up its own, and their sum alone rounds otherwise."""
        rows = np.stack([_value(local) for local in self._local(variable)])
        return rows if self.workers.count == 1 else self.workers.gathered(rows).astype(rows.dtype)

    def _local(self, variable):
        if self.workers.num_replicas == 1:
            return [variable]
        return self.workers.strategy.experimental_local_results(variable.value)


def _named(group, variables) -> dict:
    names = {}
    for variable in variables:
        path = variable.path
        if group == "optimizer":
            path = path.partition("/")[2] or path  # its own name says nothing that the class does not
        name, number = f"{group}/{path}", 1
        while name in names:
            number += 1
            name = f"{group}/{path}#{number}"
        names[name] = variable
    return names


def _value(variable) -> np.ndarray:
    return np.asarray(
        variable.numpy() if hasattr(variable, "numpy") else keras.ops.convert_to_numpy(variable)
    )


def _paired(state, saved, here) -> dict:
    """The saved name of every name here; both given as [name, dtype, shape]."""
    then, now = _by_kind(saved), _by_kind(here)
    differences = [
        f"{name} ({_kind(*kind)}) is only in the saved state" for name, *kind in _without(then, now)
    ]
    differences += [f"{name} ({_kind(*kind)}) is only in this model" for name, *kind in _without(now, then)]
    differences += [
        f"{now[key][0]} was {_kind(*then[key][1:])}, now it is {_kind(*now[key][1:])}"
        for key in then
        if key in now and then[key][1:] != now[key][1:]
    ]
    if differences:
        raise _changed(state, differences)
    return {now[key][0]: then[key][0] for key in now}


def _by_kind(entries) -> dict:
    """{(name without numbers, how many such were before): entry}"""
    seen, keyed = {}, {}
    for entry in entries:
        name = re.sub(r"[_#]\d+(?=[/_#]|$)", "", entry[0])
        keyed[name, seen.setdefault(name, 0)] = entry
        seen[name] += 1
    return keyed


def _without(entries, others):
    return (entry for key, entry in entries.items() if key not in others)


def _kind(dtype, shape) -> str:
    return f"{dtype} {tuple(shape)}"


def _changed(state, differences) -> CheckpointError:
    more = len(differences) - _SHOWN
    listed = "; ".join(differences[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    return CheckpointError(
        f"The saved state is of another model or optimizer: {listed}", where=str(state.path),
        expected="the model, optimizer and dtype that the run began with",
        remedy="give those again, or begin anew in another folder",
    )  # fmt: skip
