"""A class table renames, merges and leaves out classes."""

from __future__ import annotations

import pytest

from geoseg.domain.class_tables import ClassTable
from geoseg.domain.legend import LandClass, Legend
from geoseg.errors import LegendError

LEGEND = Legend(
    (
        LandClass(0, "asphalt", "#111111", 10),
        LandClass(1, "mud", "#222222", 20),
        LandClass(2, "gravel", "#333333", 30),
        LandClass(3, "water", "#444444", 40),
    )
)


def test_classes_are_renamed_without_case_and_others_stay() -> None:
    table = ClassTable({"asphalt": "road", "gravel": "road", "7": "water", "mud": ""})
    assert table.rename(["Asphalt", " gravel", "7.0", "mud", "grass", ""]).tolist() == [
        *("road", "road", "water", "", "grass", "")
    ]


def test_a_legend_is_merged_in_its_order_with_new_ids() -> None:
    merged = ClassTable({"asphalt": "road", "gravel": "road", "mud": ""}).merge(LEGEND)
    assert merged.classes == (LandClass(0, "road", "#111111"), LandClass(1, "water", "#444444"))


def test_a_merged_class_keeps_the_colour_of_the_class_that_had_its_name() -> None:
    merged = ClassTable({"asphalt": "gravel"}).merge(LEGEND)
    assert merged.classes[0] == LandClass(0, "gravel", "#333333")
    with pytest.raises(LegendError, match="leaves out every class"):
        ClassTable(dict.fromkeys(LEGEND.names, "")).merge(LEGEND)


def test_classes_that_no_point_has_are_found() -> None:
    assert ClassTable({"asphalt": "road", "grvel": "road"}).missing(["Asphalt", "gravel"]) == ("grvel",)
