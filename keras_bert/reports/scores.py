"""Scores as a table for a reader."""

from keras_bert.reports.tables import confusion_table, render


def score_table(scores: dict, labels=None) -> str:
    """The scores of `Bert.evaluate`, with the confusion table where there is one."""
    rows = [
        [name.replace("_", " "), f"{value:.4f}" if isinstance(value, float) else value]
        for name, value in scores.items()
        if isinstance(value, (int, float))
    ]
    text = render(["score", "value"], rows)
    if "confusion" in scores and labels is not None:
        text += "\n\n" + confusion_table(scores["confusion"], labels)
    return text
