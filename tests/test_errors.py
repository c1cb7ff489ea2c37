from __future__ import annotations

import pickle

import pytest

from geoseg import errors
from geoseg.errors import GeoSegError, OutputError, PointsError


def test_an_error_says_where_what_expected_got_and_what_to_do():
    error = PointsError(
        "a column cannot be used", where="field.csv", expected="numbers", got="'x'", hint="Mend it."
    )

    assert str(error) == "field.csv: a column cannot be used; expected numbers; got 'x'. Mend it."


def test_an_error_says_only_what_it_knows():
    assert str(GeoSegError("nothing to do")) == "nothing to do."
    assert str(GeoSegError("too many", got=0)) == "too many; got 0."
    assert str(GeoSegError("damaged", got="read failed.")) == "damaged; got read failed."


def test_an_error_survives_the_way_between_processes():
    error = OutputError("the disk is full", where="map.tif", hint="Free some space.")

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is OutputError
    assert str(copy) == str(error)
    assert copy.hint == "Free some space."


def test_every_kind_of_error_has_an_exit_code_of_its_own():
    kinds = [GeoSegError, *GeoSegError.__subclasses__()]

    assert len({kind.exit_code for kind in kinds}) == len(kinds)
    assert all(kind.exit_code > 0 for kind in kinds)


@pytest.mark.parametrize("kind", GeoSegError.__subclasses__())
def test_every_kind_of_error_is_in_the_one_tree(kind):
    assert getattr(errors, kind.__name__) is kind
