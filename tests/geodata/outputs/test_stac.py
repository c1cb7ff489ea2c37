from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from affine import Affine

from geoseg.geodata.outputs.stac import stac_item
from geoseg.geodata.outputs.styles import class_style
from geoseg.geodata.reading.rasters import describe_raster


def test_an_item_says_where_the_map_lies_and_what_its_values_mean(write_raster, legend, tmp_path) -> None:
    info = describe_raster(write_raster(np.zeros((40, 60))))
    files = {
        "class_map": tmp_path / "maps" / "map.tif",
        "areas_csv": tmp_path / "maps" / "map.areas.csv",
        "confidence": tmp_path / "sure" / "map.tif",
    }
    item = stac_item(info, legend, files, model={"mlm:name": "a model"})
    assert (item["type"], item["stac_version"], item["id"]) == ("Feature", "1.1.0", "map")
    west, south, east, north = item["bbox"]
    assert west < east
    assert south < north
    # 500,000 m east is the zone's central meridian: 81 degrees west.
    assert west == pytest.approx(-81, abs=1e-3)
    ring = item["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    # Counterclockwise, by the sum over the edges.
    assert sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in pairwise(ring)) < 0
    assert item["properties"]["proj:code"] == "EPSG:32617"
    assert item["properties"]["proj:shape"] == [40, 60]
    assert item["properties"]["mlm:name"] == "a model"
    assert [c["name"] for c in item["assets"]["class_map"]["classification:classes"]] == list(legend.names)
    assert item["assets"]["areas_csv"]["type"] == "text/csv"
    assert item["assets"]["class_map"]["href"] == "./map.tif"
    assert item["assets"]["confidence"]["href"] == "../sure/map.tif"


def test_without_a_crs_there_is_no_footprint(write_raster, legend, tmp_path) -> None:
    info = describe_raster(write_raster(np.zeros((4, 6)), crs=None, transform=Affine.identity()))
    item = stac_item(info, legend, {"class_map": tmp_path / "map.tif"}, model={})
    assert item["geometry"] is None
    assert "bbox" not in item
    assert "gsd" not in item["properties"]


def test_the_style_has_an_entry_for_each_class(legend) -> None:
    root = ET.fromstring(class_style(legend).split("\n", 1)[1])
    renderer = root.find("./pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.get("type") == "paletted"
    entries = [(e.get("value"), e.get("label"), e.get("color")) for e in renderer.iter("paletteEntry")]
    assert entries == [(str(c.id), c.name, c.color) for c in legend.classes]
