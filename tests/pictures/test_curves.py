import pytest

from geoseg.pictures.curves import training_curves
from geoseg.workflows.figure_files import write_picture

PLAIN = [{"epoch": n, "loss": 1 / n, "learning_rate": 0.001 / n} for n in (1, 2, 3)]


def _line(axes):
    return [line.get_xydata().tolist() for line in axes.lines]


def test_the_loss_is_drawn_by_epoch():
    loss, rate = training_curves(PLAIN).axes
    assert _line(loss) == [[[1, 1], [2, 1 / 2], [3, 1 / 3]]]
    assert loss.get_ylabel() == "loss"
    assert _line(rate) == [[[1, 0.001], [2, 0.0005], [3, 0.001 / 3]]]


def test_held_out_scores_get_a_panel_with_their_last_values():
    history = [
        dict(PLAIN[0]),
        {**PLAIN[1], "check_miou": 0.5, "check_accuracy": 0.75},
        {**PLAIN[2], "check_miou": 0.625},
    ]
    checks = next(axes for axes in training_curves(history).axes if "held-out" in axes.get_title())
    assert _line(checks) == [[[2, 0.5], [3, 0.625]], [[2, 0.75]]]
    words = [text.get_text() for text in checks.get_legend().get_texts()]
    assert words == ["mIoU (last 62.5 %)", "overall accuracy (last 75.0 %)"]


def test_without_held_out_scores_there_is_no_panel_for_them():
    assert not any("held-out" in axes.get_title() for axes in training_curves(PLAIN).axes)


def test_scores_that_are_nan_were_not_measured():
    history = [{**epoch, "check_miou": float("nan"), "check_accuracy": float("nan")} for epoch in PLAIN]
    assert not any("held-out" in axes.get_title() for axes in training_curves(history).axes)
    history[1]["check_miou"] = 0.5
    checks = next(axes for axes in training_curves(history).axes if "held-out" in axes.get_title())
    assert _line(checks) == [[[2, 0.5]]]


@pytest.mark.parametrize("history", [[], PLAIN[:1]], ids=["no epoch", "one epoch"])
def test_a_short_history_is_drawn(history, tmp_path):
    write_picture(training_curves(history, title="$ short"), tmp_path / "a.png", overwrite=False)
    assert (tmp_path / "a.png").stat().st_size > 0


def test_a_single_epoch_is_visible_as_a_dot():
    assert training_curves(PLAIN[:1]).axes[0].lines[0].get_marker() == "o"
