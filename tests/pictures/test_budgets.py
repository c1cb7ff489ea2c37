import math

from geoseg.pictures.budgets import Score, budget_figure, class_figure


def test_methods_are_drawn_over_their_points_with_the_ceiling():
    methods = {
        "quick": [Score(500, 0.7, 0.01), Score(100, 0.6, 0.02)],
        "forest": [Score(100, 0.5, math.nan)],
    }
    axes = budget_figure(methods, 0.75).axes[0]

    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert set(labels) == {"quick", "forest", "full supervision"}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["100", "500"]
    line = next(c for c in axes.containers if c.get_label() == "quick").lines[0]
    assert line.get_xydata().tolist() == [[100, 0.6], [500, 0.7]]


def test_without_full_supervision_there_is_no_ceiling():
    axes = budget_figure({"quick": [Score(100, 0.6, 0.0)]}, None).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["quick"]


def test_every_class_has_a_bar_of_every_method_in_every_panel():
    panels = {
        "10": {"quick": [0.5, math.nan], "forest": [0.4, 0.3]},
        "50": {"quick": [0.6, 0.7]},
    }
    figure = class_figure(panels, ["field", "wood"])
    assert [len(axes.patches) for axes in figure.axes] == [4, 2]
    assert figure.axes[0].patches[1].get_height() == 0
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["field", "wood"]
