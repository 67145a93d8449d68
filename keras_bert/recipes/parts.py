"""How the parts of a task are scored and tuned: each by itself, on a file of its own."""

from keras_bert.reports.errors import worst_answers


def answered_parts(bert, files: dict, **reading) -> dict:
    """{part: (gold, answers)} of `files`, one a part; `reading` as `Bert.answered`."""
    return {name: bert.part(name).answered(file, **reading) for name, file in files.items()}


def scores_of_parts(bert, answered: dict) -> dict:
    """The scores of every part, and of the whole, of what `answered_parts` returned."""
    parts = bert.task.parts
    scores = {name: {**parts[name].scores(*rows), "rows": len(rows[0])} for name, rows in answered.items()}
    return {**bert.task.scores_of_parts(scores), **scores}


def tune_parts(bert, answered: dict) -> list[str]:
    """Gives the parts the settings that are best on these rows; returns which, as part.setting."""
    tuned = {name: bert.task.parts[name].tuned(*rows) for name, rows in answered.items()}
    if any(tuned.values()):
        parts = bert.task.settings()["parts"]
        bert.retune(parts={name: {**part, **tuned[name]} for name, part in parts.items()})
    return [f"{name}.{setting}" for name, found in tuned.items() for setting in found]


def worst_of_parts(bert, answered: dict) -> list[dict]:
    """The worst answers of every part, one part behind the other."""
    parts = bert.task.parts
    return [
        {"part": name, **row} for name, rows in answered.items() for row in worst_answers(parts[name], *rows)
    ]
