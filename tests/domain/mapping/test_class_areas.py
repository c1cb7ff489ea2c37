import numpy as np

from geoseg.domain.legend import legend_from_names
from geoseg.domain.mapping.class_areas import ClassAreas


def test_pixels_hectares_and_share_of_the_ground_of_each_class():
    areas = ClassAreas()
    areas.add(np.array([[0, 0, 1, 255]], np.uint8), 100.0)
    areas.add(np.array([[0, 1, 1, 255]], np.uint8), 200.0)
    field, wood, nodata = areas.to_records(legend_from_names(["field", "wood"]))
    assert field == {"id": 0, "name": "field", "pixels": 3, "hectares": 0.04, "share": 4 / 9}
    assert wood == {"id": 1, "name": "wood", "pixels": 3, "hectares": 0.05, "share": 5 / 9}
    assert nodata == {"id": 255, "name": "nodata", "pixels": 2, "hectares": 0.03, "share": None}


def test_pixels_of_one_strip_may_differ_in_area():
    areas = ClassAreas()
    areas.add(np.array([[0, 1], [1, 1], [0, 0]], np.uint8), [[10_000], [5_000], [1_000]])
    field, wood, _ = areas.to_records(legend_from_names(["field", "wood"]))
    assert (field["hectares"], wood["hectares"]) == (1.2, 2.0)
    assert (field["share"], wood["share"]) == (12 / 32, 20 / 32)


def test_a_raster_without_a_place_has_pixels_but_no_hectares():
    areas = ClassAreas()
    areas.add(np.zeros((2, 2), np.uint8), None)
    records = areas.to_records(legend_from_names(["field"]))
    assert [(r["pixels"], r["hectares"], r["share"]) for r in records] == [(4, None, 1.0), (0, None, None)]


def test_an_empty_map_has_no_shares():
    areas = ClassAreas()
    areas.add(np.full((2, 2), 255, np.uint8), 1.0)
    assert [r["share"] for r in areas.to_records(legend_from_names(["field"]))] == [None, None]
