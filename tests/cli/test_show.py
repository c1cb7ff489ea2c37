"""Progress goes to standard error, results to standard output."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from geoseg.cli.show import Bars, Lines, print_table, progress_bars
from geoseg.errors import StoppedError


def test_away_from_a_terminal_progress_is_a_line_at_the_end_of_each_piece_of_work(capsys):
    with progress_bars(quiet=False) as progress:
        progress.start("Training", 2)
        progress.advance(note="loss 0.5")
        progress.advance(note="loss 0.4")
        progress.say("Done.")

    out, err = capsys.readouterr()
    assert err.splitlines() == ["Training: 2/2, loss 0.4, 0 s", "Done."]
    assert out == ""


def test_long_work_says_now_and_then_how_much_is_left(capsys, monkeypatch):
    clock = iter([0.0, 9.0, 20.0, 21.0])
    monkeypatch.setattr("geoseg.cli.show.time.monotonic", lambda: next(clock))
    lines = Lines()

    lines.start("Predicting", 8)
    for _ in range(3):
        lines.advance()

    assert capsys.readouterr().err == "Predicting: 2/8, 60 s left\n"


def test_quiet_is_quiet_but_for_warnings(capsys):
    with progress_bars(quiet=True) as progress:
        progress.start("Training", 1)
        progress.advance()
        progress.say("Done.")
        progress.warn("3 points were dropped.")

    assert capsys.readouterr() == ("", "Warning: 3 points were dropped.\n")


def test_what_a_library_prints_during_the_work_is_no_result(capsys):
    with progress_bars(quiet=True):
        print("Downloading ...")  # noqa: T201 -- as torch.hub does
    print("{}")  # noqa: T201

    assert capsys.readouterr() == ("{}\n", "Downloading ...\n")


def test_ctrl_c_during_the_work_is_an_error_of_the_tree():
    with pytest.raises(StoppedError, match="stopped"), progress_bars(quiet=True):
        raise KeyboardInterrupt


def test_on_a_terminal_each_piece_of_work_has_a_bar():
    screen = io.StringIO()
    columns = [TextColumn("{task.description} {task.completed}/{task.total} {task.fields[note]}")]
    with Progress(*columns, console=Console(file=screen, width=80), auto_refresh=False) as drawn:
        bars = Bars(drawn)
        bars.advance()  # before any work: nothing to show
        bars.start("Reading masks", 3)
        bars.advance(3)
        bars.start("Training", 4)
        bars.advance(2, "loss 0.50")
        bars.advance()
        bars.say("[5 points] dropped")

    lines = [line.strip() for line in screen.getvalue().splitlines()]
    assert lines == ["[5 points] dropped", "Reading masks 3/3", "Training 3/4 loss 0.50"]


def test_a_table_keeps_long_cells_whole_where_there_is_no_terminal(capsys):
    print_table(["class", "IoU %"], [["a" * 70, "12.5"], ["b", "-"]])

    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["class", "IoU", "%"], ["a" * 70, "12.5"], ["b", "-"]]
    assert lines[1].endswith("12.5")
