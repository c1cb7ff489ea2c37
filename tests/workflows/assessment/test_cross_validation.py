from __future__ import annotations

import numpy as np
import pytest

from geoseg.errors import PointsError, SettingsError
from geoseg.settings import EvaluateSettings
from geoseg.workflows.assessment.cross_validation import cross_validate

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
