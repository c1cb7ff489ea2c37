"""Points that a model learnt from are no check of its map, and points that a map does not cover are errors."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
from shapely.geometry import Point

from geoseg.domain.legend import legend_from_names
from geoseg.domain.points import make_points
from geoseg.domain.windows import Window
from geoseg.geodata.outputs.class_maps import class_map_writer, origin_tags
from geoseg.geodata.points.point_files import read_points
from geoseg.geodata.points.training_places import places_of
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.learning.model_record import read_record
from geoseg.settings import EvaluateSettings, PredictSettings
from geoseg.workflows.assessment.evaluate import TrainingPointsError, evaluate
from geoseg.workflows.mapping.predict import predict

# The scores and their records are promised here, the words of most warnings elsewhere: these warnings are not the subject.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*points are not covered by the map"),
    pytest.mark.filterwarnings("ignore:training points. not an accuracy"),
    pytest.mark.filterwarnings("ignore:.*points are training points and are excluded"),
    pytest.mark.filterwarnings("ignore:Dropped .* on other images"),
    pytest.mark.filterwarnings("ignore:They lie at x"),
    pytest.mark.filterwarnings("ignore:The area of these masks contains"),
    pytest.mark.filterwarnings("ignore:p.csv. Classes with fewer than"),
]

LEGEND = legend_from_names(["a", "b"])
TRAINED_AT = [(row + 0.3, 7 * row % 60 + 0.1) for row in range(20, 50)]


@pytest.fixture
def class_map(write_tiff, tmp_path):
    """A map of 64 x 64 px of one metre: a in columns 0 to 31, b in the others but for nodata in 56 to 63.

    Its model learnt from 30 points.
    """
    info = describe_raster(write_tiff(tmp_path / "raster.tif", np.zeros((64, 64), np.uint8)))
    rows, cols = map(list, zip(*TRAINED_AT, strict=True))
    places = places_of(make_points("raster", rows, cols, [0] * 30), {"raster": info}, "hash")
    values = np.repeat([[0, 1, 255]], [32, 24, 8], axis=1).repeat(64, axis=0).astype(np.uint8)
    origin = origin_tags({"file": "m.geoseg"}, places)
    with class_map_writer(tmp_path / "map.tif", info, LEGEND, overwrite=False, origin=origin) as writer:
        writer.write(Window(0, 0, 64, 64), values)
    return tmp_path / "map.tif"


@pytest.fixture
def written(class_map, tmp_path):
    """Write points, given by row, column and class, to a file of a format, a CRS and a number of decimals."""

    def write(places, name="p.gpkg", crs=32617, decimals=None):
        info = describe_raster(class_map)
        x, y = info.rowcol_to_xy(np.array([p[0] for p in places]), np.array([p[1] for p in places]))
        frame = gpd.GeoDataFrame(
            {"class": [p[2] for p in places]}, geometry=gpd.points_from_xy(x, y), crs=32617
        )
        frame = frame.to_crs(crs)
        if decimals is not None:
            rounded = [Point(round(p.x, decimals), round(p.y, decimals)) for p in frame.geometry]
            frame = frame.set_geometry(rounded, crs=crs)
        path = tmp_path / name
        frame.to_file(path)
        return path

    return write


def test_points_that_the_map_does_not_cover_count_as_errors(class_map, written):
    covered = [(2 * row, 40, "b") for row in range(10)]
    nodata = [(row, 60, "b") for row in range(5)]
    outside = [(row, 100, "a") for row in range(5)]

    scores = evaluate(EvaluateSettings(subject=class_map, points=written(covered + nodata + outside)))

    assert scores.accuracy.confusion.tolist() == [[0, 0, 5], [0, 10, 5]]
    assert scores.accuracy.overall_accuracy == 0.5
    record = scores.to_record()
    assert record["unmapped"] == [5, 5]
    assert record["points"] == {
        "scored": 20,
        "training": 0,
        "training_scored": 0,
        "on_nodata": 5,
        "outside": 5,
    }
    assert (
        "10 of 20 points are not covered by the map and count as errors (5 on its nodata, 5 outside"
        in scores.notes[0]
    )
    assert "Outside, they lie at x " in scores.notes[0]
    assert [text for text in scores.warnings if "lie at" in text] == list(scores.notes)
    assert record["is_accuracy"]


@pytest.mark.parametrize(
    ("name", "crs", "decimals", "part"),
    [
        ("p.gpkg", 32617, None, slice(None)),
        ("p.gpkg", 32617, None, slice(3, 8)),
        ("p.geojson", 4326, 6, slice(None, None, -1)),
        ("p.shp", 3857, 1, slice(None)),
        ("p.gpkg", 32617, 0, slice(None)),
        ("p.gpkg", 4326, 5, slice(10)),
    ],
)
def test_training_points_are_known_again_in_whatever_form_and_are_no_accuracy(
    class_map, written, name, crs, decimals, part
):
    points = written([(row, col, "a") for row, col in TRAINED_AT][part], name, crs, decimals)
    settings = EvaluateSettings(subject=class_map, points=points)

    with pytest.raises(TrainingPointsError, match="training points: not an accuracy") as refused:
        evaluate(settings)
    assert refused.value.evaluation.to_record()["statement"] == "training points: not an accuracy"
    allowed = evaluate(settings.model_copy(update={"allow_training_points": True}))
    assert not allowed.to_record()["is_accuracy"]
    assert allowed.points.training == allowed.points.scored


def test_among_other_points_training_points_are_left_out_and_counted(class_map, written):
    trained = [(row, col, "b") for row, col in TRAINED_AT]
    others = [(3, col, "a") for col in range(0, 30, 3)]

    scores = evaluate(EvaluateSettings(subject=class_map, points=written(trained + others)))

    assert scores.accuracy.confusion.tolist() == [[10, 0, 0], [0, 0, 0]]
    assert scores.points.to_record()["training"] == 30
    assert "30 of the points are training points and are excluded; the other 10 are scored" in scores.notes[0]
    assert scores.statement is None


def test_a_grid_of_round_coordinates_is_not_taken_for_rounded_training_points(class_map, written):
    # Every ten metres, at coordinates that are multiples of ten.
    grid = [(row, col, "a") for row in np.arange(9.5, 60, 10) for col in np.arange(9.5, 60, 10)]

    scores = evaluate(EvaluateSettings(subject=class_map, points=written(grid)))

    # A training point lies a pixel from one of them; within the rounding of ten metres lie most of them.
    assert scores.points.training <= 1


def test_the_command_prints_marked_scores_and_fails(geoseg, class_map, written, tmp_path):
    points = written([(row, col, "a") for row, col in TRAINED_AT])
    words = ("evaluate", class_map, "--points", points)

    refused = geoseg(*words, "--json", "--picture", tmp_path / "p.png")
    allowed = geoseg(*words, "--allow-training-points")

    assert refused.code == 4
    assert refused.err.count("not an accuracy") == 1
    assert json.loads(refused.out)["is_accuracy"] is False
    assert "training points: not an accuracy" in refused.err.splitlines()[-1]
    assert (tmp_path / "p.png").exists()
    assert allowed.code == 0
    assert allowed.out.startswith("training points: not an accuracy\n")


def test_the_table_has_a_column_for_unmapped_points(geoseg, class_map, written):
    outcome = geoseg("evaluate", class_map, "--points", written([(1, 1, "a"), (2, 60, "b")]))

    lines = [line.split() for line in outcome.out.splitlines()]
    assert lines[0][-2:] == ["points", "unmapped"]
    assert [line[-2:] for line in lines[1:3]] == [["1", "0"], ["1", "1"]]
    assert "Warning: 1 of 2 points are not covered" in outcome.err


def test_a_model_and_its_maps_know_their_training_points(model, dataset, points, raster, tmp_path):
    record = read_record(model)
    assert record.training_places.points == 30
    east = dataset / "images" / "east.tif"
    predict(PredictSettings(model=model, rasters=(east,), output=tmp_path / "map.tif"))

    for settings in (
        EvaluateSettings(subject=model, data=dataset, split="train", points=points),
        EvaluateSettings(subject=tmp_path / "map.tif", points=points),
    ):
        with pytest.raises(TrainingPointsError):
            evaluate(settings)
    of_mask = evaluate(EvaluateSettings(subject=tmp_path / "map.tif", truth=dataset / "masks" / "east.tif"))
    of_images = evaluate(EvaluateSettings(subject=model, data=dataset, split="train"))
    elsewhere = evaluate(EvaluateSettings(subject=model, data=dataset, split="test"))
    assert of_mask.notes == (
        "The area of these masks contains 15 training points, so the scores are not those of new places.",
    )
    assert "contains 30 training points" in of_images.notes[0]
    assert elsewhere.notes == ()


def test_points_without_a_crs_are_known_by_their_pixels(write_tiff, tmp_path):
    info = describe_raster(write_tiff(tmp_path / "raster.tif", np.zeros((8, 8), np.uint8), crs=None))
    (tmp_path / "p.csv").write_text("image,row,col,class\nraster,1,2,a\nraster,5,6,b\n")
    own = read_points(tmp_path / "p.csv", {"raster": info}, legend=LEGEND).points
    places = places_of(own, {"raster": info}, "hash")
    map_path = tmp_path / "map.tif"
    from geoseg.geodata.points.training_places import places_on

    origin = origin_tags({}, places_on(places, info, "raster"))
    with class_map_writer(map_path, info, LEGEND, overwrite=False, origin=origin) as writer:
        writer.write(Window(0, 0, 8, 8), np.zeros((8, 8), np.uint8))

    with pytest.raises(TrainingPointsError):
        evaluate(EvaluateSettings(subject=map_path, points=tmp_path / "p.csv"))
