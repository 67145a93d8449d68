"""What a pretraining run leaves behind: the model folder, the picture, the card."""

import pathlib

from keras_bert.files.atomic import atomic_file
from keras_bert.reports.card import pretraining_card
from keras_bert.reports.plots import history_plot
from keras_bert.reports.progress import say


def report(bert, run, records, log, scores, total_steps):
    """Writes model/, history.png and README.md of a run that is finished.

    Args:
        bert: Bert. Trained.
        run: `recipes.pretrain.PretrainRun`.
        records: PretrainingRecords. What it was trained on.
        log: MetricsLog.
        scores: dict or None. The last ones on the evaluation records.
        total_steps: int.
    """
    output = pathlib.Path(run.output_dir)
    drawn = history_plot(log.rows, output / "history.png", title=output.name)
    if not drawn:
        say("history.png is not drawn: matplotlib is missing (pip install 'keras-bert-kit[plots]')")
    data = {"input_file": pathlib.Path(run.input_file).name}
    if run.eval_file:
        data["eval_file"] = pathlib.Path(run.eval_file).name
    card = pretraining_card(
        title=output.name,
        origin=f"random weights ({run.preset})" if run.preset else pathlib.Path(run.model_dir).name,
        config=bert.config,
        corpus=records.manifest,
        data=data,
        settings={**run.training(), "steps": total_steps},
        rows=log.rows,
        scores=scores,
        picture="history.png" if drawn else None,
    )
    bert.save(output / "model")
    with atomic_file(output / "README.md") as stage:
        stage.write_text(card, encoding="utf-8")
    say(f"pretrained in {total_steps:,} steps, saved to {output / 'model'}")
