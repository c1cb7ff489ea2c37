"""The check of labels in the audit: reasons in the layer, numbers in JSON and in the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from tests.conftest import Command

WEST, NORTH = 500_000, 4_000_000


@pytest.fixture
def inputs(write_tiff, tmp_path: Path) -> tuple[Path, Path]:
    """A raster of 128 px, dark in the west and bright in the east, and 60 points; the label of the seventh is wrong."""
    rng = np.random.default_rng(0)
    values = rng.integers(20, 60, (3, 128, 128)).astype(np.uint8)
    values[:, :, 64:] += 150
    raster = write_tiff(tmp_path / "r.tif", values)
    cols = rng.integers(2, 126, 60)
    labels = np.where(cols < 64, "water", "sand")
    labels[6] = "sand" if labels[6] == "water" else "water"
    places = [
        shapely.Point(WEST + col + 0.5, NORTH - row - 0.5)
        for row, col in zip(rng.permutation(120)[:60] + 4, cols, strict=True)
    ]
    points = tmp_path / "p.gpkg"
    gpd.GeoDataFrame({"class": labels}, geometry=places, crs="EPSG:32617").to_file(points, driver="GPKG")
    return raster, points


@pytest.mark.parametrize("classifier", ["forest", "quick"])
def test_the_audit_names_a_suspicious_label(
    inputs: tuple[Path, Path], tmp_path: Path, geoseg: Command, classifier: str
) -> None:
    raster, points = inputs
    layer = tmp_path / "audit.gpkg"
    options = ["--raster", raster, "--suspicious", classifier, "-o", layer, "--overwrite"]
    done = geoseg("points", "audit", points, *options, "--json", "--quiet")
    record = json.loads(done.out)
    table = gpd.read_file(layer)
    label = table["class"][6]
    other = {"water": "sand", "sand": "water"}[label]
    assert record["suspicious_labels"]["checked"] == 60
    assert record["suspicious_labels"]["by_pair"] == {f"{label} looks like {other}": 1}
    assert record["used"]["total"] == 60
    assert record["dropped"]["by_reason"] == {}
    assert table["reason"].tolist() == [""] * 6 + [f"suspicious: looks like {other}"] + [""] * 53
    assert table["looks_like"][6] == other
    assert table["odds"][6] >= 10
    assert any("contradict the prediction from their features: 1." in text for text in record["warnings"])
    if classifier == "forest":
        said = geoseg("points", "audit", points, *options).out
        assert "Suspicious labels: 1 of 60 checked points" in said
