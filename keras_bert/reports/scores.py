"""Scores as a table for a reader, and as JSON for a program."""

import json
import math

from keras_bert.evaluation.bootstrap import bootstrap_interval
from keras_bert.reports.tables import confusion_table, render


def score_table(scores: dict, labels=None) -> str:
    """The scores of `Bert.evaluate`: the numbers, those of each type or part, and the confusion table."""
    text = render(["score", "value"], [*_rows(scores), *_interval_row(scores)])
    for name, value in scores.items():
        if isinstance(value, dict) and name not in ("types", "interval"):  # the parts of a task
            text += f"\n\n{name}\n{score_table(value)}"
    if "types" in scores:
        rows = [
            [kind, *(f"{row[n]:.4f}" for n in ("precision", "recall", "f1")), row["support"]]
            for kind, row in scores["types"].items()
        ]
        text += "\n\n" + render(["type", "precision", "recall", "f1", "support"], rows)
    if "confusion" in scores and labels is not None:
        text += "\n\n" + confusion_table(scores["confusion"], labels)
    return text


def scores_by_file(scores: dict, task) -> dict:
    """The scores of one model on several files, such as one for each language.

    Args:
        scores: {name: scores}. Of `task.scores`, with their `interval` or without.
        task: Task.
    Returns:
        {"files": the scores, "mean": {"score": name of the main score, "value": its mean over the files}}
    """
    values = [found[task.main_score] for found in scores.values()]
    return {"files": scores, "mean": {"score": task.main_score, "value": sum(values) / len(values)}}


def table_by_file(scores: dict) -> str:
    """A line for every file of `scores_by_file`, and the mean."""
    main = scores["mean"]["score"]
    first = next(iter(scores["files"].values()))
    others = [name for name, value in first.items() if isinstance(value, float) and name != main]
    rows = []
    for name, found in scores["files"].items():
        bounds = found.get("interval")
        sure = f"{bounds['low']:.4f} to {bounds['high']:.4f}" if bounds else None
        rows.append([name, found[main], sure, *(found.get(other) for other in others), found["rows"]])
    rows.append(["mean", scores["mean"]["value"], None, *(None for _ in others), None])
    return render([name.replace("_", " ") for name in ("file", main, "95 %", *others, "rows")], rows)


def with_interval(scores: dict, task, gold: list, answers: list, resamples: int, seed: int = 0) -> dict:
    """The scores, and as `interval` the bootstrap's 95 % of the task's main score.

    Args:
        scores: dict. Of `task.scores`.
        task: Task.
        gold, answers: as `task.scores` takes them.
        resamples: int. 0 leaves the scores as they are.
    """
    if not resamples:
        return scores

    def main(gold, answers):
        return task.scores(gold, answers)[task.main_score]

    each = task.scores_by_query(gold, answers)
    if each is not None:
        main, gold, answers = _mean, each, each
    low, high = bootstrap_interval(main, gold, answers, seed, resamples)
    return {**scores, "interval": {"score": task.main_score, "low": low, "high": high}}


def _mean(_, scores) -> float:
    return float(scores.mean())


def _rows(scores) -> list:
    return [
        [name.replace("_", " "), f"{value:.4f}" if isinstance(value, float) else value]
        for name, value in scores.items()
        if isinstance(value, (int, float))
    ]


def _interval_row(scores) -> list:
    found = scores.get("interval")
    if not found:
        return []
    return [[f"95 % of {found['score'].replace('_', ' ')}", f"{found['low']:.4f} to {found['high']:.4f}"]]


def as_json(scores) -> str:
    """The scores as one line of JSON, in which a score that is no number is null.

    The correlation of a constant is such a score; Python would write NaN, which JSON does not know.
    """
    return json.dumps(_with_nulls(scores), ensure_ascii=False, allow_nan=False)


def _with_nulls(value):
    if isinstance(value, dict):
        return {name: _with_nulls(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_nulls(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
