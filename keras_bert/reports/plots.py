"""`history.png`: the course of a run as a picture."""

import pathlib

from keras_bert.files.atomic import atomic_file


def history_plot(rows, path, title="") -> bool:
    """Draws loss and metrics over the steps.

    Args:
        rows: list of dict, as `training.fit.MetricsLog.rows`.
        path: path of the PNG.
        title: str.
    Returns:
        bool: whether it was drawn; False where matplotlib (the [plots] extra) is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    running = [row for row in rows if "examples_per_second" in row]
    ended = [row for row in rows if "examples_per_second" not in row]
    names = [name for name in (ended[-1] if ended else {}) if name not in ("step", "epoch")]
    metrics = [name for name in names if not name.startswith("val_")]
    figure, axes = pyplot.subplots(
        1, max(len(metrics), 1), figsize=(5 * max(len(metrics), 1), 3.6), squeeze=False
    )
    for axis, name in zip(axes[0], metrics, strict=False):
        axis.plot(
            [r["step"] for r in running], [r[name] for r in running], label="training, mean of the epoch"
        )
        if f"val_{name}" in names:
            axis.plot(
                [r["step"] for r in ended], [r[f"val_{name}"] for r in ended], "o-", label="evaluation file"
            )
        axis.set_xlabel("step")
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.suptitle(title)
    figure.tight_layout()
    with atomic_file(pathlib.Path(path)) as stage:
        figure.savefig(stage, format="png", dpi=110)
    pyplot.close(figure)
    return True
