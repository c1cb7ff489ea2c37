from __future__ import annotations

import json
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
from geoseg.geodata.areas_of_interest import read_area
from geoseg.geodata.reading.rasters import RasterInfo, describe_raster

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
    with pytest.raises(RasterError, match="the file has no polygon"):
        read_area(save(tmp_path, shapely.Point(500001, 3999999)), info)


def test_a_crs_on_one_side_only_is_refused(tmp_path: Path, info) -> None:
    box = shapely.box(500000, 3999996, 500006, 4000000)
    with pytest.raises(RasterError, match="polygons have no CRS, but the raster has one"):
        read_area(save(tmp_path, box, crs=None, name="a.shp"), info)
    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    with pytest.raises(RasterError, match="polygons have a CRS, but the raster has none"):
        read_area(save(tmp_path, box), describe_raster(tmp_path / "a.png"))


def test_an_area_elsewhere_is_refused_with_both_places(tmp_path: Path, info) -> None:
    with pytest.raises(
        RasterError,
        match=r"no polygon touches the raster\. They lie at x 500,100 to 500,100 and y 3,999,998 .* "
        r"the raster raster\.tif lies at x 500,000 to 500,006 and y 3,999,996 to 4,000,000",
    ):
        read_area(save(tmp_path, shapely.box(500100, 3999998, 500101, 3999999)), info)


def save_geojson(folder: Path, geometry: object) -> Path:
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    path = folder / "area.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def test_metres_that_say_they_are_degrees_are_refused_with_the_likely_crs(tmp_path: Path, info) -> None:
    ring = [[500001, 3999998], [500003, 3999998], [500003, 3999999], [500001, 3999998]]
    path = save_geojson(tmp_path, {"type": "Polygon", "coordinates": [ring]})

    with pytest.raises(RasterError, match=r"1 of 1 if their CRS were WGS 84 / UTM zone 17N \(EPSG:32617\)"):
        read_area(path, info)


@pytest.mark.parametrize("ring", [[[0, 0], [1, 1]], [[0, 0], [1, 1], [1, 0]]])
def test_a_ring_that_is_not_closed_is_an_error_that_says_so(tmp_path: Path, info, ring) -> None:
    path = save_geojson(tmp_path, {"type": "Polygon", "coordinates": [ring]})

    with pytest.raises(RasterError, match="a polygon in this file is invalid; expected closed rings"):
        read_area(path, info)


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]},
        {"type": "LineString", "coordinates": [[0, 0], [1, 1]]},
        {"type": "MultiPoint", "coordinates": [[0, 0], [1, 1]]},
        {"type": "Polygon", "coordinates": [[[1e308, 0], [-1e308, 1e308], [1, 0], [1e308, 0]]]},
    ],
)
def test_an_area_without_a_polygon_is_an_error(tmp_path: Path, info, geometry) -> None:
    with pytest.raises(RasterError, match=r"the file has no polygon|no polygon touches"):
        read_area(save_geojson(tmp_path, geometry), info)


def test_parts_and_heights_of_corners_do_no_harm(tmp_path: Path, info) -> None:
    corners = [[(500000, 4000000, 7), (500001, 4000000, 7), (500001, 3999999, 9), (500000, 3999999, 9)]]
    corners += [[(x + 5, y - 3, z) for x, y, z in corners[0]]]
    area = read_area(save(tmp_path, shapely.MultiPolygon([shapely.Polygon(c) for c in corners])), info)

    assert np.argwhere(inside(area, info)).tolist() == [[0, 0], [3, 5]]


@pytest.mark.parametrize(
    ("west", "cols"), [(0, [189, 190]), (-180, [9, 10]), (180, [9, 10]), (-360, [189, 190])]
)
def test_longitudes_count_by_whole_turns(tmp_path: Path, write_raster, west, cols) -> None:
    globe = describe_raster(
        write_raster(np.zeros((10, 360)), crs="EPSG:4326", transform=Affine(1, 0, west, 0, -1, 5))
    )
    area = read_area(save(tmp_path, shapely.box(-171, 0, -169, 1), crs="EPSG:4326"), globe)

    assert np.argwhere(inside(area, globe)).tolist() == [[4, col] for col in cols]


def test_polygons_and_raster_in_one_local_crs_need_no_way(tmp_path: Path, write_raster) -> None:
    site = 'LOCAL_CS["site",UNIT["metre",1]]'
    info = describe_raster(write_raster(np.zeros((2, 3)), crs=site, transform=Affine(1, 0, 10, 0, -1, 20)))

    assert inside(read_area(save(tmp_path, shapely.box(11, 19, 13, 20), crs=site), info), info) == [
        [0, 1, 1],
        [0, 0, 0],
    ]
    with pytest.raises(
        RasterError,
        match=r"polygons in site or in a CRS with a transformation to it; got WGS 84 \(EPSG:4326\)",
    ):
        read_area(save(tmp_path, shapely.box(11, 19, 13, 20), crs="EPSG:4326", name="b.gpkg"), info)
