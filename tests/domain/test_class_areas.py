import numpy as np

from geoseg.domain.class_areas import ClassAreas
from geoseg.domain.legend import legend_from_names


def test_pixels_and_hectares_of_each_class_and_of_nodata():
    areas = ClassAreas()
    areas.add(np.array([[0, 0, 1, 255]], np.uint8), 100.0)
    areas.add(np.array([[0, 1, 1, 255]], np.uint8), 200.0)
    field, wood, nodata = areas.to_records(legend_from_names(["field", "wood"]))
    assert field == {"id": 0, "name": "field", "pixels": 3, "hectares": 0.04, "share": 0.5}
    assert wood == {"id": 1, "name": "wood", "pixels": 3, "hectares": 0.05, "share": 0.5}
    assert nodata == {"id": 255, "name": "nodata", "pixels": 2, "hectares": 0.03, "share": None}


def test_a_raster_without_a_place_has_pixels_but_no_hectares():
    areas = ClassAreas()
    areas.add(np.zeros((2, 2), np.uint8), None)
    records = areas.to_records(legend_from_names(["field"]))
    assert [(r["pixels"], r["hectares"]) for r in records] == [(4, None), (0, None)]


def test_an_empty_map_has_no_shares():
    areas = ClassAreas()
    areas.add(np.full((2, 2), 255, np.uint8), 1.0)
    assert [r["share"] for r in areas.to_records(legend_from_names(["field"]))] == [None, None]
