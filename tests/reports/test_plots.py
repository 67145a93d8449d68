"""The pictures show what the rows say: every metric in the panel of its kind, over steps and examples."""

import sys

import pytest

from keras_bert.reports import plots
from keras_bert.reports.plots import curves_plot, history_plot

pytest.importorskip("matplotlib")


def rows(scale=1.0):
    """A pretraining run of 40 steps in two Keras epochs."""
    result = []
    for step in range(5, 41, 5):
        loss = scale * 10 / step
        values = {
            "loss": loss + 0.5,
            "mlm_loss": loss,
            "nsp_loss": 0.5,
            "mlm_accuracy": step / 100,
            "nsp_accuracy": 0.8,
        }
        counts = {
            "step": step,
            "epoch": step // 21 + 1,
            "examples": 8 * step,
            "tokens": 80 * step,
            "seconds": 60.0 * step,
        }
        result.append({**counts, **values, "learning_rate": 1e-4, "examples_per_second": 5.0})
        if step % 20 == 0:
            result.append({**counts, **values, "val_loss": 3.0 - step / 40, "val_mlm_accuracy": None})
    return result


@pytest.fixture
def figure(monkeypatch):
    """Keeps the figure that is drawn."""
    from matplotlib.figure import Figure

    drawn = []
    saved = Figure.savefig

    def keep(self, *arguments, **named):
        drawn.append(self)
        saved(self, *arguments, **named)

    monkeypatch.setattr(Figure, "savefig", keep)
    return drawn


def legend(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_losses_and_accuracies_have_a_panel_each(tmp_path, figure):
    assert history_plot(rows(), tmp_path / "history.png", title="mini")
    assert (tmp_path / "history.png").read_bytes()[:4] == b"\x89PNG"
    losses, accuracies = figure[0].axes
    assert (losses.get_title(), accuracies.get_title()) == ("loss", "accuracy")
    assert legend(losses) == [
        "loss: 0.750", "masked LM loss: 0.250", "next sentence loss: 0.500", "loss, evaluation: 2.000"
    ]  # fmt: skip
    assert legend(accuracies) == ["masked LM accuracy: 0.400", "next sentence accuracy: 0.800"]


def test_the_evaluation_lies_at_the_ends_of_epochs_and_training_at_every_row(tmp_path, figure):
    history_plot(rows(), tmp_path / "history.png")
    lines = {line.get_label().split(":")[0]: line for line in figure[0].axes[0].get_lines()}
    assert list(lines["loss, evaluation"].get_xdata()) == [20, 40]
    assert list(lines["loss, evaluation"].get_ydata()) == [2.5, 2.0]
    assert list(lines["loss"].get_xdata()) == [5, 10, 15, 20, 25, 30, 35, 40]


def test_the_upper_axis_counts_examples(tmp_path, figure):
    history_plot(rows(), tmp_path / "history.png")
    axis = figure[0].axes[0]
    [above] = axis.child_axes
    low, high = axis.get_xlim()
    assert above.get_xlim() == pytest.approx((8 * low, 8 * high))
    assert (axis.get_xlabel(), above.get_xlabel()) == ("step", "examples")


def test_rows_of_fine_tuning_and_other_metrics_are_drawn(tmp_path, figure):
    fine = [
        {"step": 1, "epoch": 1, "loss": 0.7, "accuracy": 0.5, "f1": 0.1, "examples_per_second": 3.0},
        {"step": 2, "epoch": 1, "loss": 0.6, "accuracy": 0.6, "f1": 0.2, "val_loss": 0.6},
    ]  # fmt: skip
    assert history_plot(fine, tmp_path / "history.png")
    assert [axis.get_title() for axis in figure[0].axes] == ["loss", "accuracy", "f1"]
    assert not figure[0].axes[0].child_axes  # rows without examples


@pytest.mark.parametrize("given", [[], rows()[:1], [{"step": 0, "epoch": 1, "examples": 0, "loss": None}]])
def test_a_run_that_has_hardly_begun_is_drawn_too(given, tmp_path):
    assert history_plot(given, tmp_path / "history.png")


@pytest.mark.parametrize(("low", "scale"), [(0.1, "log"), (1.0, "linear")])
def test_a_steep_loss_has_a_logarithmic_axis(low, scale, tmp_path, figure):
    steep = [{"step": i, "loss": loss, "examples_per_second": 1.0} for i, loss in enumerate([10.0, low])]
    history_plot(steep, tmp_path / "history.png")
    assert figure[0].axes[0].get_yscale() == scale


@pytest.mark.parametrize(
    ("over", "last", "label"),
    [("steps", 40, "step"), ("examples", 320, "examples"), ("seconds", 40, "minutes of training")],
)
def test_several_runs_lie_in_one_picture(over, last, label, tmp_path, figure):
    assert curves_plot({"ours": rows(), "theirs": rows(2)}, "mlm_loss", tmp_path / "c.png", over)
    [axis] = figure[0].axes
    assert legend(axis) == ["ours: 0.250", "theirs: 0.500"]
    assert axis.get_xlabel() == label and axis.get_lines()[0].get_xdata()[-1] == pytest.approx(last)
    assert len(axis.get_lines()[0].get_xdata()) == 8


def test_a_picture_of_nothing_is_refused(tmp_path):
    for metric, over in (("bleu", "steps"), ("loss", "days")):
        with pytest.raises(ValueError, match=metric if over == "steps" else over):
            curves_plot({"ours": rows()}, metric, tmp_path / "c.png", over)
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_nothing_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not history_plot(rows(), tmp_path / "h.png")
    assert not curves_plot({"ours": rows()}, "loss", tmp_path / "c.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (12500, "12.5k"), (3e6, "3M"), (0.05, "0.05")]
)
def test_big_numbers_are_short(value, text):
    assert plots._count(value) == text
