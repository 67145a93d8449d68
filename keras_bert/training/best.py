"""`BestEpoch`: the weights of the epoch that scored best, and an end where none is better for long."""

import keras
import numpy as np


class BestEpoch(keras.callbacks.Callback):
    """Scores the model after every epoch, and gives it back the best epoch's weights when training ends.

    Args:
        score: function without arguments -> (dict of scores, what they are of: kept of the best epoch).
        main: str. The score of which a higher value is better.
        patience: int. Training ends after so many epochs without a better score; 0: never.
        keep: bool. Give the weights back; False: the model stays as the last epoch left it.

    Attributes:
        best: float or None. The best value of `main`.
        epoch: int. The epoch it was of, from 1.
        epochs_seen: int.
        scores: dict. All scores of that epoch.
        answered: what `score` returned beside them.
    """

    def __init__(self, score, main: str, patience: int = 0, keep: bool = True):
        super().__init__()
        self.score, self.main, self.patience, self.keep = score, main, patience, keep
        self.best, self.epoch, self.scores, self.answered = None, 0, {}, None
        self._weights, self.epochs_seen = None, 0

    def on_epoch_end(self, epoch, logs=None):
        scores, answered = self.score()
        value, self.epochs_seen = scores[self.main], epoch + 1
        if logs is not None:
            logs[f"val_{self.main}"] = value
        # A score that is no number, such as the correlation of a constant, is worse than any.
        if self.best is None or (np.isfinite(value) and not value <= self.best):
            self.best, self.epoch, self.scores, self.answered = value, epoch + 1, scores, answered
            if self.keep:
                self._weights = [np.asarray(variable).copy() for variable in self.model.weights]
        elif self.patience and epoch + 1 - self.epoch >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self._weights is not None:
            for variable, array in zip(self.model.weights, self._weights, strict=True):
                variable.assign(array)
            self._weights = None
