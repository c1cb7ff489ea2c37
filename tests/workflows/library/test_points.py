"""Points as objects and tables, and points drawn from a mask."""

import geopandas
import numpy as np
import pandas as pd
import pytest

import geoseg
from geoseg import Points, SettingsError, sample_points


def test_points_drawn_from_an_array_lie_on_pixels_of_their_class(scene):
    truth = scene[1]

    points = sample_points(truth, per_class=4, seed=3, legend=["field", "wood", "water"])

    assert points["class"].value_counts().to_dict() == {"field": 4, "wood": 4, "water": 4}
    at = truth[points["row"].astype(int), points["col"].astype(int)]
    np.testing.assert_array_equal(at, points["class_id"])
    assert (points.crs, points.geometry.x.tolist()) == (None, (points["col"] + 0.5).tolist())
    again = sample_points(truth, per_class=4, seed=3, legend=["field", "wood", "water"])
    pd.testing.assert_frame_equal(pd.DataFrame(points), pd.DataFrame(again))


def test_points_of_a_file_are_those_of_the_command(dataset, tmp_path):
    mask = dataset / "masks" / "east.tif"
    drawn = sample_points(mask, per_class=5, seed=7)
    geoseg.sample(data=dataset, split="train", per_class=5, seed=7, output=tmp_path / "p.gpkg")

    command = geopandas.read_file(tmp_path / "p.gpkg", layer="points")

    command = command[command["image"] == "east"].reset_index(drop=True)
    assert drawn["class"].tolist() == command["class"].tolist()
    assert drawn.geometry.geom_equals_exact(command.geometry, 1e-6).all()
    assert drawn.crs == command.crs


def test_a_transform_and_a_crs_place_an_array(scene):
    transform = (2.0, 0.0, 500_000.0, 0.0, -2.0, 4_000_000.0)

    points = sample_points(scene[1], per_class=2, transform=transform, crs="EPSG:32617")

    assert points.crs == "EPSG:32617"
    np.testing.assert_allclose(points.geometry.x, 500_000 + 2 * (points["col"] + 0.5))
    np.testing.assert_allclose(points.geometry.y, 4_000_000 - 2 * (points["row"] + 0.5))


def test_tiles_and_other_values_for_no_class_are_understood(scene):
    truth = np.where(scene[1] == 255, -1, scene[1].astype(int))

    points = sample_points(truth, per_class=1, tile=48, ignore_index=-1)

    assert len(points) > 3
    assert set(points["class"]) == {"0", "1", "2"}


def test_points_drawn_from_an_array_train_a_model_of_it(scene):
    points = sample_points(scene[1], per_class=20, legend=["field", "wood", "water"])

    segmenter = geoseg.PointSegmenter("forest", patch=64, prior="none", nodata=0).fit(scene[0], points)

    assert segmenter.classes_.tolist() == ["field", "wood", "water"]
    assert geoseg.evaluate(segmenter.predict(scene[0]), scene[1]).overall_accuracy > 0.85


def test_a_table_goes_to_an_object_and_back(dataset, points, tmp_path):
    east = dataset / "images" / "east.tif"
    frame = geopandas.read_file(points, layer="points")

    placed = Points.from_geodataframe(frame[frame["image"] == "east"].to_crs("EPSG:4326"), east)

    assert len(placed) == 15
    assert placed.counts() == {"field": 5, "water": 5, "wood": 5}
    assert repr(placed) == "Points(15 on 1 raster(s): field 5, wood 5, water 5)"
    back = placed.to_geodataframe()
    assert back.crs == "EPSG:32617"
    original = frame[frame["image"] == "east"]
    np.testing.assert_allclose(back["row"], original["row"], atol=1e-3)
    placed.to_file(tmp_path / "points.geojson")
    assert len(geopandas.read_file(tmp_path / "points.geojson")) == 15
    with pytest.raises(geoseg.OutputError, match="overwrite=True"):
        placed.to_file(tmp_path / "points.geojson")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"per_class": 0}, r"^per_class: .* got 0\.$"),
        ({"places": "roof"}, r"^places: .* got roof\.$"),
        ({"crs": "EPSG:no"}, r"^crs: .* got EPSG:no\.$"),
        ({"legend": "field"}, r"^legend: this is no legend"),
    ],
)
def test_wrong_arguments_are_named_as_in_python(scene, arguments, message):
    with pytest.raises(SettingsError, match=message):
        sample_points(scene[1], **arguments)


def test_a_mask_without_labels_is_an_error():
    with pytest.raises(geoseg.LegendError, match="all pixels are unlabelled"):
        sample_points(np.full((8, 8), 255))
    with pytest.raises(geoseg.PointsError, match="no pixel to draw"):
        sample_points(np.full((8, 8), 255), legend=["field"])
