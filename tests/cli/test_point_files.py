"""What the commands do with point files as people have them; a map that is the truth scores 100 %."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.transform import xy
from shapely import Point

from geoseg.geodata.datasets.legend_files import write_legend


@pytest.fixture
def truth(dataset, classes, tmp_path):
    """A class map without a fault, and its legend as options."""
    legend = tmp_path / "legend.json"
    write_legend(legend, classes, False)
    return dataset / "masks" / "north.tif", "--legend", legend


@pytest.fixture
def field(truth, classes):
    """Four points of each class, in the CRS of the map."""
    with rasterio.open(truth[0]) as mask:
        ids, transform, crs = mask.read(1), mask.transform, mask.crs
    places = [(row, col, k) for k in range(3) for row, col in np.argwhere(ids == k)[400:1600:300].tolist()]
    points = [Point(xy(transform, row, col)) for row, col, _ in places]
    return gpd.GeoDataFrame({"class": [classes.names[k] for *_, k in places]}, geometry=points, crs=crs)


def scores(geoseg, truth, points, *options):
    outcome = geoseg("evaluate", *truth, "--points", points, *options, "--json")
    assert outcome.code == 0, outcome.err
    record = json.loads(outcome.out)
    return record["pixels"], record["overall_accuracy"], outcome.err


def test_a_layer_and_the_points_of_each_polygon_can_be_chosen(geoseg, truth, field, tmp_path):
    path = tmp_path / "field.gpkg"
    field.assign(**{"class": "field"}).to_file(path, layer="old")
    field.set_geometry(field.buffer(1.2)).to_file(path, layer="polygons")

    pixels, accuracy, said = scores(geoseg, truth, path, "--layer", "polygons", "--per-polygon", "3")

    assert (pixels, accuracy) == (36, 1.0)
    assert "give up to 3 points each" in said
    assert scores(geoseg, truth, path)[1] < 1
    assert "layer 'old' (12 rows) is used, not 'polygons'" in scores(geoseg, truth, path)[2]


def test_a_spreadsheet_with_decimal_commas_is_read_in_the_crs_that_is_stated(geoseg, truth, field, tmp_path):
    path = tmp_path / "field.csv"
    rows = [f"{p.x:.1f};{p.y:.1f};{name}" for p, name in zip(field.geometry, field["class"], strict=True)]
    path.write_text("Rechtswert;Hochwert;Klasse\n" + "\n".join(rows).replace(".", ","), encoding="utf-16")

    assert scores(geoseg, truth, path, "--crs", "32617")[:2] == (12, 1.0)

    outcome = geoseg("evaluate", *truth, "--points", path)
    assert outcome.code == 4
    assert "Give the CRS of the points: --crs EPSG:<code>" in outcome.err


def test_a_column_of_numbers_is_refused_with_the_columns_that_may_hold_classes(
    geoseg, truth, field, tmp_path
):
    path = tmp_path / "field.gpkg"
    frame = field.rename(columns={"class": "bestand"}).assign(id=range(len(field)))
    frame.to_file(path)

    outcome = geoseg("evaluate", *truth, "--points", path)

    assert outcome.code == 4
    assert "nearly all values of column 'id' differ" in outcome.err
    assert "--class-column. Candidates: bestand (field, water, wood)." in outcome.err
    assert scores(geoseg, truth, path, "--class-column", "bestand")[:2] == (12, 1.0)
