"""What several verbs read first: what cannot be used is named with its file."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from geoseg.domain.ports import NullProgress
from geoseg.errors import DatasetError, PointsError
from geoseg.geodata.points.point_tables import PointOptions
from geoseg.workflows.inputs import find_inputs, open_rasters, read_usable_points


def test_points_that_all_lie_on_nodata_are_named_with_their_file(dataset, classes, tmp_path):
    """The images have a hole in the north-west."""
    path = tmp_path / "points.csv"
    path.write_text("image,row,col,class\neast,3,4,wood\neast,5,6,water\n")

    with ExitStack() as stack:
        rasters = open_rasters({"east": dataset / "images" / "east.tif"}, None, stack)
        with pytest.raises(
            PointsError,
            match=r"points\.csv: no usable point; got Dropped 2 of 2 points: 2 on nodata\.",
        ):
            read_usable_points(path, rasters, legend=classes, options=PointOptions(), progress=NullProgress())


def test_a_plain_folder_of_rasters_gives_each_of_them(dataset, tmp_path):
    found = find_inputs(dataset / "images", split="train", legend=None)
    assert list(found.images) == ["east", "north", "west"]
    with pytest.raises(DatasetError, match=r"the folder has no rasters"):
        find_inputs(tmp_path, split=None, legend=None)
