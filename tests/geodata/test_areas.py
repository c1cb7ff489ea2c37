from __future__ import annotations

import warnings
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from PIL import Image

from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.areas import read_area
from geoseg.geodata.rasters import RasterInfo, describe_raster

UTM = "EPSG:32617"


@pytest.fixture
def info(write_raster) -> RasterInfo:
    """4 x 6 pixels of one metre; the corner of the first is at 500000, 4000000."""
    return describe_raster(write_raster(np.zeros((4, 6))))


def save(folder: Path, *shapes: object, crs: str | None = UTM, name: str = "area.gpkg") -> Path:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")
        geopandas.GeoDataFrame(geometry=list(shapes), crs=crs).to_file(folder / name)
    return folder / name


def inside(area, info: RasterInfo) -> list[list[int]]:
    return area.inside(Window(0, 0, info.height, info.width)).astype(int).tolist()


def test_a_pixel_is_inside_when_its_centre_is(tmp_path: Path, info) -> None:
    # From x 1.4 to 3.6 the centres 1.5, 2.5 and 3.5; from y -0.6 to -2 the centre -1.5 alone.
    box = shapely.box(500001.4, 3999998, 500003.6, 3999999.4)
    assert inside(read_area(save(tmp_path, box), info), info) == [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_windows_show_parts_of_the_same_area(tmp_path: Path, info) -> None:
    area = read_area(save(tmp_path, shapely.Point(500003, 3999998).buffer(1.8)), info)
    whole = area.inside(Window(-1, -1, 6, 8))
    assert np.array_equal(area.inside(Window(1, 2, 2, 3)), whole[2:4, 3:6])
    assert not area.inside(Window(40, 0, 2, 2)).any()
    assert area.inside(Window(0, 0, 0, 3)).shape == (0, 3)


def test_polygons_in_another_crs_are_brought_to_the_raster(tmp_path: Path, info) -> None:
    box = shapely.box(500001, 3999998, 500003, 3999999)
    degrees = geopandas.GeoSeries([box], crs=UTM).to_crs("EPSG:4326")
    degrees.to_file(tmp_path / "area.geojson")
    assert inside(read_area(tmp_path / "area.geojson", info), info)[1] == [0, 1, 1, 0, 0, 0]


def test_holes_collections_and_crossed_outlines_count_as_they_look(tmp_path: Path, info) -> None:
    ring = shapely.box(500000, 3999996, 500006, 4000000) - shapely.box(500001, 3999997, 500005, 3999999)
    line = shapely.LineString([(500000, 4000000), (500006, 3999996)])
    area = read_area(save(tmp_path, shapely.GeometryCollection([line, ring])), info)
    assert inside(area, info) == [[1] * 6, [1, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 1], [1] * 6]
    bow = shapely.Polygon([(500000, 4000000), (500004, 3999996), (500004, 4000000), (500000, 3999996)])
    crossed = read_area(save(tmp_path, bow, name="bow.gpkg"), info)
    # Two triangles that meet in the middle, one at the left and one at the right.
    assert [inside(crossed, info)[1][col] for col in (0, 3)] == [1, 1]
    assert [inside(crossed, info)[row][col] for row in (0, 3) for col in (1, 2)] == [0, 0, 0, 0]


def test_a_turned_raster_has_its_area_in_place(tmp_path: Path, write_raster) -> None:
    quarter = Affine.translation(500000, 4000000) @ Affine.rotation(90) @ Affine.scale(1, -1)
    info = describe_raster(write_raster(np.zeros((2, 3)), transform=quarter))
    # Columns run north and rows east: x = 500000 + row, y = 4000000 + col.
    area = read_area(save(tmp_path, shapely.box(500001, 4000000, 500002, 4000002)), info)
    assert inside(area, info) == [[0, 0, 0], [1, 1, 0]]


def test_without_a_crs_polygons_are_in_the_raster_own_coordinates(tmp_path: Path) -> None:
    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    info = describe_raster(tmp_path / "a.png")
    area = read_area(save(tmp_path, shapely.box(1, 0, 3, 1), crs=None, name="a.shp"), info)
    assert inside(area, info) == [[0, 1, 1], [0, 0, 0]]


def test_a_missing_or_foreign_file_is_named(tmp_path: Path, info) -> None:
    with pytest.raises(RasterError, match=r"area\.gpkg: no such file"):
        read_area(tmp_path / "area.gpkg", info)
    (tmp_path / "area.gpkg").write_text("not polygons")
    with pytest.raises(RasterError, match="cannot be read"):
        read_area(tmp_path / "area.gpkg", info)
    (tmp_path / "area.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RasterError, match="no geometries"):
        read_area(tmp_path / "area.csv", info)


def test_points_are_no_area(tmp_path: Path, info) -> None:
    with pytest.raises(RasterError, match="no polygon in this file"):
        read_area(save(tmp_path, shapely.Point(500001, 3999999)), info)


def test_a_crs_on_one_side_only_is_refused(tmp_path: Path, info) -> None:
    box = shapely.box(500000, 3999996, 500006, 4000000)
    with pytest.raises(RasterError, match="polygons have no CRS, but the raster has one"):
        read_area(save(tmp_path, box, crs=None, name="a.shp"), info)
    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    with pytest.raises(RasterError, match="polygons have a CRS, but the raster has none"):
        read_area(save(tmp_path, box), describe_raster(tmp_path / "a.png"))


def test_an_area_elsewhere_is_refused(tmp_path: Path, info) -> None:
    with pytest.raises(RasterError, match=r"no polygon touches the raster.*columns 100\.\.101"):
        read_area(save(tmp_path, shapely.box(500100, 3999998, 500101, 3999999)), info)
