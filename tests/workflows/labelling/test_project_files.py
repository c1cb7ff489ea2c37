"""The folder of a project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geoseg.errors import GeoSegError, OutputError, RasterError, SettingsError
from geoseg.geodata.projects.page_frames import page_frame
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.workflows.labelling.project_files import create_project, open_project

WriteTiff = Callable[..., Path]


@pytest.fixture
def raster(tmp_path: Path, write_tiff: WriteTiff) -> Path:
    return write_tiff(tmp_path / "data" / "scene.tif", np.ones((3, 8, 8), np.uint8))


def test_a_project_moves_together_with_its_raster(tmp_path: Path, raster: Path) -> None:
    create_project(tmp_path / "data" / "project", [raster])
    (tmp_path / "data").rename(tmp_path / "moved")
    found = open_project(tmp_path / "moved" / "project")
    assert found.rasters[0].path == tmp_path / "moved" / "scene.tif"
    assert found.name == "project"


def test_a_raster_joins_later_and_keeps_its_id(tmp_path: Path, raster: Path, write_tiff: WriteTiff) -> None:
    create_project(tmp_path / "project", [raster])
    other = write_tiff(tmp_path / "other.tif", np.ones((3, 8, 8), np.uint8), index=1)
    open_project(tmp_path / "project", [raster, other])
    assert [(one.id, one.name) for one in open_project(tmp_path / "project").rasters] == [
        ("r1", "scene"),
        ("r2", "other"),
    ]


def test_rasters_of_another_crs_or_of_the_same_name_do_not_join(
    tmp_path: Path, raster: Path, write_tiff: WriteTiff
) -> None:
    create_project(tmp_path / "project", [raster])
    same = write_tiff(tmp_path / "scene.tif", np.ones((3, 8, 8), np.uint8))
    foreign = write_tiff(tmp_path / "foreign.tif", np.ones((3, 8, 8), np.uint8), crs="EPSG:32633")
    bare = write_tiff(tmp_path / "bare.tif", np.ones((3, 8, 8), np.uint8), crs=None)
    for path in (same, foreign, bare):
        with pytest.raises(GeoSegError):
            open_project(tmp_path / "project", [path])
    assert len(open_project(tmp_path / "project").rasters) == 1


def test_folders_that_are_no_project_or_not_empty_are_refused(tmp_path: Path, raster: Path) -> None:
    with pytest.raises(SettingsError, match=r"project\.json"):
        open_project(tmp_path / "none")
    with pytest.raises(OutputError):
        create_project(raster.parent, [raster])
    with pytest.raises(RasterError):
        create_project(tmp_path / "empty", [])
    create_project(tmp_path / "project", [raster])
    (tmp_path / "project" / "project.json").write_text("{")
    with pytest.raises(SettingsError, match="damaged"):
        open_project(tmp_path / "project")


def test_a_sheared_or_bare_raster_is_shown_in_pixels(tmp_path: Path, write_tiff: WriteTiff) -> None:
    bare = page_frame(
        describe_raster(write_tiff(tmp_path / "bare.tif", np.ones((3, 6, 8), np.uint8), crs=None))
    )
    assert (bare.crs, bare.extent) == (None, (0, -6, 8, 0))
    assert bare.to_rowcol(2.5, -1.5) == (1.5, 2.5)
    from affine import Affine

    turned = Affine.translation(500_000, 4_000_000) @ Affine.rotation(30) @ Affine.scale(1, -1)
    path = write_tiff(tmp_path / "turned.tif", np.ones((3, 6, 8), np.uint8), transform=turned)
    frame = page_frame(describe_raster(path))
    assert frame.crs is None
    import shapely

    there = frame.file_geometry(shapely.Point(2, -3))
    assert (there.x, there.y) == pytest.approx(turned @ (2, 3))
    assert frame.page_geometry(there).coords[0] == pytest.approx((2, -3))
