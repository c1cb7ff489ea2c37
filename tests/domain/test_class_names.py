from __future__ import annotations

import unicodedata

import pytest

from geoseg.domain.class_names import (
    few_points,
    ids_in_legend,
    ids_without_legend,
    near_duplicates,
)
from geoseg.domain.legend import LandClass, Legend, legend_from_names, normalise_name
from geoseg.errors import LegendError

LAND = legend_from_names(["field", "wood", "water"])


def test_names_are_compared_without_case_blanks_and_ways_to_write_an_umlaut():
    assert normalise_name(" Bare   Land ") == normalise_name("bare land")
    assert normalise_name(unicodedata.normalize("NFD", "Gewässer")) == normalise_name("GEWÄSSER")
    assert normalise_name("1.0") == normalise_name("1,0") == normalise_name("01") == "1"
    assert normalise_name("1.5") != normalise_name("1")


def test_spellings_that_are_equal_when_compared_are_one_class_spelt_as_most_points_spell_it():
    found = ids_without_legend(["wood", "wood ", "wood", "WATER", "water", "water", "field", ""], "f.csv")

    assert found.legend.names == ("field", "water", "wood")
    assert found.class_id.tolist() == [2, 2, 2, 1, 1, 1, 0, 0]
    assert found.warnings == (
        "Different spellings were merged into one class: 'wood' (2), 'wood ' (1) as 'wood'; 'WATER' (1), 'water' (2) as 'water'.",
    )


def test_codes_with_and_without_decimals_are_one_class_without_a_word():
    found = ids_without_legend(["10", "9.0", "9", "10.0"], "f.csv")

    assert found.legend.names == ("9", "10")
    assert (found.class_id.tolist(), found.warnings) == ([1, 0, 0, 1], ())


@pytest.mark.parametrize(
    ("names", "is_said"),
    [
        (["building", "buildng"], True),
        (["road", "roads"], True),
        (["water", "watre"], True),
        (["wood", "food"], False),
        (["class 1", "class 2"], False),
        (["sand", "sandy soil"], False),
        (["111", "112"], False),
        (["oak", "oaks"], False),
    ],
)
def test_names_that_differ_in_a_letter_are_warned_of(names, is_said):
    said = near_duplicates(names)

    assert bool(said) == is_said
    assert not is_said or repr(names[0]) in said[0]


def test_classes_with_one_or_two_points_are_warned_of():
    assert few_points([3, 2, 1, 0], ["a", "b", "c", "d"]) == (
        "Classes with fewer than 3 points: 'b' (2), 'c' (1).",
    )
    assert few_points([3, 4], ["a", "b"]) == ()


def test_names_of_a_legend_are_found_however_they_are_spelt_with_a_note():
    found = ids_in_legend(["water", "WATER", "wood "], LAND, "f.csv")

    assert found.class_id.tolist() == [2, 2, 1]
    assert found.notes == ("Read 'WATER' as 'water', 'wood ' as 'wood'.",)


def test_codes_that_are_names_are_read_as_names_also_with_decimals():
    """Ids of the legend would shift every class by one."""
    numbered = legend_from_names(["1", "2", "3"])

    assert ids_in_legend(["1.0", "2.0"], numbered, "f.csv").class_id.tolist() == [0, 1]


def test_codes_that_are_no_names_are_ids_with_a_note():
    found = ids_in_legend(["2", "0.0"], LAND, "f.csv")

    assert found.class_id.tolist() == [2, 0]
    assert found.notes == ("The numbers are read as ids of the legend: '0.0' as 'field', '2' as 'water'.",)
    assert found.warnings == ()


def test_codes_are_the_values_of_a_legend_that_has_values():
    valued = Legend((LandClass(0, "field", "#000000", 1), LandClass(1, "wood", "#ffffff", 2)))

    assert ids_in_legend(["1", "2"], valued, "f.csv").class_id.tolist() == [0, 1]
    with pytest.raises(LegendError, match=r"1 = field, 2 = wood; got '0'"):
        ids_in_legend(["0", "1"], valued, "f.csv")


def test_ids_that_may_count_from_one_are_warned_of():
    (said,) = ids_in_legend(["1", "2"], LAND, "f.csv").warnings

    assert said.startswith("No point has the id 0 (field).")


def test_codes_of_which_only_some_are_names_are_refused_beside_the_legend():
    with pytest.raises(LegendError) as caught:
        ids_in_legend(["0", "1", "1", "2"], legend_from_names(["1", "2", "3"]), "f.csv")

    assert caught.value.expected == "0 = 1, 1 = 2, 2 = 3"
    assert caught.value.got == "'0' (1 points), '1' (2 points), '2' (1 points)"


def test_a_code_past_the_legend_is_refused_beside_its_ids():
    with pytest.raises(LegendError, match=r"0 = field, 1 = wood, 2 = water; got '3' \(1 points\)"):
        ids_in_legend(["1", "2", "3"], LAND, "f.csv")


def test_a_misspelt_class_is_refused_with_the_name_it_is_like():
    with pytest.raises(LegendError, match=r"got 'watter' \(1 points\)\. Did you mean 'water' for 'watter'"):
        ids_in_legend(["wood", "watter"], LAND, "f.csv")


def test_a_name_that_two_classes_of_a_legend_share_when_compared_must_be_spelt_out():
    twice = legend_from_names(["Wood", "wood"])

    assert ids_in_legend(["wood", "Wood"], twice, "f.csv").class_id.tolist() == [1, 0]
    with pytest.raises(LegendError, match="'WOOD'"):
        ids_in_legend(["WOOD"], twice, "f.csv")


def test_more_classes_than_a_map_can_hold_are_refused_with_the_likely_cause():
    with pytest.raises(LegendError, match=r"f\.csv: wrong number of classes; .*--class-column"):
        ids_without_legend([f"photo {i}" for i in range(300)], "f.csv")
