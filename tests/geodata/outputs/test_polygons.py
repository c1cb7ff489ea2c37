"""Polygons made strip by strip are those of the whole map."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.features import shapes

from geoseg.domain.mapping.prediction import Strip
from geoseg.domain.windows import Window
from geoseg.errors import OutputError
from geoseg.geodata.outputs.polygons import RegionMerger, polygon_writer
from geoseg.geodata.reading.rasters import describe_raster


def cut(class_ids: np.ndarray, height: int) -> list[Strip]:
    tops = range(0, len(class_ids), height)
    parts = [class_ids[top : top + height] for top in tops]
    return [
        Strip(n, Window(n * height, 0, *part.shape), part, np.full(part.shape, 127, np.uint8))
        for n, part in enumerate(parts)
    ]


def regions(class_ids: np.ndarray, height: int) -> list[tuple[int, int, shapely.Geometry]]:
    merger = RegionMerger()
    found = [region for strip in cut(class_ids, height) for region in merger.add(strip, 1.0)]
    found += merger.finish()
    return [(r.class_id, r.pixels, r.outline()) for r in found]


def expected(class_ids: np.ndarray) -> list[tuple[int, shapely.Geometry]]:
    found = shapes(class_ids.astype(np.int32), mask=class_ids != 255, connectivity=4)
    return [(int(value), shapely.geometry.shape(shape)) for shape, value in found]


@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 23), st.integers(1, 17)),
    height=st.sampled_from([1, 2, 3, 7, 30]),
    classes=st.sampled_from([1, 2, 5]),
)
def test_strips_of_any_height_give_the_polygons_of_the_whole(seed, shape, height, classes) -> None:
    class_ids = np.random.default_rng(seed).integers(0, classes + 1, shape).astype(np.uint8)
    class_ids[class_ids == classes] = 255
    found = regions(class_ids, height)
    wanted = expected(class_ids)
    assert len(found) == len(wanted)
    assert sorted((c, g.normalize().wkt) for c, _, g in found) == sorted(
        (c, g.normalize().wkt) for c, g in wanted
    )
    assert all(pixels == outline.area for _, pixels, outline in found)


def test_a_spiral_is_one_polygon() -> None:
    spiral = np.full((9, 9), 1, np.uint8)
    spiral[1, 0:8] = spiral[1:8, 7] = spiral[7, 1:8] = spiral[3:8, 1] = spiral[3, 1:6] = spiral[3:6, 5] = 0
    assert [pixels for class_id, pixels, _ in regions(spiral, 2) if class_id == 0] == [
        int((spiral == 0).sum())
    ]


def test_finished_regions_are_not_kept() -> None:
    merger, rows = RegionMerger(), np.tile(np.arange(2, dtype=np.uint8).repeat(2)[:, None], (50, 10))
    for strip in cut(rows, 4):
        list(merger.add(strip, 1.0))
        assert len(merger._open) <= 1


def write(path, info, legend, class_ids, **options) -> geopandas.GeoDataFrame:
    with polygon_writer(path, info, legend, overwrite=False, **options) as writer:
        for strip in cut(class_ids, 3):
            writer.write(strip)
    return geopandas.read_file(path, layer="classes")


def test_the_file_has_class_area_and_confidence_on_the_ground(write_raster, legend, tmp_path) -> None:
    class_ids = np.array([[0, 0, 1], [0, 0, 1], [255, 2, 2], [2, 2, 2]], np.uint8)
    info = describe_raster(write_raster(class_ids))
    table = write(tmp_path / "map.gpkg", info, legend, class_ids).sort_values("class_id")
    assert table["class"].tolist() == list(legend.names)
    assert table["pixels"].tolist() == [4, 2, 5]
    assert table["area_m2"].tolist() == table.geometry.area.tolist() == [4.0, 2.0, 5.0]
    assert table["confidence"].tolist() == [0.5] * 3
    assert table.crs.to_epsg() == 32617
    x, y = info.affine @ (0, 0)
    assert table.geometry.iloc[0].equals(shapely.box(x, y - 2, x + 2, y))


def test_outlines_are_simplified(write_raster, legend, tmp_path) -> None:
    class_ids = np.zeros((40, 40), np.uint8)
    class_ids[np.triu_indices(40, 3)] = 2
    info = describe_raster(write_raster(class_ids))
    whole = write(tmp_path / "a.gpkg", info, legend, class_ids)
    smooth = write(tmp_path / "c.gpkg", info, legend, class_ids, simplify_m=1.5)
    corners = [shapely.get_num_coordinates(table.geometry.to_numpy()).sum() for table in (whole, smooth)]
    assert corners[1] < corners[0] / 4


def test_pixels_without_a_confidence_do_not_count_in_the_mean(write_raster, legend, tmp_path) -> None:
    info = describe_raster(write_raster(np.zeros((2, 2))))
    strip = Strip(
        0, Window(0, 0, 2, 2), np.zeros((2, 2), np.uint8), np.array([[254, 127], [255, 255]], np.uint8)
    )
    with polygon_writer(tmp_path / "map.gpkg", info, legend, overwrite=False) as writer:
        writer.write(strip)
    found = geopandas.read_file(tmp_path / "map.gpkg", layer="classes")
    assert found["confidence"].tolist() == [0.75]
    assert found["pixels"].tolist() == [4]


def test_an_empty_map_has_an_empty_layer(write_raster, legend, tmp_path) -> None:
    info = describe_raster(write_raster(np.zeros((4, 4))))
    table = write(tmp_path / "map.gpkg", info, legend, np.full((4, 4), 255, np.uint8))
    assert len(table) == 0
    assert table.crs.to_epsg() == 32617


def test_portions_append_to_one_layer(write_raster, legend, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("geoseg.geodata.outputs.polygons._AT_ONCE", 10)
    class_ids = np.indices((12, 12)).sum(axis=0).astype(np.uint8) % 3
    info = describe_raster(write_raster(class_ids))
    assert len(write(tmp_path / "map.gpkg", info, legend, class_ids)) == 144


def test_an_existing_file_is_kept(write_raster, legend, tmp_path) -> None:
    info = describe_raster(write_raster(np.zeros((4, 4))))
    write(tmp_path / "map.gpkg", info, legend, np.zeros((4, 4), np.uint8))
    before = (tmp_path / "map.gpkg").read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        write(tmp_path / "map.gpkg", info, legend, np.zeros((4, 4), np.uint8))
    assert (tmp_path / "map.gpkg").read_bytes() == before


def test_a_polygon_in_degrees_has_the_area_of_its_own_rows(write_raster, legend, tmp_path) -> None:
    # Three pixels of ten degrees in each class, from 90 to 60, from 60 to 30 and from 30 degrees north to the equator.
    class_ids = np.arange(3, dtype=np.uint8).repeat(3)[:, None]
    info = describe_raster(
        write_raster(class_ids, crs="EPSG:4326", transform=Affine(10, 0, 0, 0, -10, 90), nodata=255)
    )

    found = write(tmp_path / "a.gpkg", info, legend, class_ids).set_index("class_id")

    # A sphere of the same surface is off by 0.7 % at most: R2 * 10 degrees in radians * the difference of the sines.
    sphere = 6371007.2**2 * np.radians(10) * -np.diff(np.sin(np.radians([90, 60, 30, 0])))
    assert found["area_m2"].tolist() == pytest.approx(sphere, rel=8e-3)
