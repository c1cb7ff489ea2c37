"""Check points are set aside in places that training never sees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from geoseg.domain.legend import legend_from_names
from geoseg.domain.points import make_points
from geoseg.domain.ports import NullProgress
from geoseg.errors import OutputError, PointsError
from geoseg.geodata.points.point_files import read_points, write_points
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.settings import SplitSettings
from geoseg.workflows.points.split import Split, split

WEST, NORTH = 500_000, 4_000_000
# 4 x 4 plots 100 m apart, with three points of class a and two of class b within 3 m in each.
PLOTS = [(100 * i, 100 * j) for i in range(4) for j in range(4)]
ROWS = [(x + k, y + k, "a" if k < 3 else "b") for x, y in PLOTS for k in range(5)]


def frame_of(rows, **columns: object) -> gpd.GeoDataFrame:
    places = [shapely.Point(WEST + x, NORTH - y) for x, y, _ in rows]
    return gpd.GeoDataFrame(
        {"class": [name for *_, name in rows], **columns}, geometry=places, crs="EPSG:32617"
    )


def write(path: Path, rows, **columns: object) -> Path:
    frame_of(rows, **columns).to_file(path, driver="GPKG")
    return path


def run(points: Path, folder: Path, **options: object) -> Split:
    return split(SplitSettings(points=points, output=folder, **options), NullProgress())


def plots(path: Path) -> set[tuple[int, int]]:
    frame = gpd.read_file(path, layer="points")
    return {
        (round((x - WEST) // 100), round((NORTH - y) // 100))
        for x, y in frame.geometry.apply(lambda p: (p.x, p.y))
    }


def test_whole_places_are_set_aside_in_the_share_asked_for(tmp_path: Path) -> None:
    found = run(write(tmp_path / "field.gpkg", ROWS), tmp_path / "out")
    # The plots span 304 m, so that a block of a quarter of it, 76 m, holds one plot at most.
    assert found.statement.startswith("4 of 16 blocks of 76 m hold the check points.")
    assert found.counts == {"a": (36, 12), "b": (24, 8)}
    train, check = (tmp_path / "out" / f"field-{role}.gpkg" for role in ("train", "check"))
    assert (found.train, found.check) == (train, check)
    assert plots(train).isdisjoint(plots(check))
    assert len(plots(train)) == 12
    for path, role in ((train, "train"), (check, "check")):
        assert set(gpd.read_file(path, layer="points")["role"]) == {role}


def test_another_seed_sets_other_places_aside_and_the_same_one_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "field.gpkg", ROWS)
    checks = [
        plots(run(path, tmp_path / str(number), seed=seed).check) for number, seed in enumerate((0, 0, 1, 2))
    ]
    assert checks[0] == checks[1]
    assert len({frozenset(places) for places in checks}) > 1


@given(order=st.permutations(range(len(ROWS))))
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_the_rows_changes_nothing(order: list[int], tmp_path: Path) -> None:
    path = tmp_path / "field.gpkg"
    path.unlink(missing_ok=True)
    write(path, [ROWS[k] for k in order], plot=[ROWS[k][0] for k in order])
    shuffled = gpd.read_file(run(path, tmp_path / "out", overwrite=True).check, layer="points")
    path.unlink()
    ordered = gpd.read_file(run(write(path, ROWS), tmp_path / "out", overwrite=True).check, layer="points")
    assert {p.wkt for p in shuffled.geometry} == {p.wkt for p in ordered.geometry}


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32618", "EPSG:2264"])
def test_the_places_hardly_depend_on_the_crs(crs: str, tmp_path: Path) -> None:
    """Degrees, the neighbouring UTM zone, and the state plane of North Carolina in feet."""
    there = Transformer.from_crs("EPSG:32617", crs, always_xy=True)
    frame = frame_of(ROWS)
    x, y = there.transform(frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy())
    frame.set_geometry(gpd.points_from_xy(x, y), crs=crs).to_file(tmp_path / "p.gpkg", driver="GPKG")
    found = run(tmp_path / "p.gpkg", tmp_path / "out")
    assert found.counts == {"a": (36, 12), "b": (24, 8)}
    side_m = float(found.statement.split(" blocks of ")[1].split(" m ")[0])
    assert side_m == pytest.approx(76, rel=0.08)


def test_a_raster_gives_the_size_of_the_blocks(write_tiff, tmp_path: Path) -> None:
    raster = write_tiff(tmp_path / "r.tif", np.full((400, 400), 9, np.uint8))
    path = write(tmp_path / "field.gpkg", ROWS)
    found = run(path, tmp_path / "out", raster=raster)
    # Of 256 px there are 2 x 2 blocks; of 128 px there are 3 x 3, the first number of eight or more.
    assert (
        " of 9 blocks of 128 m hold the check points. Blocks of 256 px of r.tif would be too few."
        in found.statement
    )
    smaller = run(path, tmp_path / "out", raster=raster, block=64, overwrite=True)
    assert (
        " of 16 blocks of 64 m hold the check points. The blocks measure 64 px of r.tif." in smaller.statement
    )


def test_rows_keep_their_columns_and_shapes_and_the_legend(tmp_path: Path) -> None:
    rasters = {"r": describe_raster(_raster(tmp_path))}
    legend = legend_from_names(["b", "a"])
    own = tmp_path / "own.gpkg"
    row, col = np.array([(y + 0.0, x + 0.0) for x, y, _ in ROWS]).T
    write_points(own, make_points("r", row, col, [0] * len(ROWS)), rasters, legend, overwrite=False)
    found = run(own, tmp_path / "out")
    again = read_points(found.check, rasters, legend=None)
    assert again.legend == legend
    assert set(again.points.role.tolist()) == {"check"}
    squares = frame_of(ROWS, note=[f"n{k}" for k in range(len(ROWS))])
    squares.set_geometry(squares.geometry.buffer(2)).to_file(tmp_path / "squares.gpkg", driver="GPKG")
    found = run(tmp_path / "squares.gpkg", tmp_path / "out")
    frame = gpd.read_file(found.check, layer="points")
    assert set(frame.geometry.geom_type) == {"Polygon"}
    assert set(frame["note"]) <= {f"n{k}" for k in range(len(ROWS))}


def _raster(folder: Path) -> Path:
    path = folder / "r.tif"
    profile = {
        "driver": "GTiff",
        "height": 400,
        "width": 400,
        "count": 1,
        "dtype": "uint8",
        "crs": "EPSG:32617",
    }
    with rasterio.open(path, "w", transform=Affine(1, 0, WEST, 0, -1, NORTH), **profile) as target:
        target.write(np.ones((1, 400, 400), np.uint8))
    return path


def test_rows_without_a_class_or_a_position_are_in_neither_file(tmp_path: Path) -> None:
    frame = frame_of([*ROWS, (5, 5, ""), (6, 6, "a")])
    frame.loc[len(ROWS) + 1, "geometry"] = None
    frame.to_file(tmp_path / "p.gpkg", driver="GPKG")
    found = run(tmp_path / "p.gpkg", tmp_path / "out")
    assert found.left_out == {"without a class": 1, "without a position": 1}
    assert found.counts["a"] == (36, 12)
    assert any("Rows in neither file" in warning for warning in found.warnings)


def test_a_class_in_one_place_stays_in_training_with_a_warning(tmp_path: Path) -> None:
    found = run(write(tmp_path / "p.gpkg", [*ROWS, (1, 1, "rare"), (2, 2, "rare")]), tmp_path / "out")
    assert found.counts["rare"] == (2, 0)
    assert any("No check point of rare: all its points lie in one place." in one for one in found.warnings)


def test_too_few_places_are_an_error_that_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "p.gpkg", [(5, 5, "a"), (90, 90, "b")])
    with pytest.raises(PointsError, match="too few places to set some of them aside"):
        run(path, tmp_path / "out")
    same = write(tmp_path / "q.gpkg", [(5, 5, "a"), (5, 5, "b")])
    with pytest.raises(PointsError, match="all points lie at one place"):
        run(same, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_points_at_random_have_the_exact_share_and_the_warning_in_words(tmp_path: Path) -> None:
    found = run(write(tmp_path / "p.gpkg", ROWS), tmp_path / "out", by_place=False)
    assert found.counts == {"a": (36, 12), "b": (24, 8)}
    assert "also next to training points" in found.statement
    assert not plots(found.train).isdisjoint(plots(found.check))


def test_rows_and_columns_of_pixels_are_split_too(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    lines = [
        f"r,{y},{x},{name},{k}" for k, (x, y, name) in enumerate((10 * x, 10 * y, n) for x, y, n in ROWS)
    ]
    path.write_text("image,row,col,class,fid\n" + "\n".join(lines))
    found = run(path, tmp_path / "out")
    assert sum(map(sum, found.counts.values())) == len(ROWS)
    again = read_points(found.check, {"r": _plain(tmp_path)}, legend=None)
    assert len(again.points) == sum(check for _, check in found.counts.values())


def _plain(folder: Path):
    info = describe_raster(_raster(folder))
    return replace(info, crs=None, transform=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0), height=5000, width=5000)


def test_only_an_earlier_split_is_replaced(tmp_path: Path) -> None:
    path = write(tmp_path / "field.gpkg", ROWS)
    run(path, tmp_path)
    with pytest.raises(OutputError, match="the file exists"):
        run(path, tmp_path)
    run(path, tmp_path, overwrite=True)
    (tmp_path / "field-check.gpkg").unlink()
    write(tmp_path / "field-check.gpkg", ROWS)
    with pytest.raises(OutputError, match="is not a file of split points"):
        run(path, tmp_path, overwrite=True)


def test_points_that_the_raster_cannot_use_are_in_neither_file(write_tiff, tmp_path: Path) -> None:
    values = np.full((400, 400), 9, np.uint8)
    values[:50, :50] = 0
    raster = write_tiff(tmp_path / "r.tif", values, nodata=0)
    path = write(tmp_path / "field.gpkg", [*ROWS, (900, 5, "a"), (303.2, 303.2, "b"), (200.2, 200.2, "b")])
    found = run(path, tmp_path / "out", raster=raster)
    # The first plot lies on nodata; at (200, 200) lies a point of class a, at (303, 303) one of class b.
    assert found.left_out == {
        "on nodata": 5,
        "outside every raster": 1,
        "repeated on one pixel": 1,
        "two classes on one pixel": 2,
    }
    assert sum(map(sum, found.counts.values())) == len(ROWS) + 3 - 9
