import pytest

from geoseg.errors import SettingsError
from geoseg.settings import DemoSettings


def test_a_copy_with_a_name_that_is_no_setting_is_refused():
    settings = DemoSettings(seed=1)
    assert settings.model_copy(update={"seed": 2}).seed == 2
    with pytest.raises(SettingsError, match="rotations: there is no such setting"):
        settings.model_copy(update={"rotations": 2})
