"""The contract that training, `predict` and export all use, so that nothing is decoded twice."""

import copy

import numpy as np

from keras_bert.data.columns import check_encodable
from keras_bert.data.pipeline import Rows, batches, open_source
from keras_bert.errors import DataError, UsageError
from keras_bert.features import ENCODER_FEATURES


class Task:
    """One thing a BERT can be fine-tuned to do.

    A task is one file: how its rows become features and targets, which head it puts on the encoder, and
    what the head's outputs mean. `features` and `answer` run in the TensorFlow graph, in training as in the
    served model. What is said to be in graph is traced without AutoGraph, as Keras' layers are: a tensor is
    asked with `tf.where` or `tf.cond`, not with `if`.

    Args:
        max_length: int. Longest sequence of pieces, special tokens included; longer texts are truncated.
    """

    name = ""  # its key in `keras_bert.tasks.TASKS`
    columns = ("text",)  # string columns every row must have, in the order of the serving signature
    optional_columns = ()  # string columns a row may have
    list_columns = ()  # columns of lists of strings that every row must have, such as the choices
    training_columns = ()  # string columns a row may have for training, which are never served
    label_columns = ()  # columns that only training and evaluation need; rows must have the first
    labels_required = True  # whether they must
    row_kind = None  # "spans", "answers", "choices": formats beside tables, see `data.task_rows`
    inputs = ENCODER_FEATURES  # the features that its model takes
    allow_special = ()  # special tokens that count where they are written in a text, such as "[MASK]"
    reads_windows = False  # a row may be several sequences; the feature `row` says whose each is
    targets_by_token = False  # targets and weights are (B, T)
    architecture = None  # the Hugging Face class whose folder this task saves
    problem_type = None  # what `config.json` calls it, where that class serves several
    usual_length = 128  # its `max_length` where nobody says one
    main_score = ""  # the score that a higher value of means a better model
    learns_from_rows = True  # of text with labels; else `dataset` reads something else
    edge_kind = None  # which application of a phone's libraries runs it, see `export.metadata.KINDS`
    edge_outputs = ()  # what that application takes of the answer to ids alone, in the order of its kind

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

    @property
    def saved_labels(self):
        """tuple of str: what `id2label` says; also of a head with one output that has no name."""
        return self.labels

    @property
    def parts(self) -> dict:
        """The tasks this one is made of, by name, each as one that the whole model answers; {} mostly."""
        return {}

    @property
    def text_pooling(self):
        """dict: mode, normalize, max_length of a task whose answer to a text is its vector; else None."""
        return None

    @property
    def own_layers(self) -> tuple:
        """Names of the head's layers that no class of transformers has; saved in a file of ours."""
        return ()

    @classmethod
    def settings_from_rows(cls, rows) -> dict:
        """The settings that the training rows decide, such as the class names.

        Args:
            rows: iterable of (location, row).
        Raises:
            DataError: the rows cannot train this task.
        """
        return {}

    @classmethod
    def settings_from_labels(cls, labels: list) -> dict:
        """The settings that the class names of a checkpoint of another library decide."""
        return {"labels": labels}

    def resized(self, max_length: int) -> "Task":
        """The same task for sequences of another length."""
        task = copy.copy(self)
        task.max_length = max_length
        return task

    def prepare(self, tokenizer):
        """Learns of the vocabulary what the task has to know; called once, before anything else."""

    def check_row(self, row: dict, where: str) -> dict:
        """The row with its label columns parsed; raises DataError naming `where`."""
        raise NotImplementedError

    def features(self, columns: dict, tokenizer) -> dict:
        """In graph: string tensors (B,) by column -> the encoder's features (B, T).

        Args:
            columns: dict of string tensors; optional columns may be absent. List columns are ragged.
            tokenizer: `InGraphTokenizer`.
        Returns:
            dict: the encoder's features, and what else of `features.FEATURES` targets and answers need.
        """
        raise NotImplementedError

    def from_ids(self, features: dict) -> dict:
        """In graph: the encoder's features of sequences whose text is not known, completed as `features`."""
        return features

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
        return model({name: features[name] for name in model.input}, training=False)

    def logits(self, outputs, features: dict) -> dict:
        """In graph: the model's outputs by the names that Hugging Face has for them."""
        return dict(outputs) if isinstance(outputs, dict) else {"logits": outputs}

    def answer(self, outputs, features: dict) -> dict:
        """In graph: the model's outputs -> dense tensors, the outputs of the serving signature."""
        raise NotImplementedError

    def completed(self, answer: dict, features: dict) -> dict:
        """In graph: an answer to ids alone, and what is known of their text -> the answer to the text.

        This is what is left to do for an application that runs the model without the tokeniser, and how such
        an export is scored.

        Args:
            answer: what `answer` makes of `from_ids` features, strings possibly left out; a row for every
                sequence of `features`, in their order.
            features: of the texts, as `features` makes them.
        """
        return answer

    def rows(self, answer: dict) -> list[dict]:
        """NumPy arrays of `answer` -> one dict a row, what `predict` returns."""
        raise NotImplementedError

    def scores(self, gold: list[dict], answers: list[dict]) -> dict:
        """The task's scores of `answers` (rows of `predict`) against checked `gold` rows."""
        raise NotImplementedError

    def scores_by_query(self, gold: list[dict], answers: list[dict]):
        """float array, whose mean is the main score, where rows are no draws by themselves; None mostly.

        The rows of a search are looked for among each other: to leave some out makes it easier.
        """
        return None

    def badness(self, gold: dict, answer: dict) -> float:
        """How wrong the answer to one checked row is: 0 where it is right."""
        raise NotImplementedError

    def expected(self, gold: dict):
        """What the right answer to a checked row would be, as JSON has it."""
        return gold[self.label_columns[0]]

    def tuned(self, gold: list[dict], answers: list[dict]) -> dict:
        """Settings that are best chosen on rows the model was not trained on, such as a threshold.

        Args:
            gold, answers: as `scores`.
        Returns:
            dict of some of `settings()`; {} where there is nothing to choose.
        """
        return {}


def rows_by_part(task, source, where: str, error) -> dict:
    """The rows of every part of a task, or of the task itself under None.

    Raises:
        error: a part has none, or there is another.
    """
    if not task.parts:
        return {None: source}
    if not isinstance(source, dict) or source.keys() != task.parts.keys():
        raise error(
            "Not every part of the task has its rows, or one that is none has", where=where,
            expected=", ".join(f"{name}=FILE" for name in task.parts),
        )  # fmt: skip
    return source


def class_names(labels, at_least: int) -> tuple[str, ...]:
    """The class names of a task, as text.

    Raises:
        DataError: too few of them, or one twice.
    """
    if isinstance(labels, str):
        raise DataError(f"The labels are one text: {labels!r}", where="labels", expected="class names")
    names = tuple(str(label) for label in labels)
    for name in names:
        check_encodable("label", name, "labels")
    if len(set(names)) != len(names):
        raise DataError("A label is named twice", where="labels", expected="distinct class names")
    if len(names) < at_least:
        few = "two classes or more" if at_least == 2 else "a class"
        raise DataError(
            f"This needs {few}, there is {len(names)}",
            where="labels", expected=f"{few.replace('classes', 'distinct labels')} in the training data",
            remedy="check the label column, or name all classes with --labels=a,b (Python: labels=[...])",
        )  # fmt: skip
    return names


def number_in(value, name: str, least: int) -> int:
    """The value of a setting that must be a whole number of `least` or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"The value is {value!r}", where=name, expected=f"an integer of {least} or more")
    return value


def weight_of(row: dict, where: str) -> float:
    """The `sample_weight` of a row, 1 where it has none."""
    given = row.get("sample_weight")
    if given is None or given == "":
        return 1.0
    try:
        weight = float(given)
    except (TypeError, ValueError):
        weight = np.nan
    if not np.isfinite(weight) or weight < 0:
        raise DataError(f"The sample weight is {given!r}", where=where, expected="a number of 0 or more")
    return weight


def number_of(row: dict, name: str, where: str) -> float:
    """The number in a column; raises DataError where there is none that is finite."""
    given = row.get(name)
    try:
        value = np.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise DataError(
            f"The {name} is {given!r}", where=where, expected="a number", remedy="correct the row or drop it"
        )
    return value
