from __future__ import annotations

import pytest

from geoseg.geodata.points.tables.class_columns import describe_candidates, guess_class_column

NUMBERS = [str(number) for number in range(1, 37)]
PHOTOS = [f"IMG_{number}.jpg" for number in range(36)]
LAND = ["field", "wood", "water"] * 12


@pytest.mark.parametrize(
    "name",
    ["class", "Label", "LANDCOVER", "klasse", "classe", "clase", "type", "category", "code", "Land Use"],
)
def test_a_usual_name_is_taken_whatever_its_case(name):
    assert guess_class_column({"fid": NUMBERS, "id": NUMBERS, name: LAND}) == (name, [])


@pytest.mark.parametrize("values", [NUMBERS, PHOTOS, [f"2024-05-01T10:{n:02d}" for n in range(36)]])
@pytest.mark.parametrize("name", ["class", "label", "type", "code", "id"])
def test_values_that_nearly_all_differ_are_no_classes(name, values):
    assert guess_class_column({name: values}) == (None, [name])
    assert guess_class_column({name: [*values, values[0]]}) == (None, [name])


def test_a_column_of_numbers_is_passed_over_for_one_of_classes():
    assert guess_class_column({"label": PHOTOS, "landcover": LAND}) == ("landcover", ["label"])


def test_one_point_of_each_class_is_still_a_class():
    assert guess_class_column({"class": ["field", "wood", "water"]}) == ("class", [])
    assert guess_class_column({"id": ["17", "18", "19", "20"]}) == (None, ["id"])


def test_names_of_the_legend_are_classes_however_few_points_there_are():
    names = [f"class {letter}" for letter in "abcdefghijklmnopqrst"]

    assert guess_class_column({"class": names}) == (None, ["class"])
    assert guess_class_column({"class": names}, names) == ("class", [])


def test_an_id_that_repeats_is_the_class_only_where_nothing_else_may_be():
    codes = ["0", "1", "2"] * 12

    assert guess_class_column({"id": codes, "x": codes}) == ("id", [])
    assert guess_class_column({"id": codes, "bestand": LAND}) == (None, [])


def test_empty_columns_are_passed_over():
    assert guess_class_column({"type": [], "code": LAND}) == ("code", [])


def test_a_name_is_a_class_in_formats_without_other_columns():
    assert guess_class_column({"name": LAND}) == (None, [])
    assert guess_class_column({"name": LAND}, has_names=True) == ("name", [])


def test_candidates_are_named_with_some_of_their_values():
    columns = {
        "id": NUMBERS,
        "bestand": LAND,
        "photo": PHOTOS,
        "stage": list("abcdef") * 6,
        "weight": ["1", "2"] * 18,
    }

    assert describe_candidates(columns) == "bestand (field, water, wood); stage (a, b, c, d, ...)"
