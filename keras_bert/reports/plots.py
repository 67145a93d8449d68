"""The course of runs as pictures: `history.png`, and several runs side by side."""

import contextlib
import pathlib

from keras_bert.files.atomic import atomic_file

_NO_METRICS = (
    "step", "epoch", "examples", "tokens", "seconds", "learning_rate", "examples_per_second",
    "tokens_per_second", "gflop_per_second",
)  # fmt: skip
_STEEP = 20  # largest over smallest value from which an axis is logarithmic
_WIDE = 1000  # the same, from which it is marked at powers of ten alone
_AXES = {"steps": ("step", "step"), "examples": ("examples", "examples"), "seconds": ("seconds", "time")}
_STYLE = {
    "font.size": 10.5, "axes.titlesize": 12, "legend.fontsize": 9.5, "axes.spines.right": False,
    "lines.linewidth": 1.4, "axes.grid": True, "grid.alpha": 0.25,
}  # fmt: skip


def history_plot(rows, path, title="") -> bool:
    """Draws the losses into one panel, the accuracies into another, and other metrics into one each.

    The lower axis counts steps, the upper one examples. Lines are training, dots the evaluation; the legend
    says the last value of each.

    Args:
        rows: list of dict, as `MetricsLog.rows` or `metrics_log.read_rows`.
        path: path of the PNG.
        title: str.
    Returns:
        bool: whether it was drawn; False where matplotlib (the [plots] extra) is not installed.
    """
    with _figure(path) as figure:
        if figure is None:
            return False
        panels = _panels(rows)
        figure.set_size_inches(6.2 * len(panels), 5)
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, (kind, names) in zip(axes, panels.items(), strict=True):
            for number, name in enumerate(names):
                _draw_metric(axis, rows, name, f"C{number}")
            axis.set_title(kind)
            axis.set_xlabel("step")
            _finish(axis, accuracy=kind == "accuracy")
            _add_examples(axis, rows)
        figure.suptitle(title)
    return True


def curves_plot(runs: dict, metric, path, over="steps", title="") -> bool:
    """Draws one metric of several runs into one picture.

    Args:
        runs: dict from the name of a run to its rows, as `history_plot` takes them.
        metric: str. As in the rows: `mlm_accuracy`, or `val_mlm_accuracy` for the evaluations.
        path: path of the PNG.
        over: str. What the runs are compared by: `"steps"`, `"examples"` or `"seconds"` of training.
        title: str.
    Returns:
        bool: whether it was drawn, as of `history_plot`.
    Raises:
        ValueError: `over` is another word, or no run has such a metric.
    """
    if over not in _AXES:
        raise ValueError(f"`over` must be one of {', '.join(_AXES)}. Received: over={over!r}")
    column, label = _AXES[over]
    curves = {name: _points(rows, metric, column) for name, rows in runs.items()}
    if not any(xs for xs, _ in curves.values()):
        raise ValueError(f"No run has the metric over {over}. Received: metric={metric!r}, runs={list(runs)}")
    with _figure(path) as figure:
        if figure is None:
            return False
        figure.set_size_inches(7.6, 5.2)
        axis = figure.subplots()
        scale = 1
        if over == "seconds":
            longest = max(max(xs, default=0) for xs, _ in curves.values())
            scale, unit = next(
                (size, unit) for size, unit in ((3600, "hours"), (60, "minutes"), (1, "seconds"))
                if longest >= 3 * size or size == 1
            )  # fmt: skip
            label = f"{unit} of training"
        for name, (xs, ys) in curves.items():
            if xs:
                marks = {"marker": "o", "markersize": 3.5} if len(xs) <= 40 else {}
                axis.plot([x / scale for x in xs], ys, label=f"{name}: {_short(ys[-1])}", **marks)
        axis.set_xlabel(label)
        axis.set_ylabel(_readable(metric.removeprefix("val_")))
        _finish(axis, accuracy=metric.endswith("accuracy"))
        evaluated = "evaluation" if metric.startswith("val_") else "training"
        axis.set_title(title or f"{_readable(metric.removeprefix('val_'))}, {evaluated}")
    return True


@contextlib.contextmanager
def _figure(path):
    """A figure that is written to `path` afterwards; None where there is no matplotlib."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        yield None
        return
    with matplotlib.rc_context(_STYLE):
        figure = Figure(layout="constrained")  # not pyplot's: no window, nothing to close
        yield figure
        with atomic_file(pathlib.Path(path)) as stage:
            figure.savefig(stage, format="png", dpi=120)


def _panels(rows) -> dict:
    """The kinds of metrics, each with its names: {"loss": ["loss", "mlm_loss"], "accuracy": [...], ...}."""
    names = dict.fromkeys(
        name.removeprefix("val_") for row in rows for name in row if name not in _NO_METRICS
    )
    panels = {}
    for name in names:
        kind = next((kind for kind in ("loss", "accuracy") if name.endswith(kind)), _readable(name))
        panels.setdefault(kind, []).append(name)
    # Sorted by kind, and within it the total before its parts.
    order = sorted(panels, key=lambda kind: ({"loss": 0, "accuracy": 1}.get(kind, 2), kind))
    return {kind: sorted(panels[kind], key=lambda name: (name != kind, name)) for kind in order} or {"": []}


def _points(rows, name, column="step"):
    """x and y of a metric: of training, the rows of the course; of an evaluation, those of epochs' ends."""
    in_course = [row for row in rows if "examples_per_second" in row]
    if name.startswith("val_") or not in_course:
        in_course = rows
    found = [(row[column], row[name]) for row in in_course
             if row.get(name) is not None and row.get(column) is not None]  # fmt: skip
    return [x for x, _ in found], [y for _, y in found]


def _draw_metric(axis, rows, name, color):
    """Training as a line, evaluation as dots of the same colour."""
    steps, values = _points(rows, name)
    if steps:
        label = f"{_readable(name)}: {_short(values[-1])}"
        axis.plot(steps, values, color=color, alpha=0.8, label=label, marker="." if len(steps) == 1 else "")
    steps, values = _points(rows, f"val_{name}")
    if steps:
        label = f"{_readable(name)}, evaluation: {_short(values[-1])}"
        size = 5 if len(steps) <= 40 else 3
        axis.plot(
            steps, values, "o--", color=color, markersize=size, markeredgecolor="white", markeredgewidth=0.6,
            linewidth=0.9, label=label, zorder=3,
        )  # fmt: skip


def _finish(axis, accuracy):
    """The scale of the y-axis, short numbers below, and under it the legend, which so hides no curve."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    curves = [list(line.get_ydata()) for line in axis.get_lines()]
    if accuracy:
        low, high = axis.get_ylim()
        axis.set_ylim(max(low, -0.02), min(high, 1.02))
    elif curves and min(map(min, curves)) > 0 and max(max(ys) / min(ys) for ys in curves) > _STEEP:
        axis.set_yscale("log")
        wide = max(map(max, curves)) / min(map(min, curves)) > _WIDE
        axis.yaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(_count))
        axis.yaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.xaxis.set_major_formatter(FuncFormatter(_count))
    if not curves:
        return
    handles = axis.get_lines()  # in columns: training at the left, evaluation at the right
    handles = sorted(handles, key=lambda line: ", evaluation: " in line.get_label())
    axis.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)


def _add_examples(axis, rows):
    """The examples as an axis above; as many ticks as steps below."""
    pairs = [(row["step"], row["examples"]) for row in rows if row.get("examples") and row["step"]]
    if not pairs:
        return
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    step, examples = pairs[-1]
    rate = examples / step
    above = axis.secondary_xaxis("top", functions=(lambda x: x * rate, lambda x: x / rate))
    above.set_xlabel("examples")
    above.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    above.xaxis.set_major_formatter(FuncFormatter(_count))


def _count(value, _=None) -> str:
    """12500 -> 12.5k, 3000000 -> 3M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _short(value) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"


def _readable(name) -> str:
    return name.replace("_", " ").replace("mlm", "masked LM").replace("nsp", "next sentence")
