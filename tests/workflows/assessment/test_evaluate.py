"""Evaluate: one confusion matrix, truth in rows; what is unlabelled does not count, what is unmapped is missed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from geoseg.domain.points import CHECK, join_points, make_points
from geoseg.errors import GeoSegWarning, OutputError, PointsError, RasterError, SettingsError
from geoseg.geodata.datasets.legend_files import write_legend
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.geodata.points.point_files import write_points
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.settings import EvaluateSettings, PredictSettings
from geoseg.workflows.assessment.evaluate import evaluate
from geoseg.workflows.mapping.predict import predict

TRUTH = np.array([[0, 0, 1], [1, 1, 255]], np.uint8)
MAPPED = np.array([[0, 1, 1], [1, 255, 0]], np.uint8)


@pytest.fixture
def scored(write_tiff, classes, tmp_path):
    """Compare a map of six pixels with its truth, or with what the options say."""
    class_map = write_tiff(tmp_path / "map.tif", MAPPED, nodata=255)
    truth = write_tiff(tmp_path / "truth.tif", TRUTH, nodata=255)
    write_legend(tmp_path / "legend.json", classes, True)

    def run(**options):
        compared = options if "points" in options else {"truth": truth, **options}
        return evaluate(EvaluateSettings(subject=class_map, legend=tmp_path / "legend.json", **compared))

    return run


def test_a_map_of_six_pixels_is_scored_as_by_hand(scored):
    record = scored().to_record()

    # Five labelled pixels: 0 0 1 1 1 are mapped as 0 1 1 1 and nothing. No pixel is water.
    said = {name: record.pop(name) for name in ("is_accuracy", "statement", "points", "notes")}
    assert said == {"is_accuracy": True, "statement": None, "points": None, "notes": []}
    assert record.pop("warnings") == []
    assert record.pop("images") == {"map": record}
    assert record == {
        "miou": 0.5,
        "overall_accuracy": 0.6,
        "iou": {"field": 0.5, "wood": 0.5, "water": None},
        "f1": {"field": pytest.approx(2 / 3), "wood": pytest.approx(2 / 3), "water": None},
        "precision": {"field": 1.0, "wood": pytest.approx(2 / 3), "water": None},
        "recall": {"field": 0.5, "wood": pytest.approx(2 / 3), "water": None},
        "confusion": [[1, 1, 0], [0, 2, 0], [0, 0, 0]],
        "unmapped": [0, 1, 0],
        "pixels": 5,
    }
    json.dumps(record, allow_nan=False)


def test_a_mask_and_points_at_once_are_refused(scored, tmp_path):
    with pytest.raises(SettingsError, match="with a mask and points in one run"):
        scored(points=tmp_path / "p.csv", truth=tmp_path / "truth.tif")


def test_a_map_is_scored_at_points(scored, write_tiff, classes, tmp_path):
    info = describe_raster(tmp_path / "map.tif")
    where = make_points("map", [0, 0.4, 1], [0, 0.6, 0], [0, 0, 0])  # the second lies in row 0, column 1
    write_points(tmp_path / "points.gpkg", where, {"map": info}, classes, overwrite=False)

    record = scored(points=tmp_path / "points.gpkg").to_record()

    assert record["confusion"] == [[1, 2, 0], [0, 0, 0], [0, 0, 0]]
    assert record["iou"] == {"field": pytest.approx(1 / 3), "wood": None, "water": None}


@pytest.mark.filterwarnings("ignore:They lie at x", "ignore:training points. not an accuracy")
def test_points_that_name_the_raster_are_found_on_its_map(model, dataset, points, tmp_path):
    rasters = tuple(dataset / "images" / f"{name}.tif" for name in ("east", "west"))
    for raster in rasters:
        predict(PredictSettings(model=model, rasters=(raster,), output=tmp_path / f"map-{raster.name}"))
    given = {"points": points, "allow_training_points": True}

    with pytest.warns(GeoSegWarning, match=r"^Dropped 15 of 30 points: 15 on other images\.$") as told:
        of_maps = [
            evaluate(EvaluateSettings(subject=tmp_path / f"map-{raster.name}", **given)) for raster in rasters
        ]
    for raster in rasters:
        # The map is known by its own name and by that of its raster: it is one raster all the same.
        assert [w for w in told if f"; the raster map-{raster.name} lies at x " in str(w.message)]
    of_model = evaluate(EvaluateSettings(subject=model, data=dataset, split="train", **given))

    matrices = [scores.accuracy.confusion for scores in of_maps]
    assert [int(m.sum()) for m in matrices] == [15, 15]
    np.testing.assert_array_equal(sum(matrices), of_model.accuracy.confusion)


def test_without_a_crs_points_of_several_rasters_are_not_taken_for_the_maps(write_tiff, classes, tmp_path):
    plain = write_tiff(tmp_path / "map.tif", MAPPED, crs=None)
    write_legend(tmp_path / "legend.json", classes, False)
    (tmp_path / "one.csv").write_text("image,row,col,class\na,0,0,field\na,0,2,wood\n")
    (tmp_path / "two.csv").write_text("image,row,col,class\na,0,0,field\nb,0,2,wood\n")
    given = {"subject": plain, "legend": tmp_path / "legend.json"}

    with pytest.warns(GeoSegWarning, match=r"fewer than 3 points: 'field' \(1\), 'wood' \(1\)"):
        scores = evaluate(EvaluateSettings(points=tmp_path / "one.csv", **given))

    assert scores.accuracy.overall_accuracy == 1
    with pytest.raises(PointsError, match="2 on an unknown image"):
        evaluate(EvaluateSettings(points=tmp_path / "two.csv", **given))


@pytest.fixture(scope="module")
def north(model, raster, tmp_path_factory):
    """The map of the held-out raster."""
    path = tmp_path_factory.mktemp("maps") / "north.tif"
    predict(PredictSettings(model=model, rasters=(raster,), output=path, window=64))
    return path


def test_a_model_scores_as_its_map_does(model, dataset, north):
    of_model = evaluate(EvaluateSettings(subject=model, data=dataset, window=64))
    of_map = evaluate(EvaluateSettings(subject=north, truth=dataset / "masks" / "north.tif"))

    np.testing.assert_array_equal(of_model.accuracy.confusion, of_map.accuracy.confusion)


def test_a_model_that_knows_its_images_scores_high_on_them(model, dataset):
    exact = {"device": "cpu", "precision": "float32"}

    with pytest.warns(GeoSegWarning, match="30 training points, so the scores are not those of new places"):
        scores = evaluate(EvaluateSettings(subject=model, data=dataset, split="train", **exact))

    assert scores.accuracy.overall_accuracy > 0.8


def test_images_are_summed_into_one_matrix(model, dataset):
    with pytest.warns(GeoSegWarning, match="30 training points"):
        scores = evaluate(EvaluateSettings(subject=model, data=dataset, split="train"))

    assert list(scores.images) == ["east", "west"]
    parts = [own.confusion for own in scores.images.values()]
    np.testing.assert_array_equal(scores.accuracy.confusion, parts[0] + parts[1])


@pytest.fixture
def spread(raster, classes, tmp_path):
    """Seven points on the held-out raster: four to train on (field), three to check with (water)."""
    infos = {"north": describe_raster(raster)}
    train = make_points("north", [20.0, 40, 60, 95], [5.0, 5, 5, 5], [0, 0, 0, 0])
    check = make_points("north", [20.0, 40, 60], [90.0, 90, 90], [2, 2, 2])
    check.role[:] = CHECK
    write_points(tmp_path / "points.csv", join_points([train, check]), infos, classes, overwrite=False)
    return tmp_path / "points.csv"


@pytest.mark.parametrize(("role", "rows"), [("all", [4, 0, 3]), ("train", [4, 0, 0]), ("check", [0, 0, 3])])
def test_a_model_is_scored_at_the_points_of_a_role(model, raster, spread, north, role, rows):
    values, _, _ = read_class_map(north)
    expected = np.zeros((3, 4), np.int64)
    for class_id, row, col in [(0, r, 5) for r in (20, 40, 60, 95)] + [(2, r, 90) for r in (20, 40, 60)]:
        expected[class_id, values[row, col]] += rows[class_id] > 0

    scores = evaluate(EvaluateSettings(subject=model, data=raster, points=spread, role=role, window=64))

    np.testing.assert_array_equal(scores.accuracy.confusion, expected)
    assert scores.accuracy.confusion.sum(axis=1).tolist() == rows


def test_points_without_the_role_are_refused(model, dataset, points):
    with pytest.raises(PointsError, match="no point has the role 'check'"):
        evaluate(EvaluateSettings(subject=model, data=dataset, split="train", points=points, role="check"))


def test_the_confusion_matrix_is_drawn(scored, tmp_path):
    picture = tmp_path / "pictures" / "confusion.png"

    scored(picture=picture)

    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"
        assert min(drawn.size) > 200
    with pytest.raises(OutputError, match="--overwrite"):
        scored(picture=picture)


def test_a_mask_that_does_not_lie_on_the_map_is_refused(scored, write_tiff, tmp_path):
    shifted = write_tiff(tmp_path / "shifted.tif", TRUTH, index=0.002)
    larger = write_tiff(tmp_path / "larger.tif", np.zeros((2, 4), np.uint8))

    with pytest.raises(RasterError, match=r"shifted\.tif: wrong position or pixel size; .*up to 2 px away"):
        scored(truth=shifted)
    with pytest.raises(RasterError, match=r"larger\.tif: wrong size; expected 2 x 3 px; got 2 x 4 px"):
        scored(truth=larger)
