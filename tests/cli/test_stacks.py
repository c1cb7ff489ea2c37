"""Bands in separate files, and folders of rasters, from the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import pytest
import rasterio

from geoseg.errors import SettingsError
from geoseg.geodata.reading.identity import raster_identity
from geoseg.settings import PredictSettings, TrainSettings


@pytest.fixture
def bands(raster: Path, tmp_path: Path) -> list[Path]:
    """The bands of the raster in separate files: two of 8 bits, and one of 16 bits with another nodata value."""
    paths = []
    with rasterio.open(raster) as source:
        for band, (dtype, nodata) in enumerate((("uint8", 0), ("int16", -9), ("uint8", 0)), start=1):
            path = tmp_path / f"scene_{band}.tif"
            values = source.read(band).astype(dtype)
            values[source.read_masks(band) == 0] = nodata
            profile = {**source.profile, "count": 1, "dtype": dtype, "nodata": nodata}
            with rasterio.open(path, "w", **profile) as target:
                target.write(values, 1)
            paths.append(path)
    return paths


def test_a_stack_of_bands_is_mapped_as_the_raster_that_holds_them(geoseg, model, raster, bands, tmp_path):
    assert geoseg("predict", model, raster, "-o", tmp_path / "whole.tif", "-q").code == 0
    (tmp_path / "maps").mkdir()
    outcome = geoseg("predict", model, "--stack", *bands, "-o", tmp_path / "maps", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["maps"][0]["class_map"] == str(tmp_path / "maps" / "scene.tif")
    listed = tmp_path / "bands.txt"
    listed.write_text("\n".join(path.name for path in bands))
    assert geoseg("predict", model, listed, "-o", tmp_path / "listed.tif").code == 0
    with rasterio.open(tmp_path / "whole.tif") as whole:
        expected = whole.read(1)
    for path in (tmp_path / "maps" / "scene.tif", tmp_path / "listed.tif"):
        with rasterio.open(path) as found:
            assert (found.read(1) == expected).all()


def test_a_model_is_trained_and_scored_on_a_stack(geoseg, dataset, bands, cheaply, tmp_path):
    drawn, target = tmp_path / "drawn.gpkg", tmp_path / "stack.geoseg"
    assert geoseg("points", "sample", dataset, "--split", "test", "--per-class", "8", "-o", drawn).code == 0
    # The points name the image that they were drawn on.
    table = tmp_path / "points.csv"
    frame = gpd.read_file(drawn, layer="points")
    frame.assign(x=frame.geometry.x, y=frame.geometry.y)[["x", "y", "class"]].to_csv(table, index=False)
    named = ["--points", table, "--crs", "EPSG:32617"]
    outcome = geoseg("train", "--stack", *bands, *named, "--recipe", "pfce", "-o", target, *cheaply)
    assert outcome.code == 0, outcome.err
    assert f"geoseg predict {target} --stack {bands[0]} {bands[1]} {bands[2]} -o map.tif" in outcome.out
    assert "3 bands of 3 files are stacked on the grid of scene_1.tif." in outcome.err
    scored = geoseg("evaluate", target, "--stack", *bands, *named, "--allow-training-points", "--json")
    assert scored.code == 0, scored.err
    assert sum(map(sum, json.loads(scored.out)["confusion"])) == 24


def test_a_raster_and_a_stack_together_are_refused(geoseg, tmp_path):
    outcome = geoseg("train", "a.tif", "--points", "p.gpkg", "-o", "m.geoseg", "--stack", "b.tif", "c.tif")
    assert outcome.code == SettingsError.exit_code
    assert "either data or stack can be given, not both" in outcome.err
    neither = geoseg("train", "--points", "p.gpkg", "-o", "m.geoseg")
    assert neither.code == SettingsError.exit_code
    assert "DATA: a required setting is missing" in neither.err


def test_recorded_settings_of_a_stack_are_read_again():
    settings = TrainSettings(stack=("a.tif", "b.tif"), points="p.gpkg", output="m.geoseg")
    assert TrainSettings(**settings.model_dump(mode="json")) == settings
    predicting = PredictSettings(model="m.geoseg", stack=("a.tif", "b.tif"), output="map.tif")
    assert PredictSettings(**predicting.model_dump(mode="json")) == predicting


def test_an_unfinished_map_of_a_stack_notices_a_changed_band(bands):
    stack = PredictSettings(model="m.geoseg", stack=bands, output="map.tif").rasters[0]
    before = raster_identity(stack)
    bands[1].write_bytes(bands[1].read_bytes() + b"\0")
    assert raster_identity(stack) != before
