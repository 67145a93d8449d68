"""`Sentinel`: ends training at the first step that is not finite, and says what was the first to be so."""

import json
import math
import pathlib

import keras
import numpy as np

from keras_bert.errors import TrainingError
from keras_bert.files.atomic import atomic_file
from keras_bert.training.interruption import Workers

FILE = "nonfinite.json"


class Sentinel(keras.callbacks.Callback):
    """Stops at the step whose loss or gradient is NaN or infinite, on all replicas together.

    The step itself has left the weights as they were: `BertModel` updates nothing from the first gradients
    on that are not finite. States saved before stay. Comes first in the list of callbacks, so that no other
    saves or logs that step.

    Args:
        data: `PretrainingData` or None. Gives the batch again, for the search.
        targets: function of a batch that returns (x, y, sample weights), as `data.dataset` was given.
        folder: path or None. Where the chief writes `nonfinite.json`: the step, the first tensor that was not
            finite, the batch's record indices, and those of the rows in which it showed.
    Raises:
        TrainingError: the loss or a gradient is not finite.
    """

    def __init__(self, data=None, targets=None, folder=None):
        super().__init__()
        self.data, self.targets, self.folder = data, targets, folder

    def on_train_batch_end(self, batch, logs=None):
        step = self._step(logs or {})
        if step is None:
            return
        found = {"step": step, "tensor": None, "records": [], "rows": []}
        if self.data is not None:
            found |= self._in_batch(step)
        if found["tensor"] is None:
            found["tensor"] = _first_weight(self.model) or self._gradient()
        if self.folder is not None and Workers(self.model.distribute_strategy).is_chief:
            with atomic_file(pathlib.Path(self.folder, FILE)) as stage:
                stage.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        where = ""
        if self.folder is not None and found["records"]:
            where = f" Its records are in {pathlib.Path(self.folder, FILE)}."
        raise TrainingError(
            f"Step {step + 1:,} is not finite, first {found['tensor']}.{where} The weights are as before it",
            expected="finite losses and gradients",
            remedy="lower --learning_rate, or lengthen the warm-up; the last saved state stays",
        )

    def _step(self, logs) -> int | None:
        """The step, from 0, at which training stopped being finite."""
        held = getattr(self.model, "_sentinel", None)
        if held is not None:
            step = int(held.step.numpy())
            return None if step < 0 else step
        loss = float(logs.get("loss", 0.0))  # another backend, or float16
        return None if math.isfinite(loss) else int(self.model.optimizer.iterations) - 1

    def _in_batch(self, step) -> dict:
        epoch, number = self.data.position(step)
        batch = self.data.batch(epoch, number)
        records = batch["record_indices"]
        found = {"epoch": epoch, "number": number, "records": records[records >= 0].tolist()}
        tensor, rows = _first_in_batch(self.model, batch, self.targets)
        if tensor is not None:
            rows = records[rows]
            found |= {"tensor": tensor, "rows": rows[rows >= 0].tolist()}
        return found

    def _gradient(self) -> str:
        """The first variable whose gradient was not finite; else it was the loss."""
        held = getattr(self.model, "_sentinel", None)
        finite = np.ones(0, bool) if held is None else held.finite.numpy()
        for variable, is_finite in zip(self.model.trainable_variables, finite, strict=False):
            if not is_finite:
                return f"the gradient of {variable.path}"
        return "the loss"


def _first_in_batch(model, batch, targets) -> tuple[str | None, np.ndarray | None]:
    """The first tensor that is not finite, from the features to the outputs, and the rows it shows in."""
    x, y, weights = targets(batch)
    for name, values in [*batch.items(), *((path, weights[path]) for path in weights)]:
        if not np.isfinite(np.asarray(values, "float64")).all():
            return f"the feature {name}", _bad_rows(values)
    if (weight := _first_weight(model)) is not None:
        return weight, np.ones(len(batch["token_ids"]), bool)
    # The model's own nodes: a layer that several models share has others too.
    nodes = [node for depth in sorted(model._nodes_by_depth)[::-1] for node in model._nodes_by_depth[depth]]
    outputs = {
        f"{node.operation.name}:{i}": node.output_tensors for i, node in enumerate(nodes) if not node.is_input
    }
    inputs = {name: x[name] for name in model.input}
    values = keras.Model(model.input, outputs)(inputs, training=False)
    for name, tensors in values.items():
        for tensor in keras.tree.flatten(tensors):
            array = keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))
            if not np.isfinite(array).all():
                rows = len(array) == len(batch["token_ids"])
                bad = _bad_rows(array) if rows else np.ones(len(batch["token_ids"]), bool)
                return f"the output of {name.split(':')[0]}", bad
    return None, None


def _first_weight(model) -> str | None:
    for variable in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(variable).astype("float32")).all():
            return f"the weight {variable.path}"
    return None


def _bad_rows(values) -> np.ndarray:
    """bool (B,)."""
    values = np.asarray(values, "float64")
    return ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
