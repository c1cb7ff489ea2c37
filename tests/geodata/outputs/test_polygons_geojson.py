"""A map's polygons as GeoJSON are those of its GeoPackage, in longitude and latitude."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine

from geoseg.domain.mapping.prediction import Strip
from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.outputs.polygons import polygon_writer
from geoseg.geodata.outputs.polygons_geojson import class_polygons_geojson
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.rasters import describe_raster

DEGREE = Affine(0.001, 0, 10, 0, -0.001, 50)
"""Pixels of a thousandth degree from 10 east, 50 north."""


def collection(class_ids: np.ndarray, info: RasterInfo, legend, **options: float) -> dict[str, Any]:
    confidence = np.where(class_ids == 255, 255, 127).astype(np.uint8)
    found: dict[str, Any] = json.loads(class_polygons_geojson(class_ids, confidence, info, legend, **options))
    return found


def test_polygons_are_in_longitude_and_latitude_with_all_properties(write_raster, legend) -> None:
    class_ids = np.array([[0, 0, 2], [0, 0, 255]], np.uint8)
    info = describe_raster(write_raster(class_ids, crs="EPSG:4326", transform=DEGREE))
    found = collection(class_ids, info, legend)
    assert found["type"] == "FeatureCollection"
    field, water = sorted(found["features"], key=lambda f: f["properties"]["class_id"])
    assert field["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[10.0, 50.0], [10.0, 49.998], [10.002, 49.998], [10.002, 50.0], [10.0, 50.0]]],
    }
    properties = field["properties"]
    assert {k: properties[k] for k in ("class_id", "class", "pixels", "confidence")} == {
        "class_id": 0,
        "class": "field",
        "pixels": 4,
        "confidence": 0.5,
    }
    # A thousandth degree at 50 north: 111.23 m to the north, 71.70 m to the east.
    assert properties["area_m2"] == pytest.approx(4 * 111.23 * 71.70, rel=1e-3)
    assert water["properties"]["class"] == "water"
    assert set(water) == {"type", "properties", "geometry"}


def test_polygons_are_those_of_the_geopackage(write_raster, legend, tmp_path) -> None:
    class_ids = np.random.default_rng(0).integers(0, 3, (40, 30)).astype(np.uint8)
    class_ids[:5, :5] = 255
    confidence = np.random.default_rng(1).integers(0, 255, class_ids.shape).astype(np.uint8)
    info = describe_raster(write_raster(class_ids))
    with polygon_writer(tmp_path / "a.gpkg", info, legend, overwrite=False) as writer:
        writer.write(Strip(0, Window(0, 0, 40, 30), class_ids, confidence))
    wanted = geopandas.read_file(tmp_path / "a.gpkg", layer="classes").to_crs(4326)
    (tmp_path / "a.geojson").write_text(class_polygons_geojson(class_ids, confidence, info, legend))
    found = geopandas.read_file(tmp_path / "a.geojson")
    assert found.crs.to_epsg() == 4326
    names = ["class_id", "class", "pixels", "area_m2", "confidence"]
    assert found[names].values.tolist() == wanted[names].values.tolist()
    assert shapely.equals_exact(
        found.geometry.to_numpy(), wanted.geometry.to_numpy(), tolerance=1e-7, normalize=True
    ).all()


def test_exterior_rings_run_anticlockwise_and_holes_clockwise(write_raster, legend) -> None:
    class_ids = np.zeros((5, 5), np.uint8)
    class_ids[2, 2] = 1
    for transform in (Affine(1, 0, 500000, 0, -1, 4000000), Affine(1, 0, 500000, 0, 1, 4000000)):
        info = describe_raster(write_raster(class_ids, transform=transform))
        rings = [
            shapely.LinearRing(ring)
            for feature in collection(class_ids, info, legend)["features"]
            for ring in feature["geometry"]["coordinates"]
        ]
        assert sorted(ring.is_ccw for ring in rings) == [False, True, True]


def test_coordinates_have_seven_decimals_at_most(write_raster, legend) -> None:
    class_ids = np.indices((9, 9)).sum(axis=0).astype(np.uint8) % 3
    info = describe_raster(write_raster(class_ids))
    text = class_polygons_geojson(class_ids, class_ids, info, legend)
    for feature in json.loads(text, parse_float=str)["features"]:
        for place in feature["geometry"]["coordinates"][0]:
            assert all(len(number.partition(".")[2]) <= 7 for number in place)


def test_regions_across_many_rows_are_one_polygon(write_raster, legend) -> None:
    class_ids = np.zeros((600, 3), np.uint8)
    info = describe_raster(write_raster(class_ids))
    (feature,) = collection(class_ids, info, legend)["features"]
    assert feature["properties"]["pixels"] == 1800
    assert feature["properties"]["area_m2"] == pytest.approx(1800)
    assert len(feature["geometry"]["coordinates"][0]) == 5


def test_outlines_are_simplified(write_raster, legend) -> None:
    class_ids = np.zeros((40, 40), np.uint8)
    class_ids[np.triu_indices(40, 3)] = 2
    info = describe_raster(write_raster(class_ids))
    whole = collection(class_ids, info, legend)["features"]
    smooth = collection(class_ids, info, legend, simplify_m=1.5)["features"]
    corners = [sum(len(f["geometry"]["coordinates"][0]) for f in found) for found in (whole, smooth)]
    assert corners[1] < corners[0] / 4


def test_an_empty_map_is_an_empty_collection(write_raster, legend) -> None:
    info = describe_raster(write_raster(np.zeros((4, 4))))
    assert collection(np.full((4, 4), 255, np.uint8), info, legend) == {
        "type": "FeatureCollection",
        "features": [],
    }


def test_a_raster_without_crs_is_refused(write_raster, legend) -> None:
    class_ids = np.zeros((4, 4), np.uint8)
    info = describe_raster(write_raster(class_ids, crs=None))
    with pytest.raises(RasterError, match="has no usable georeference"):
        class_polygons_geojson(class_ids, class_ids, info, legend)


def test_a_crs_that_leads_nowhere_is_refused(write_raster, legend) -> None:
    class_ids = np.zeros((4, 4), np.uint8)
    info = replace(describe_raster(write_raster(class_ids)), crs='LOCAL_CS["site",UNIT["metre",1]]')
    with pytest.raises(RasterError, match="has no usable georeference"):
        class_polygons_geojson(class_ids, class_ids, info, legend)


def test_places_outside_a_projection_are_refused(write_raster, legend) -> None:
    class_ids = np.zeros((4, 4), np.uint8)
    far = Affine(1, 0, 1e30, 0, -1, 1e30)
    info = replace(describe_raster(write_raster(class_ids)), transform=tuple(far)[:6])
    with pytest.raises(RasterError, match="has no usable georeference"):
        class_polygons_geojson(class_ids, class_ids, info, legend)
