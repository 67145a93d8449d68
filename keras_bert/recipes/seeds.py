"""The same fine-tune with several seeds: mean and standard deviation of its scores."""

import dataclasses
import pathlib

import numpy as np

from keras_bert.checkpoints import folder as folders
from keras_bert.files.atomic import atomic_file
from keras_bert.recipes.finetune import FinetuneRun, finetune
from keras_bert.reports.scores import as_json
from keras_bert.reports.tables import render


def finetune_seeds(run: FinetuneRun, seeds: list[int]) -> dict:
    """Trains once a seed, into OUTPUT_DIR/seed_N, and writes OUTPUT_DIR/seeds.json.

    Args:
        run: FinetuneRun. Its `output_dir` is the folder of all.
        seeds: list of int.
    Returns:
        {score: {"mean", "sd" (of the sample), "values"}}; {} without an evaluation file.
    """
    output = pathlib.Path(run.output_dir)
    for seed in seeds:  # before the first is trained
        folders.check_output(output / f"seed_{seed}")
    output.mkdir(parents=True, exist_ok=True)
    found = []
    for seed in seeds:
        own = dataclasses.replace(run, seed=seed, output_dir=str(output / f"seed_{seed}"))
        _, scores = finetune(own)
        found.append(scores or {})
    names = [name for name, value in found[0].items() if isinstance(value, float)]
    summary = {name: _summary([scores[name] for scores in found]) for name in names}
    with atomic_file(output / "seeds.json") as stage:
        stage.write_text(as_json({"seeds": seeds, "scores": summary}) + "\n", encoding="utf-8")
    rows = [
        [
            name.replace("_", " "),
            f"{row['mean']:.4f} ± {row['sd']:.4f}",
            " ".join(f"{v:.4f}" for v in row["values"]),
        ]
        for name, row in summary.items()
    ]
    if rows:
        print(render(["score", "mean ± sd", f"seeds {', '.join(map(str, seeds))}"], rows))
    return summary


def _summary(values) -> dict:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "sd": spread, "values": values}
