"""HTTP parameters repeat the settings of the command line."""

from __future__ import annotations

import pytest

from geoseg.settings import PredictSettings
from geoseg.web.routes.payloads import JobQuery, PredictQuery


@pytest.mark.parametrize("query", [PredictQuery, JobQuery])
def test_parameters_have_the_description_and_default_of_the_setting_of_the_same_name(query):
    shared = query.model_fields.keys() & PredictSettings.model_fields.keys() - {"model", "confidence"}
    assert shared >= {"min_area", "tta", "nodata", "strict_nodata", "any_values"}
    for name in shared:
        setting, parameter = PredictSettings.model_fields[name], query.model_fields[name]
        assert parameter.description.startswith(setting.description), name
        assert parameter.default == setting.default, name
