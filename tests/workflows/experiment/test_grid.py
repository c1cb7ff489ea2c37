"""The grid of an experiment: its runs, and how long those that are left take."""

from __future__ import annotations

from geoseg.workflows.experiment.grid import Run, time_left

FOREST, QUICK, FULL = Run("forest", 10, 1), Run("quick", 10, 0), Run("full", None, 0)


def _result(recipe, train, mapped):
    return {"recipe": recipe, "seconds": {"train": train, "map": mapped}}


def test_runs_left_take_as_long_as_the_finished_ones_of_their_recipes():
    # A forest takes 30 s in the mean, quick 300 s.
    results = [_result("forest", 10, 10), _result("forest", 35, 5), _result("quick", 290, 10)]

    assert time_left([FOREST], results) == "about 30 s left"
    assert time_left([FOREST, FOREST, QUICK], results) == "about 6 min left"
    assert time_left([QUICK] * 24, results) == "about 2.0 h left"


def test_recipes_without_a_finished_run_are_named():
    results = [_result("forest", 20, 10)]

    assert time_left([FOREST, QUICK, QUICK, FULL], results) == (
        "at least 30 s left (no run of quick, full is finished yet)"
    )


def test_nothing_is_said_of_what_is_not_known():
    assert time_left([FOREST], []) == ""
    assert time_left([FOREST], [_result("full", 100, 10)]) == ""
    assert time_left([], [_result("forest", 20, 10)]) == ""
