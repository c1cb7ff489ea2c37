import pytest

from geoseg.settings.training import TrainingOptions


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ((1, 2), 4)),
        ({"speed": "fast"}, ((1,), 4)),
        ({"speed": "best"}, ((1, 2), 8)),
        ({"speed": "fast", "scales": 2, "augmentations": 1}, ((1, 2), 1)),
    ],
)
def test_the_speed_sets_scales_and_augmentations_unless_they_are_given(given, expected):
    options = TrainingOptions(**given)
    assert (options.image_scales, options.views) == expected
