"""The contract that training, `predict` and export all use, so that nothing is decoded twice."""

from keras_bert.data.pipeline import Rows, batches, open_source
from keras_bert.errors import UsageError


class Task:
    """One thing a BERT can be fine-tuned to do.

    A task is one file: how its rows become features and targets, which head it puts on the encoder, and
    what the head's outputs mean. `features` and `answer` run in the TensorFlow graph, in training as in the
    served model.

    Args:
        max_length: int. Longest sequence of pieces, special tokens included; longer texts are truncated.
    """

    name = ""  # its key in `keras_bert.tasks.TASKS`
    columns = ("text",)  # string columns every row must have, in the order of the serving signature
    optional_columns = ()  # string columns a row may have
    label_columns = ()  # columns that only training and evaluation need
    architecture = None  # the Hugging Face class whose folder this task saves
    main_score = ""  # the score that a higher value of means a better model
    learns_from_rows = True  # of text with labels; else `dataset` reads something else

    def __init__(self, max_length: int = 128):
        # [CLS], one piece of text, [SEP].
        if isinstance(max_length, bool) or not isinstance(max_length, int) or max_length < 3:
            what = f"The longest sequence is {max_length!r}"
            raise UsageError(what, where="max_length", expected="an integer of 3 or more")
        self.max_length = max_length

    def settings(self) -> dict:
        """What, beside `name`, rebuilds this task: JSON values, stored in the model folder."""
        return {"max_length": self.max_length}

    @property
    def labels(self):
        """tuple of str: class names, where the task has classes; saved as `id2label`."""
        return None

    @classmethod
    def settings_from_rows(cls, rows) -> dict:
        """The settings that the training rows decide, such as the class names.

        Args:
            rows: iterable of (location, row).
        Raises:
            DataError: the rows cannot train this task.
        """
        return {}

    def check_row(self, row: dict, where: str) -> dict:
        """The row with its label columns parsed; raises DataError naming `where`."""
        raise NotImplementedError

    def features(self, columns: dict, tokenizer) -> dict:
        """In graph: string tensors (B,) by column -> the encoder's features (B, T).

        Args:
            columns: dict of string tensors; optional columns may be absent.
            tokenizer: `InGraphTokenizer`.
        """
        raise NotImplementedError

    def target_columns(self) -> dict:
        """What `check_row` leaves under the label columns: name -> (dtype, shape of one row)."""
        raise NotImplementedError

    def targets(self, row: dict, features: dict):
        """In graph: label columns (B, ...) -> (y, sample_weight), as `fit` takes them."""
        raise NotImplementedError

    def dataset(self, source, tokenizer, batch_size, *, training=False, seed=0, **reading):
        """Batches of (x, y, sample weights) for `fit`, see `Bert.dataset`."""
        rows = Rows(open_source(source, self, **reading), self)
        return batches(rows, tokenizer, batch_size, training=training, seed=seed)

    def head(self, encoder, config):
        """The `BertModel` on top of `encoder`, with the task's losses and metrics as defaults."""
        raise NotImplementedError

    def outputs(self, model, features: dict):
        """In graph: what the model makes of features of texts that are to be answered."""
        return model(features, training=False)

    def answer(self, outputs, features: dict) -> dict:
        """In graph: the model's outputs -> dense tensors, the outputs of the serving signature."""
        raise NotImplementedError

    def rows(self, answer: dict) -> list[dict]:
        """NumPy arrays of `answer` -> one dict a row, what `predict` returns."""
        raise NotImplementedError

    def scores(self, gold: list[dict], answers: list[dict]) -> dict:
        """The task's scores of `answers` (rows of `predict`) against checked `gold` rows."""
        raise NotImplementedError
