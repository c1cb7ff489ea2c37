"""``geoseg points audit`` as the terminal shows it."""

from __future__ import annotations

import json

import pytest
from pyproj import Transformer

from geoseg.errors import SettingsError


@pytest.fixture
def field(tmp_path):
    """Points in degrees on the held-out raster of the dataset: one in its hole, one beside it, and their errors."""
    to_degrees = Transformer.from_crs("EPSG:32617", "EPSG:4326", always_xy=True)
    rows = [
        (40, 10, "field", 0.4),
        (60, 45, "wood", 0.3),
        (50, 90, "water", 3),
        (3, 3, "wood", 1),
        (200, 3, "wood", 1),
    ]
    lines = ["lon,lat,class,accuracy"]
    for row, col, name, error in rows:
        lon, lat = to_degrees.transform(502_000 + col + 0.5, 4_000_000 - row - 0.5)
        lines.append(f"{lon:.10f},{lat:.10f},{name},{error}")
    path = tmp_path / "field.csv"
    path.write_text("\n".join(lines))
    return path


def test_the_audit_is_printed_in_plain_words(geoseg, field, raster, tmp_path):
    outcome = geoseg("points", "audit", field, "--raster", raster, "-o", tmp_path / "audit.gpkg")
    assert outcome.code == 0, outcome.err
    assert "3 of 5 points can be used." in outcome.out
    for line in ("field       1", "on nodata              1", "outside every raster   1"):
        assert " ".join(line.split()) in [" ".join(found.split()) for found in outcome.out.splitlines()]
    assert (
        "CRS: points in WGS 84 (CRS84) (OGC:CRS84), raster in WGS 84 / UTM zone 17N (EPSG:32617)."
        in outcome.out
    )
    assert "expected accuracy: 0 m." in outcome.out
    assert "Spread: " in outcome.out
    assert "(column 'accuracy', 3 points): median 0.4 m" in outcome.out
    assert "They exceed half a pixel at 33% of the points" in outcome.out
    assert (tmp_path / "audit.gpkg").exists()


def test_the_audit_is_one_json_object(geoseg, field, raster):
    outcome = geoseg("points", "audit", field, "--raster", raster, "--json")
    record = json.loads(outcome.out)
    assert record["used"] == {"total": 3, "by_class": {"field": 1, "water": 1, "wood": 1}}
    assert record["dropped"]["by_reason"] == {"on nodata": 1, "outside every raster": 1}


def test_a_raster_is_needed(geoseg, field):
    outcome = geoseg("points", "audit", field)
    assert outcome.code == SettingsError.exit_code
    assert "--raster: a required setting is missing" in outcome.err
