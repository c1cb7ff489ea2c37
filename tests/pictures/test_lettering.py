import pytest

from geoseg.pictures.lettering import Lettering
from geoseg.pictures.sheet import open_sheet

FONT = Lettering(20)


def test_text_breaks_between_words_into_lines_that_fit():
    text = "Road and rail networks and associated land"
    lines = FONT.wrap(text, 160).split("\n")
    assert len(lines) > 2
    assert " ".join(lines) == text
    assert all(FONT.width_px(line) <= 160 for line in lines)


def test_a_word_wider_than_the_space_breaks_within():
    lines = FONT.wrap("Siedlungsentwässerungsanlagen", 100).split("\n")
    assert "".join(lines) == "Siedlungsentwässerungsanlagen"
    assert all(FONT.width_px(line) <= 100 for line in lines)


def test_no_text_takes_no_space():
    assert FONT.wrap("", 100) == ""
    assert FONT.width_px("") == 0
    assert FONT.height_px("") == 0


@pytest.mark.parametrize("text", ["forest", "Cost $100 & $x$ pits", "_hidden", r"\frac"])
def test_text_is_drawn_as_wide_as_foreseen_even_with_signs_of_formulas(text):
    sheet = open_sheet(800, 100)
    FONT.write(sheet, text, left=10, top=10)
    box = sheet.texts[0].get_window_extent()
    assert box.x0 == pytest.approx(10, abs=2)
    assert box.width == pytest.approx(FONT.width_px(text), rel=0.06)


def test_lines_stay_inside_the_height_foreseen():
    sheet = open_sheet(300, 200)
    FONT.write(sheet, "Àg\nÀg", left=0, top=50)
    boxes = [text.get_window_extent() for text in sheet.texts]
    assert max(box.y1 for box in boxes) <= 150 + 3
    assert min(box.y0 for box in boxes) >= 150 - FONT.height_px("Àg\nÀg") - 3
