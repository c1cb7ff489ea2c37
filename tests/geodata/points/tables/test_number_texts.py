from __future__ import annotations

import numpy as np
import pytest

from geoseg.geodata.points.tables.number_texts import find_decimal_mark, read_numbers


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["9.25", "-48"], [9.25, -48]),
        (["9,25", "48"], [9.25, 48]),
        (["500.123,5", "5.200.456,25"], [500123.5, 5200456.25]),
        (["500,123.5", "5,200,456"], [500123.5, 5200456]),
        (["500 123,5", "5\u00a0200\u202f456,25"], [500123.5, 5200456.25]),
        (["500'123.5", "5\u2019200\u2019456.25"], [500123.5, 5200456.25]),
        (["500.123", "5.200.456"], [500123, 5200456]),
        (["1,5E+05", "\u22122,5"], [150000, -2.5]),
        (["0,125", "2"], [0.125, 2]),
    ],
)
def test_numbers_are_read_as_spreadsheets_write_them(texts, numbers):
    assert read_numbers(texts, find_decimal_mark(texts)).tolist() == numbers


@pytest.mark.parametrize("text", ["", " ", "NULL", "<Null>", "nan", "#N/A"])
def test_a_cell_without_a_value_is_no_number(text):
    assert np.isnan(read_numbers([text], ".")).all()


def test_a_single_comma_before_three_digits_may_be_either():
    assert find_decimal_mark(["500,123", "200,456"]) is None


@pytest.mark.parametrize(
    ("text", "mark"), [("48.5", ","), ("west", "."), ("1_000", "."), ("9°12'", "."), ("inf", ".")]
)
def test_a_text_that_is_no_number_is_refused_by_its_own_words(text, mark):
    with pytest.raises(ValueError, match=text.replace("°", ".")):
        read_numbers([text], mark)
