"""Accuracy of maps that are arrays, tables or files."""

import geopandas
import numpy as np
import pytest
import rasterio

import geoseg
from geoseg import SettingsError, evaluate

MAP = np.array([[0, 0, 1, 1], [0, 1, 1, 1]])
TRUTH = np.array([[0, 0, 1, 1], [0, 0, 1, 255]])


def test_arrays_are_compared_pixel_by_pixel():
    scores = evaluate(MAP, TRUTH)

    assert scores.confusion.tolist() == [[3, 1, 0], [0, 3, 0]]
    assert scores.overall_accuracy == 6 / 7
    assert scores.miou == 0.75
    assert scores.legend.names == ("0", "1")


def test_scores_print_as_a_table_in_a_terminal_and_in_a_notebook():
    scores = evaluate(MAP, TRUTH, legend=["field", "water & ice"])

    lines = str(scores).splitlines()
    assert repr(scores) == str(scores)
    assert lines[0].split() == ["IoU", "%", "F1", "%", "precision", "%", "recall", "%", "pixels"]
    assert lines[1].split() == ["field", "75.0", "85.7", "100.0", "75.0", "4"]
    assert lines[-1] == "mIoU 75.0 %, overall accuracy 85.7 %"
    html = scores._repr_html_()
    assert "<table" in html
    assert "water &amp; ice" in html


def test_scores_become_a_table_of_fractions():
    frame = evaluate(MAP, TRUTH, legend=["field", "water"]).to_frame()

    assert frame.columns.tolist() == ["iou", "f1", "precision", "recall", "pixels", "unmapped"]
    assert frame.index.tolist() == ["field", "water"]
    assert frame.loc["field", "recall"] == 0.75


def test_what_the_map_leaves_out_counts_as_an_error_and_prints():
    found = MAP.copy()
    found[0, 0] = 255

    scores = evaluate(found, TRUTH)

    assert scores.overall_accuracy == 5 / 7
    assert "unmapped" in str(scores)


def test_another_value_may_stand_for_no_class():
    truth = np.where(TRUTH == 255, -1, TRUTH)

    assert evaluate(MAP, truth, ignore_index=-1).confusion.tolist() == [[3, 1, 0], [0, 3, 0]]


def test_points_as_rows_columns_and_classes_are_looked_up():
    points = np.array([(0, 0, 0), (1, 1, 0), (0, 3, 1)])

    with pytest.warns(geoseg.GeoSegWarning, match=r"fewer than 3 points: '0' \(2\), '1' \(1\)"):
        scores = evaluate(MAP, points)

    assert scores.confusion.tolist() == [[1, 1, 0], [0, 1, 0]]
    assert "points" in str(scores).splitlines()[0]


def test_files_are_compared_as_the_command_does(fitted, raster, dataset, points, tmp_path):
    made = geoseg.predict_raster(fitted, raster, tmp_path / "map.tif")
    truth = dataset / "masks" / "north.tif"

    by_file = evaluate(made.class_map, truth)
    by_array = evaluate(fitted.predict(raster), truth, legend=fitted.legend_)
    mixed = evaluate(made.class_map, rasterio.open(truth).read(1))

    assert by_file.confusion.tolist() == by_array.confusion.tolist() == mixed.confusion.tolist()
    assert by_file.legend.names == ("field", "wood", "water")
    command = geoseg.evaluate_files(subject=made.class_map, truth=truth)
    assert command.confusion.tolist() == by_file.confusion.tolist()


@pytest.mark.filterwarnings("ignore:They lie at x")
def test_a_map_file_is_compared_with_points_of_any_kind(fitted, dataset, points, tmp_path):
    east = dataset / "images" / "east.tif"
    made = geoseg.predict_raster(fitted, east, tmp_path / "map.tif")
    frame = geopandas.read_file(points, layer="points")

    with pytest.warns(geoseg.GeoSegWarning, match="Dropped 15 of 30 points: 15 on other images"):
        by_file = evaluate(made.class_map, points)
    with pytest.warns(geoseg.GeoSegWarning, match="Dropped 15 of 30 points: 15 on other images"):
        by_frame = evaluate(made.class_map, frame.to_crs("EPSG:3857")[["class", "image", "geometry"]])
    with pytest.warns(geoseg.GeoSegWarning, match="Dropped 15 of 30 points: 15 on an unknown image"):
        by_object = evaluate(made.class_map, geoseg.Points.from_file(points, east))

    assert by_file.confusion.sum() == 15
    assert by_file.confusion.tolist() == by_frame.confusion.tolist() == by_object.confusion.tolist()


@pytest.mark.parametrize(
    ("found", "reference", "message"),
    [
        (
            MAP,
            TRUTH[:1],
            r"^reference: the map and the mask differ in shape; expected \(2, 4\); got \(1, 4\)",
        ),
        (MAP + 0.5, TRUTH, r"^class_map: the array holds values that are no class; .* got 0\.5, 1\.5\.$"),
        (MAP, TRUTH - 1, r"^reference: .* expected class ids 0 to 254, or 255 .* got -1\.$"),
        (MAP.astype(str), TRUTH, r"^class_map: this is no array of class ids"),
        (MAP, "a", r"^.*"),
        (MAP, {"a": 1}, r"^points: these are no points; .* got dict\.$"),
    ],
)
def test_what_cannot_be_compared_is_named(found, reference, message):
    with pytest.raises((SettingsError, geoseg.PointsError), match=message):
        evaluate(found, reference)


def test_a_class_that_the_legend_lacks_is_an_error():
    with pytest.raises(geoseg.LegendError):
        evaluate(MAP, TRUTH, legend=["field"])
