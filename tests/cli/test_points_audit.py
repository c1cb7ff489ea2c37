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


def test_a_split_says_what_lies_in_both_files_and_what_comes_next(geoseg, tmp_path):
    path = tmp_path / "field.csv"
    rows = [(0.01 * i, 0.01 * j, ("wood", "water")[(i + j) % 2]) for i in range(6) for j in range(6)]
    path.write_text("lon,lat,class\n" + "\n".join(f"{12 + x},{55 + y},{name}" for x, y, name in rows))
    outcome = geoseg("points", "split", path, "--check", "0.25", "--by-place", "-o", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert "blocks of 1,392 m hold the check points" in outcome.out
    assert (
        f"Next: geoseg train RASTER.tif --points {tmp_path}/out/field-train.gpkg -o model.geoseg"
        in outcome.out
    )
    again = geoseg("points", "split", path, "-o", tmp_path / "out", "--overwrite", "--json")
    record = json.loads(again.out)
    assert sum(pair["train"] + pair["check"] for pair in record["by_class"].values()) == 36
