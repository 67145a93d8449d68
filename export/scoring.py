"""The user's evaluation rows put to an export: its score by the task's own measure, beside the model's.

    evaluation = Evaluation(bert, "dev.tsv", max_metric_drop=0.5)
    batches = evaluation.text_batches({"serving_default": ["text"]})
    ...                                     # a fresh process answers the questions of the batches
    evaluation.judged(batches, answers, where="out/3")

Whoever runs an export that takes ids does the tokenising, and completes the answer with what it knows of the
text: `Task.completed`. So it is done here.
"""

import dataclasses

import numpy as np

from keras_bert.data.pipeline import Rows, open_source
from keras_bert.errors import ExportError, UsageError
from keras_bert.export.asking import (
    answered,
    features_of,
    ids_of,
    one_by_one,
    padded,
    sequences_of,
    strings,
    tensors,
    texts_one_by_one,
)
from keras_bert.export.proof import Question, check
from keras_bert.export.signatures import part_signatures
from keras_bert.inference import by_length
from keras_bert.tasks.base import rows_by_part

BATCH_SIZE = 32


@dataclasses.dataclass
class Part:
    """The rows of one part of a task; of most tasks there is one."""

    bert: object
    gold: list
    expected: list  # what the model answers to the texts, as rows of `predict`


@dataclasses.dataclass
class Batch:
    """Some rows of a part, and the questions that put them to an artefact.

    Args:
        part: int. Which of `Evaluation.parts`.
        indices: int array. The rows.
        texts: dict of string arrays. Their columns.
        questions: list of Question. Their answers, one behind the other, are those to the sequences.
        features: dict or None. What the ids were made of; None where the artefact reads text.
    """

    part: int
    indices: np.ndarray
    texts: dict
    questions: list
    features: dict | None = None


class Evaluation:
    """Rows with the right answers, and the model's own score on them.

    Args:
        bert: `Bert` with a task.
        source: what `bert.evaluate` takes.
        max_metric_drop: float. Points, hundredths of the main score, that an artefact may lose.
        reading: dict or None. `columns`, `encoding`, `delimiter`, as `Bert.dataset`.
    Raises:
        DataError: the rows cannot be used.
        UsageError: the task has no rows to be scored on.
    """

    def __init__(self, bert, source, max_metric_drop=0.5, reading=None):
        task = bert.task
        if not task.learns_from_rows:
            raise UsageError(
                f"The task {task.name} has no rows to score an export on", where="eval_file",
                remedy="export without it: outputs on built-in texts are then compared",
            )  # fmt: skip
        if not max_metric_drop >= 0:
            raise UsageError(
                f"The largest drop is {max_metric_drop!r}", where="max_metric_drop", expected="0 or more"
            )
        self.bert, self.source, self.max_metric_drop = bert, source, max_metric_drop
        sources = rows_by_part(task, source, "eval_file", UsageError)
        self.names = list(sources)
        self.parts, self._batches = [], []
        for number, (name, rows) in enumerate(sources.items()):
            self._add_part(number, bert if name is None else bert.part(name), rows, reading or {})
        self.reference = self.scores([part.expected for part in self.parts])

    def _add_part(self, number, bert, source, reading):
        """Reads the rows of a part, and lets the model answer them."""
        rows = Rows(open_source(source, bert.task, **reading), bert.task)
        gold = list(rows.checked())
        part, columns = Part(bert, gold, [None] * len(gold)), rows.texts_of(gold)
        self.parts.append(part)
        for indices in by_length(columns, BATCH_SIZE):
            texts = {name: strings([values[i] for i in indices]) for name, values in columns.items()}
            answer = answered(bert.answerer.text, texts)
            self._batches.append(Batch(number, indices, texts, [Question("", texts, answer, given=True)]))
            self._keep(part.expected, indices, bert.task.rows(answer))

    @property
    def num_rows(self) -> int:
        return sum(len(part.gold) for part in self.parts)

    def text_batches(self, signatures: dict) -> list:
        """The rows as texts, each batch put to the signature that takes its columns.

        Args:
            signatures: dict of str to sequence of str. The columns each takes.
        """
        made = []
        for batch in self._batches:
            [question] = batch.questions
            question = dataclasses.replace(question, signature=self._signature(batch, signatures))
            made.append(dataclasses.replace(batch, questions=[question]))
        return made

    def _signature(self, batch, signatures: dict) -> str:
        """The name of the one that takes the texts of a batch."""
        part, given = self.names[batch.part], batch.texts
        takes = [name for name, columns in signatures.items() if set(columns) == set(given)]
        # No other signature of a task with parts answers a part alone.
        takes = [name for name in takes if part is None or name in part_signatures(part, signatures[name])]
        if not takes:
            raise UsageError(
                f"No signature takes the columns {', '.join(given)}", where="eval_file",
                expected=" or ".join(", ".join(columns) for columns in signatures.values()),
            )  # fmt: skip
        return takes[0]

    def ids_batches(self, signature: str, portable=False) -> list:
        """The rows as ids, of any length; `portable` as in `signatures.ids_signature`."""
        made, answerer = [], self.bert.portable_answerer if portable else self.bert.answerer
        for batch in self._batches:
            features = self._features(batch, self.parts[batch.part].bert.task)
            inputs = ids_of(sequences_of(features))
            question = Question(signature, inputs, answered(answerer.ids, **inputs), given=True)
            made.append(dataclasses.replace(batch, questions=[question], features=features))
        return made

    def static_batches(self, signatures: dict) -> list:
        """The rows as ids, one sequence a question, truncated to the longest signature.

        Args:
            signatures: dict of int to str. Each one's length; a batch is put to the shortest that holds it.
        """
        made, longest = [], max(signatures)
        for batch in self._batches:
            task = self.parts[batch.part].bert.task.resized(longest)
            features = self._features(batch, task)
            width = features["token_ids"].shape[-1]
            length = min(length for length in signatures if length >= width)
            features = padded(features, length)
            questions = one_by_one(self.bert, signatures[length], sequences_of(features), given=True)
            made.append(dataclasses.replace(batch, questions=questions, features=features))
        return made

    def static_text_batches(self, signatures: dict, length: int) -> list:
        """The rows as texts, one a question; what is expected is the answer to `length` tokens of them.

        Args:
            signatures: as of `text_batches`.
            length: int.
        """
        made = []
        for batch in self._batches:
            part = self.parts[batch.part].bert
            features = padded(self._features(batch, part.task.resized(length)), length)
            signature = self._signature(batch, signatures)
            questions = texts_one_by_one(part, signature, batch.texts, sequences_of(features), given=True)
            made.append(dataclasses.replace(batch, questions=questions, features=features))
        return made

    def judged(self, batches, answers, seconds, *, where, tolerance=None, min_agreement=None) -> dict:
        """How well an artefact answered.

        Args:
            batches: list of Batch. Of one of the methods above.
            answers: list of dict of NumPy arrays. To their questions, in order.
            seconds: list of float. Of each question.
            where: path. The artefact, for the message.
            tolerance, min_agreement: of `proof.check`. What comes from a near tie the score may judge.
        Returns:
            dict: metric, score, reference, change (of the main score, in points), scores, max_difference,
            agreement, examples_per_second.
        Raises:
            ExportError: the main score is lower than the model's by more than `max_metric_drop` points.
        """
        questions = [question for batch in batches for question in batch.questions]
        compared = check(questions, answers, where=where, tolerance=tolerance, exact=False)
        given, place = [[None] * len(part.gold) for part in self.parts], 0
        for batch in batches:
            behind = place + len(batch.questions)
            self._keep(given[batch.part], batch.indices, self._rows(batch, answers[place:behind]))
            place = behind
        scores, main = self.scores(given), self.bert.task.main_score
        change = 100 * (scores[main] - self.reference[main])
        if not change >= -self.max_metric_drop:
            raise ExportError(
                f"The export loses {-change:.2f} points of {main}, {self.reference[main]:.4f} of the model "
                f"against {scores[main]:.4f}, and nothing was published",
                where=str(where), expected=f"at most {self.max_metric_drop:g} points",
                remedy="export in a finer format, or allow more with --max_metric_drop",
            )  # fmt: skip
        return {
            "metric": main,
            "score": scores[main],
            "reference": self.reference[main],
            "change": change,
            "scores": scores,
            **compared,
            "examples_per_second": self.num_rows / max(sum(seconds), 1e-9),
        }

    def scores(self, answers: list) -> dict:
        """The task's scores of all rows, from the answers to each part's."""
        made = [
            part.bert.task.scores(part.gold, rows) for part, rows in zip(self.parts, answers, strict=True)
        ]
        if not self.bert.task.parts:
            return made[0]
        by_name = dict(zip(self.names, made, strict=True))
        return {**self.bert.task.scores_of_parts(by_name), **by_name}

    def _rows(self, batch, answers) -> list:
        """The answers to a batch's questions as rows of `predict`."""
        task = self.parts[batch.part].bert.task
        if batch.features is None:
            return task.rows(answers[0])
        whole = {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
        return task.rows(answered(task.completed, tensors(whole), tensors(batch.features)))

    def _features(self, batch, task) -> dict:
        return features_of(task, batch.texts, self.bert.answerer.tokenizer)

    @staticmethod
    def _keep(rows, indices, found):
        for i, row in zip(indices, found, strict=True):
            rows[i] = row
