"""`Resume`: saves a run while it trains, and goes on where it stopped, bit for bit as if it never had."""

import json
import sys
import time

import keras

from keras_bert.errors import CheckpointError, Interrupted, KerasBertError, UsageError
from keras_bert.training import run_state
from keras_bert.training.interruption import Signals, Workers
from keras_bert.training.run_variables import RunVariables


class _EpochIsDone:
    """What `model.stop_training` is at the end of a resumed epoch: true, yet not another callback's True."""


class Resume(keras.callbacks.Callback):
    """Saves everything a run goes on from, and restores it when the same `fit` is started again.

        data = PretrainingData(...)
        resume = Resume("run/states", data, callbacks=[log])
        with peers_watched(strategy, resume):
            model.fit(data.dataset(), steps_per_epoch=500, epochs=20, callbacks=[log, resume])

    Saved are weights and dropout's seeds, the optimizer with its averages, the running means of the epoch,
    the place in the data, and the state of the callbacks given here. A run that was killed anywhere is then,
    on the same machine, bit-equal to the undisturbed one: weights, optimizer, and the logs of every step.
    Not saved are the global generators of Python, NumPy and Keras: nothing here draws from them in training.

    It is given to `fit` as the last callback of a list, so that it saves what the others have seen. SIGTERM
    and Ctrl-C save the state after the running step and raise `Interrupted`; at the last step of an epoch
    after the evaluation, for Keras cannot go on between the two. A run that is finished already does nothing.
    Under MultiWorkerMirroredStrategy all workers stop, save and restore together; the chief writes, and
    all read the same folder.

    Args:
        folder: str or path-like. Where the states of this run lie; one run, one folder.
        data: object with `seek(step, epoch, number)` and `position(step)`, as `PretrainingData`, or None.
            Its dataset has no end, and `fit` is given `steps_per_epoch`.
        every_steps: int or None. Saves after every so many steps.
        every_seconds: float or None. Saves when so many seconds have gone by since the last time.
        keep: int. So many of the newest states stay.
        total_steps: int or None. The run ends at this step, also in the middle of an epoch.
        settings: dict of JSON values or None. What else shapes the run, such as the batch size: a run goes
            on with the same only.
        callbacks: sequence of callbacks that have `get_state()` (JSON values) and `set_state(state)`. They
            are given to `fit` as well.

    Attributes:
        step: int. Of the run.
        saved_step: int or None. Of the newest state.
        resumed_from: int or None. The step this `fit` began at, where it was not the first.
        is_finished: bool. There was nothing left to do.

    Raises:
        UsageError: a value out of its range, or a `fit` that cannot be continued.
        CheckpointError: another model, optimizer or dtype than the saved one, or no sound state.
        OutputError: the state cannot be written.
        Interrupted: a signal came; the state is saved.
    """

    def __init__(self, folder, data=None, *, every_steps=None, every_seconds=600, keep=2, total_steps=None,
                 settings=None, callbacks=()):  # fmt: skip
        super().__init__()
        for name, value in (("every_steps", every_steps), ("keep", keep), ("total_steps", total_steps)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UsageError(f"The value is {value!r}", where=name, expected="1 or more")
        self.folder, self.data, self.keep, self.total_steps = folder, data, keep, total_steps
        self.every_steps, self.every_seconds, self.callbacks = every_steps, every_seconds, tuple(callbacks)
        self.settings = json.loads(json.dumps(settings or {}))  # as it will be read again
        self.signals = Signals(self._is_in_fit)
        self.step, self.saved_step, self.resumed_from, self.is_finished = 0, None, None, False

    # What Keras calls, in the order of a run.

    def on_train_begin(self, logs=None):
        self.step, self.saved_step, self.resumed_from, self.is_finished = 0, None, None, False
        self._saved_at = time.monotonic()
        self._steps_per_epoch = self._checked_steps()
        strategy = getattr(self.model, "distribute_strategy", None)
        self.workers = Workers(strategy)
        self.variables = RunVariables(self.model, self.workers)
        self._epoch, self._done = None, 0  # of Keras' epoch, the steps that are done
        self._restored = None
        state = self._common_state()
        if state is not None:
            self._restore(state)
        self.signals.install()

    def on_epoch_begin(self, epoch, logs=None):
        facts, self._restored = self._restored, None
        self.model._initial_epoch = None  # read by now; another `fit` begins where it is told
        if facts is not None and epoch != facts["epoch"]:
            raise UsageError(
                f"The run stopped in epoch {facts['epoch'] + 1}, and `fit` begins with epoch {epoch + 1}",
                where="initial_epoch", remedy="leave it out: the saved state knows",
            )  # fmt: skip
        self._epoch, self._first = epoch, 0 if facts is None else facts["step_in_epoch"]
        self._done, self._metrics = self._first, None
        if facts is not None:
            self._put_history(facts["history"])
            if self._first:
                self.variables.put_metrics(self._state)
            self._state = None

    def on_train_batch_end(self, batch, logs=None):
        done = self._first + batch + 1
        self.step, self._done = self.step + done - self._done, done
        if self.step == self.total_steps:
            self.model.stop_training = True
            self._metrics = self.variables.metrics() if done < self._steps_per_epoch else None
        elif done == self._steps_per_epoch:
            if self._first and not self.model.stop_training:
                self.model.stop_training = _EpochIsDone  # Keras would go on with as many steps as ever
        elif not self.model.stop_training:
            self._save_if_due((self._epoch, done))

    def on_epoch_end(self, epoch, logs=None):
        if self.model.stop_training is _EpochIsDone:
            self.model.stop_training = False
        is_whole = self._done == self._steps_per_epoch
        place = (epoch + 1, 0) if is_whole else (epoch, self._done)
        was_stopped = bool(self.model.stop_training) and self.step != self.total_steps
        is_last = bool(self.model.stop_training) or epoch + 1 == self.params["epochs"]
        self._save_if_due(place, epoch_logs=logs or {}, was_stopped=was_stopped, now=is_last)

    def on_train_end(self, logs=None):
        if self._restored is not None:
            self._put_history(self._restored["history"])
        self._restored = self._state = self.model._initial_epoch = None
        self.signals.remove()

    # Saving.

    def _save_if_due(self, place, epoch_logs=None, was_stopped=False, now=False):
        seconds = time.monotonic() - self._saved_at
        due = self.workers.is_chief and self.every_seconds is not None and seconds >= self.every_seconds
        stop, due = self.workers.any(self.signals.received is not None, due)
        if self.every_steps is not None:
            before = self.saved_step or 0
            due |= self.step // self.every_steps > before // self.every_steps
        if stop or due or now:
            self._save(place, epoch_logs, was_stopped)
        if stop:
            number = self.signals.received
            self.signals.remove()
            raise Interrupted(
                f"Stopped by {number.name if number else 'a signal to another worker'} after step "
                f"{self.step:,}, which is saved",
                where=str(self.folder), remedy="start the same command again; it goes on from there",
            )  # fmt: skip

    def _save(self, place, epoch_logs, was_stopped):
        epoch, done = place
        metrics = {}
        if done:
            metrics = self._metrics if self._metrics is not None else self.variables.metrics()
        error = None
        if self.workers.is_chief:
            facts = {
                "epoch": epoch, "step_in_epoch": done, "steps_per_epoch": self._steps_per_epoch,
                "was_stopped": was_stopped, "settings": self.settings,
                "position": None if self.data is None else [int(i) for i in self.data.position(self.step)],
                "callbacks": {name: callback.get_state() for name, callback in self._named_callbacks()},
                "history": self._history(epoch_logs), **self.variables.facts(),
            }  # fmt: skip
            try:
                arrays = {**self.variables.arrays(), **metrics}
                run_state.save_state(self.folder, self.step, arrays, facts, self.keep)
            except KerasBertError as caught:
                error = caught
        # The others wait here until it is written, and hear whether it was.
        (failed,) = self.workers.any(error is not None)
        if failed:
            raise error or Interrupted(
                "The chief could not save the state", where=str(self.folder), remedy="see its message"
            )
        self.saved_step, self._saved_at = self.step, time.monotonic()

    def _named_callbacks(self):
        """(class name, callback) of each that has a state; a number tells those of one class apart."""
        seen = {}
        for callback in self.callbacks:
            name = type(callback).__name__
            seen[name] = seen.get(name, 0) + 1
            yield name if seen[name] == 1 else f"{name}#{seen[name]}", callback

    def _history(self, epoch_logs) -> dict:
        """Keras' History with the epoch that ends now, which it has not seen yet: it comes last."""
        history = self.model.history
        epochs, values = list(history.epoch), {name: list(row) for name, row in history.history.items()}
        if epoch_logs is not None:
            epochs.append(self._epoch)
            for name, value in epoch_logs.items():
                values.setdefault(name, []).append(value)
        return {"epochs": epochs, "values": values}

    def _put_history(self, saved):
        self.model.history.epoch = list(saved["epochs"])
        self.model.history.history = {name: list(row) for name, row in saved["values"].items()}

    # Restoring.

    def _common_state(self):
        """The newest sound state, the same on all workers."""
        error = state = None
        try:
            state = run_state.newest_state(self.folder)
        except CheckpointError as caught:
            error = caught
        mine = -2 if error else -1 if state is None else state.facts["step"]
        (chiefs,) = self.workers.chiefs([mine])
        differs, failed = self.workers.any(mine != chiefs, error is not None)
        if error:
            raise error
        if failed or differs:
            raise CheckpointError(
                f"This worker sees {_seen(mine)}, the chief {_seen(chiefs)}" if mine != chiefs else
                "Another worker does not see the state that this one sees",
                where=str(self.folder), expected="one folder that all workers see, on a shared file system",
            )  # fmt: skip
        return state

    def _restore(self, state):
        facts = state.facts
        if facts["steps_per_epoch"] != self._steps_per_epoch:
            raise UsageError(
                f"The run began with {facts['steps_per_epoch']} steps an epoch, and this `fit` has "
                f"{self._steps_per_epoch}", where="steps_per_epoch",
                remedy=f"give the former number, or begin anew in another folder than {self.folder}",
            )  # fmt: skip
        saved = facts["settings"]
        for name in {**saved, **self.settings}:
            if saved.get(name) != self.settings.get(name):
                raise UsageError(
                    f"The run began with {saved.get(name)!r}, and is to go on with "
                    f"{self.settings.get(name)!r}", where=name,
                    remedy=f"give the former value, or begin anew in another folder than {self.folder}",
                )  # fmt: skip
        if (self.data is None) != (facts["position"] is None):
            raise UsageError(
                "The state was saved with data, or this run has some, but not both", where="data",
                expected="the same as before",
            )  # fmt: skip
        self.variables.put(state)
        for name, callback in self._named_callbacks():
            if name in facts["callbacks"]:
                callback.set_state(facts["callbacks"][name])
        self.step = self.saved_step = self.resumed_from = facts["step"]
        self._state, self._restored = state, facts
        self.is_finished = (
            facts["was_stopped"] or facts["epoch"] >= self.params["epochs"]
            or (self.total_steps is not None and self.step >= self.total_steps)
        )  # fmt: skip
        if self.is_finished:
            self.model._initial_epoch = self.params["epochs"]
            self._say(f"The run is finished already, at step {self.step:,}: nothing is left to do.")
            return
        self.model._initial_epoch = facts["epoch"]
        if self.data is not None:
            self.data.seek(self.step, *facts["position"])
        self._say(f"Going on from step {self.step:,} ({state.path}).")

    def _say(self, line):
        if self.workers.is_chief:
            print(line, file=sys.stderr, flush=True)

    def _checked_steps(self) -> int:
        steps, together = self.params.get("steps"), getattr(self.model, "steps_per_execution", 1) or 1
        if not steps:
            raise UsageError(
                "`fit` is not told how many steps an epoch has", where="steps_per_epoch", expected="a number"
            )
        for name, value in (("steps_per_epoch", steps), ("total_steps", self.total_steps or 0)):
            if value % together:
                raise UsageError(
                    f"{value} steps cannot be run {together} at a time", where=name,
                    expected=f"a multiple of steps_per_execution={together}",
                )  # fmt: skip
        return steps

    def _is_in_fit(self, frame) -> bool:
        """Whether the model's `fit` is running in the thread of this frame."""
        while frame is not None:
            if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is self.model:
                return True
            frame = frame.f_back
        return False


def _seen(step) -> str:
    return {-2: "no sound state", -1: "no state"}.get(int(step), f"that of step {int(step):,}")
