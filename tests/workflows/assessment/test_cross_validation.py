from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest

from geoseg.domain.raster_stacks import stacked_files
from geoseg.errors import PointsError, SettingsError
from geoseg.settings import EvaluateSettings
from geoseg.workflows.assessment.cross_validation import cross_validate, side_px
from geoseg.workflows.inputs import open_rasters

pytestmark = pytest.mark.filterwarnings("ignore::geoseg.errors.GeoSegWarning")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["quick", "forest"])
def test_each_point_is_scored_once_by_place_and_once_at_random(dataset, points, recipe):
    found = cross_validate(
        EvaluateSettings(subject=dataset, points=points, cross_validate=True, recipe=recipe)
    )

    record = found.to_record()
    for scores in (record, record["at_random"]):
        assert np.sum(scores["at_points"]["confusion"]) == scores["points"]
    assert record["statement"].startswith("Cross-validation by place: overall accuracy ")
    assert "Random folds: overall accuracy " in record["statement"]


def test_points_in_one_place_by_class_are_too_few(dataset, tmp_path):
    (tmp_path / "few.csv").write_text("image,row,col,class\neast,40,10,field\neast,40,48,wood\n")
    settings = EvaluateSettings(
        subject=dataset, points=tmp_path / "few.csv", cross_validate=True, recipe="forest"
    )

    with pytest.raises(PointsError, match="too few for a cross-validation: each class lies in one place"):
        cross_validate(settings)


def test_cross_validation_without_points_is_refused(raster):
    with pytest.raises(SettingsError, match="cross-validation needs points"):
        EvaluateSettings(subject=raster, cross_validate=True)


@pytest.mark.slow
def test_auto_is_cross_validated_with_learning_curves_and_blocks_in_metres(dataset, points, tmp_path):
    settings = EvaluateSettings(
        subject=dataset,
        points=points,
        cross_validate=True,
        recipe="auto",
        block="16m",
        learning_curve=True,
        more_points=5,
        picture=tmp_path / "curve.png",
    )
    record = cross_validate(settings).to_record()

    assert record["block_px"] == 16
    assert (tmp_path / "curve.png").stat().st_size > 1000
    curves = record["learning_curve"]
    assert set(curves["by_class"]) == {"field", "wood", "water"}
    assert len(curves["statements"]) == 4


@pytest.mark.parametrize(("text", "pixels"), [("64", 64), (64, 64), ("16m", 8), ("0.5m", 1), (None, None)])
def test_a_block_is_given_in_pixels_or_metres(write_tiff, tmp_path, text, pixels):
    path = write_tiff(tmp_path / "r.tif", np.zeros((4, 4), np.uint8), pixel_m=2)
    settings = EvaluateSettings(subject=path, points=path, cross_validate=True, block=text)
    with ExitStack() as stack:
        assert side_px(settings.block, open_rasters({"r": path}, None, stack)) == pixels


@pytest.mark.parametrize("text", ["0", "12.5", "5km", "m"])
def test_a_block_of_another_form_is_refused(text):
    with pytest.raises(SettingsError, match="block"):
        EvaluateSettings(subject="r.tif", points="p.gpkg", cross_validate=True, block=text)


def test_a_stack_takes_the_place_of_the_raster():
    settings = EvaluateSettings(stack=("a.tif", "b.tif"), points="p.gpkg", cross_validate=True)
    assert [path.name for path in stacked_files(settings.subject)] == ["a.tif", "b.tif"]
