"""Feature spaces: which vectors can be compared."""

import pytest

from geoseg.domain.feature_spaces import FeatureSpace, join_feature_spaces

NEW = FeatureSpace(128, "Tessera", "1.1")


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (NEW, False),
        (FeatureSpace(128, "Tessera", "1.0"), True),
        (FeatureSpace(64, "Tessera", "1.1"), True),
        (FeatureSpace(128, "AlphaEarth"), True),
        (FeatureSpace(128), False),
        (FeatureSpace(128, "Tessera"), False),
    ],
)
def test_spaces_differ_by_what_is_known_of_both(other, differs):
    assert NEW.differs_from(other) == other.differs_from(NEW) == differs


def test_what_is_known_of_one_space_only_is_told():
    assert NEW.is_known_as_well_as(FeatureSpace(64, "AlphaEarth", "1"))
    assert not NEW.is_known_as_well_as(FeatureSpace(128, "Tessera"))


def test_stacked_spaces_keep_the_names_of_their_parts():
    joined = join_feature_spaces([FeatureSpace(64, "AlphaEarth"), NEW])
    assert joined == FeatureSpace(192, "AlphaEarth + Tessera", "unknown + 1.1")
    assert join_feature_spaces([FeatureSpace(3), FeatureSpace(2)]) == FeatureSpace(5)
