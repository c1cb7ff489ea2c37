"""Bad rasters, points and masks: one line that says what is wrong, where, what was expected and what to do; nothing half-written."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest

SETTINGS, RASTER, POINTS, LEGEND, DATASET, MODEL, OUTPUT = range(2, 9)


# Rasters


@pytest.fixture
def no_image(tmp_path):
    path = tmp_path / "notes.tif"
    path.write_text("this is text")
    return path


@pytest.fixture
def cut_short(tmp_path, write_tiff):
    noise = np.random.default_rng(0).integers(0, 255, (3, 300, 300), np.uint8)
    path = write_tiff(tmp_path / "cut.tif", noise)
    path.write_bytes(path.read_bytes()[:100_000])
    return path


def test_a_raster_that_is_not_there_is_named(geoseg, model, points, cheaply, tmp_path, assert_fails, files):
    nowhere, out = tmp_path / "nowhere.tif", tmp_path / "out" / "map.tif"

    assert_fails(geoseg("predict", model, nowhere, "-o", out), RASTER, f"{nowhere}: no such file", "Check")
    trained = geoseg("train", nowhere, "--points", points, *cheaply, "-o", tmp_path / "out" / "m.geoseg")
    assert_fails(trained, RASTER, f"{nowhere}: no such file")
    assert_fails(geoseg("info", nowhere), RASTER, f"{nowhere}: no such file")
    assert_fails(geoseg("evaluate", nowhere, "--truth", nowhere), RASTER, f"{nowhere}: no such file")
    assert_fails(geoseg("evaluate", model, nowhere), DATASET, f"{nowhere}: no such folder")
    assert files(tmp_path) == set()


def test_a_file_that_is_no_image_is_named_with_what_would_be_one(
    geoseg, model, no_image, tmp_path, assert_fails, files
):
    outcome = geoseg("predict", model, no_image, "-o", tmp_path / "map.tif")

    assert_fails(
        outcome,
        RASTER,
        f"{no_image}: this file is not a readable image",
        "expected a GeoTIFF",
        "got 12 bytes",
    )
    assert files(tmp_path) == {"notes.tif"}


def test_a_truncated_tiff_is_found_out_and_no_map_is_left(
    geoseg, model, cut_short, tmp_path, assert_fails, files
):
    made = ["-o", tmp_path / "map.tif", "--confidence", tmp_path / "confidence.tif"]

    outcome = geoseg("predict", model, cut_short, *made)

    assert_fails(outcome, RASTER, f"{cut_short}: the file is damaged or truncated", "download it again")
    assert files(tmp_path) == {"cut.tif"}


def test_a_truncated_tiff_cannot_be_trained_on(geoseg, cut_short, cheaply, tmp_path, assert_fails, files):
    points = tmp_path / "points.csv"
    rows = [
        f"{500_000.5 + n},{3_999_999.5 - n},EPSG:32617,{kind}\n"
        for n, kind in zip(range(0, 300, 9), "ab" * 17, strict=True)
    ]
    points.write_text("x,y,crs,class\n" + "".join(rows))

    outcome = geoseg("train", cut_short, "--points", points, *cheaply, "-o", tmp_path / "m.geoseg")

    assert_fails(outcome, RASTER, f"{cut_short}: the file is damaged or truncated")
    assert files(tmp_path) == {"cut.tif", "points.csv"}


def test_a_band_count_that_the_model_was_not_trained_for_is_refused(
    geoseg, model, write_tiff, tmp_path, assert_fails, files
):
    grey = write_tiff(tmp_path / "grey.tif", np.ones((64, 64), np.uint8))

    outcome = geoseg("predict", model, grey, "-o", tmp_path / "map.tif")

    assert_fails(outcome, RASTER, grey, "expected bands 1, 2, 3 (model.geoseg)", "got 1 band(s)")
    assert files(tmp_path) == {"grey.tif"}


@pytest.mark.parametrize(("pixel_m", "warns"), [(0.4, True), (0.6, False), (1.9, False), (2.5, True)])
def test_a_ground_resolution_off_by_more_than_a_factor_of_2_is_a_warning(
    geoseg, model, write_tiff, tmp_path, pixel_m, warns
):
    raster = write_tiff(tmp_path / "raster.tif", np.ones((3, 64, 64), np.uint8), pixel_m=pixel_m)

    outcome = geoseg("predict", model, raster, "-o", tmp_path / "map.tif")

    said = f"Warning: {raster} has pixels of {pixel_m} m, but the model was trained at 1 m"
    assert (said in outcome.err) is warns
    assert outcome.code == 0
    assert (tmp_path / "map.tif").exists()


# Points


def test_points_with_a_crs_on_a_raster_without_one_are_refused(
    geoseg, points, cheaply, write_tiff, tmp_path, assert_fails, files
):
    plain = write_tiff(tmp_path / "plain.tif", np.ones((3, 96, 96), np.uint8), crs=None)

    outcome = geoseg("train", plain, "--points", points, *cheaply, "-o", tmp_path / "m.geoseg")

    assert_fails(outcome, POINTS, points, "the points have a CRS and the raster has none", "gdal_edit.py")
    assert files(tmp_path) == {"plain.tif"}


def test_points_that_cannot_be_used_are_counted_and_named_and_the_rest_is_used(
    geoseg, raster, cheaply, tmp_path
):
    good = [(20 + 15 * n, col, name) for n in range(5) for col, name in ((10, "field"), (80, "water"))]
    outside = [(50, 300, "field"), (-40, 10, "field"), (50, 5000, "water")]
    on_nodata = [(3, 3, "field"), (5, 8, "water")]
    disputed = [(50, 50, "field"), (50, 50.25, "water")]
    row, col, name = zip(*good, *outside, *on_nodata, *disputed, strict=True)
    places = geopandas.points_from_xy(502_000.5 + np.array(col), 3_999_999.5 - np.array(row))
    table = geopandas.GeoDataFrame({"class": name}, geometry=places, crs="EPSG:32617")
    table.to_file(tmp_path / "field.gpkg")
    path = tmp_path / "m.geoseg"

    asked = ["--points", tmp_path / "field.gpkg", "--recipe", "pfce", *cheaply, "-o", path]
    outcome = geoseg("train", raster, *asked)

    said = "Warning: Dropped 7 of 17 points: 3 outside every raster, 2 on nodata, 2 two classes on one pixel."
    assert said in outcome.err.splitlines()
    assert "10 points on 1 raster(s), 2 of them held out (field 5, water 5)." in outcome.err.splitlines()
    assert outcome.code == 0
    assert path.exists()


def test_points_of_another_place_are_refused(geoseg, dataset, points, cheaply, tmp_path, assert_fails):
    elsewhere = dataset / "images" / "north.tif"

    outcome = geoseg("train", elsewhere, "--points", points, *cheaply, "-o", tmp_path / "m.geoseg")

    assert_fails(outcome, POINTS, points, "no usable point", "Dropped 30 of 30 points")


def test_a_class_that_the_legend_lacks_is_named(geoseg, raster, points, cheaply, tmp_path, assert_fails):
    legend = tmp_path / "legend.json"
    legend.write_text('[{"id": 0, "name": "field", "color": "#e0c050"}]')
    asked = ["--points", points, "--legend", legend, *cheaply, "-o", tmp_path / "m.geoseg"]

    outcome = geoseg("train", raster, *asked)

    assert_fails(
        outcome, LEGEND, points, "expected one of field", "'water' (10 points)", "'wood' (10 points)"
    )


def test_a_point_file_that_is_not_there_is_named(geoseg, raster, cheaply, tmp_path, assert_fails):
    outcome = geoseg("train", raster, "--points", tmp_path / "p.gpkg", *cheaply, "-o", tmp_path / "m.geoseg")

    assert_fails(outcome, POINTS, f"{tmp_path / 'p.gpkg'}: no such file")


def test_points_are_not_written_to_files_of_another_kind(geoseg, dataset, tmp_path, assert_fails, files):
    outcome = geoseg("points", "sample", dataset, "-o", tmp_path / "points.xlsx")

    assert_fails(
        outcome, OUTPUT, "points.xlsx", "a name that ends in .gpkg, .geojson, .json or .csv", "got .xlsx"
    )
    assert files(tmp_path) == set()


# Masks and datasets


def test_a_mask_of_another_size_is_refused(geoseg, own_dataset, write_tiff, tmp_path, assert_fails):
    mask = write_tiff(own_dataset / "masks" / "east.tif", np.zeros((95, 96), np.uint8))

    outcome = geoseg("points", "sample", own_dataset, "-o", tmp_path / "points.gpkg")

    assert_fails(outcome, RASTER, f"{mask}: wrong size", "expected 96 x 96 px", "got 95 x 96 px", "east.tif")
    assert not (tmp_path / "points.gpkg").exists()


def test_a_mask_of_another_place_is_refused(geoseg, own_dataset, model, write_tiff, assert_fails):
    mask = write_tiff(own_dataset / "masks" / "north.tif", np.zeros((96, 96), np.uint8), index=2.0005)

    outcome = geoseg("evaluate", model, own_dataset)

    assert_fails(
        outcome, RASTER, f"{mask}: wrong position or pixel size", "expected transform", "0.5 px away"
    )


def test_a_mask_with_a_class_that_the_legend_lacks_is_refused(
    geoseg, own_dataset, write_tiff, tmp_path, assert_fails
):
    mask = write_tiff(own_dataset / "masks" / "east.tif", np.full((96, 96), 7, np.uint8))

    outcome = geoseg("points", "sample", own_dataset, "-o", tmp_path / "points.gpkg")

    assert_fails(outcome, LEGEND, mask, "2 = water", "got 7 (9,216 pixels)", "--mask-values")


def test_a_dataset_without_a_legend_cannot_be_sampled(geoseg, own_dataset, tmp_path, assert_fails):
    (own_dataset / "legend.json").unlink()

    outcome = geoseg("points", "sample", own_dataset, "-o", tmp_path / "points.gpkg")

    assert_fails(outcome, LEGEND, own_dataset, "expected legend.json", "--legend")


def test_a_model_is_not_scored_with_another_legend(geoseg, own_dataset, model, assert_fails):
    text = (own_dataset / "legend.json").read_text()
    (own_dataset / "legend.json").write_text(text.replace("water", "lake"))

    outcome = geoseg("evaluate", model, own_dataset)

    assert_fails(outcome, LEGEND, own_dataset, "expected field, wood, water", "got field, wood, lake")


def test_a_split_that_is_not_there_is_named_with_those_that_are(geoseg, dataset, model, assert_fails):
    outcome = geoseg("evaluate", model, dataset, "--split", "val")

    assert_fails(outcome, DATASET, "no split 'val'", "expected one of: test, train")
