import io
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from geoseg.pictures.sheet import lay_out, open_sheet, wrap


def test_text_breaks_between_words_into_lines_that_fit():
    text = "Road and rail networks and associated land"
    lines = wrap(text, 160, 14).split("\n")
    assert len(lines) > 2
    assert " ".join(lines) == text
    sheet = open_sheet(400, 100)
    assert all(sheet.text(0, 0, line, size=14).get_window_extent().width <= 160 for line in lines)


def test_a_word_wider_than_the_space_breaks_within():
    lines = wrap("Siedlungsentwässerungsanlagen", 100, 14).split("\n")
    assert len(lines) > 1
    assert "".join(lines) == "Siedlungsentwässerungsanlagen"


def test_text_past_the_last_line_is_cut():
    assert wrap("Road and rail networks and associated land", 160, 14, lines=2).endswith("…")


@pytest.mark.parametrize("text", ["Cost $100 & $x$ pits", "_hidden", r"\frac$"])
def test_signs_of_formulas_are_drawn_as_they_are(text):
    sheet = open_sheet(800, 100)
    sheet.suptitle(text)
    lay_out(sheet)
    assert not sheet._suptitle.get_parse_math()


def test_pictures_are_drawn_in_threads_alike():
    def draw(_):
        sheet = open_sheet(200, 100)
        sheet.text(0.1, 0.5, "same")
        out = io.BytesIO()
        sheet.savefig(out)
        return out.getvalue()

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(draw, range(6)))) == 1


def test_no_window_system_is_asked_for():
    assert "geoseg.pictures.sheet" in sys.modules
    assert open_sheet(10, 10).canvas.manager is None
