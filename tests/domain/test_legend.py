from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.domain.legend import LandClass, Legend, legend_from_names, legend_from_records
from geoseg.errors import LegendError

RECORDS = [
    {"id": 0, "name": "water", "color": "#0000ff"},
    {"id": 1, "name": "bare land", "color": "#d2a06e"},
]


def test_a_legend_gives_names_ids_and_colours():
    legend = legend_from_records(RECORDS)

    assert len(legend) == 2
    assert legend.names == ("water", "bare land")
    assert legend.id_of("bare land") == 1
    assert legend.rgb.tolist() == [[0, 0, 255], [210, 160, 110]]
    assert legend.rgb.dtype == np.uint8


def test_records_are_sorted_by_id_and_come_back_as_they_were():
    assert legend_from_records(RECORDS[::-1]).to_records() == RECORDS


def test_colours_are_kept_in_lower_case():
    assert legend_from_records([{"id": 0, "name": "a", "color": "#ABCDEF"}]).classes[0].color == "#abcdef"


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(LegendError, match=r"no class 'ice'; expected one of water, bare land"):
        legend_from_records(RECORDS).id_of("ice")


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ({"water": 0}, "not a legend"),
        ("water", "not a legend"),
        ([], "not a legend"),
        (None, "not a legend"),
        (["water"], "cannot be read"),
        ([{"id": 0, "name": "a"}], "'color'"),
        ([{"id": "0", "name": "a", "color": "#000000"}], "not a whole number"),
        ([{"id": True, "name": "a", "color": "#000000"}], "not a whole number"),
        ([{"id": 1, "name": "a", "color": "#000000"}], "count up from 0"),
        ([RECORDS[0], RECORDS[0]], "count up from 0"),
        ([RECORDS[0], {**RECORDS[0], "id": 1}], "unique"),
        ([{"id": 0, "name": " ", "color": "#000000"}], "not empty"),
        ([{"id": 0, "name": "a", "color": "red"}], "no usable colour"),
        ([{"id": 0, "name": "a", "color": "#0000000"}], "no usable colour"),
    ],
)
def test_what_is_not_a_legend_is_refused_by_file_and_fault(records, said):
    with pytest.raises(LegendError, match=r"^legend\.json: ") as caught:
        legend_from_records(records, where="legend.json")

    assert said in str(caught.value)


def test_a_legend_has_between_1_and_255_classes():
    assert len(legend_from_names(map(str, range(255)))) == 255
    for count in (0, 256):
        with pytest.raises(LegendError, match=f"1 to 255; got {count}"):
            legend_from_names(map(str, range(count)))


@settings(deadline=None)
@given(st.integers(1, 255))
def test_classes_without_colours_get_colours_that_differ(count):
    legend = legend_from_names(map(str, range(count)))

    assert len({c.color for c in legend.classes}) == count


def test_names_get_ids_in_their_order_and_colour_blind_safe_colours():
    assert legend_from_names(["b", "a"]) == Legend(
        (LandClass(0, "b", "#e69f00"), LandClass(1, "a", "#56b4e9"))
    )
