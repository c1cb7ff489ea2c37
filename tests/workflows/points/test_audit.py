"""The audit of field points: each reason, how they are spread, their CRS, and their position errors."""

from __future__ import annotations

import json
import math
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from geoseg.domain.legend import legend_from_names
from geoseg.domain.ports import NullProgress
from geoseg.errors import OutputError, PointsError, RasterError
from geoseg.geodata.datasets.legend_files import write_legend
from geoseg.settings import AuditSettings
from geoseg.workflows.points.audit import Audit, audit
from geoseg.workflows.points.error_reach import REACHES

WEST, NORTH = 500_000, 4_000_000


@pytest.fixture
def raster(write_tiff, tmp_path: Path) -> Path:
    """20 x 20 pixels of one metre in UTM zone 17; row 0 is nodata."""
    values = np.full((20, 20), 9, np.uint8)
    values[0] = 0
    return write_tiff(tmp_path / "r.tif", values, nodata=0)


def write(path: Path, rows: list[tuple[float, float, str]], **columns: object) -> Path:
    """Write points at rows and columns of the raster, counted from the centre of its first pixel."""
    places = [shapely.Point(WEST + col + 0.5, NORTH - row - 0.5) for row, col, _ in rows]
    frame = gpd.GeoDataFrame(
        {"class": [name for *_, name in rows], **columns}, geometry=places, crs="EPSG:32617"
    )
    frame.to_file(path, driver="GPKG")
    return path


def run(points: Path, *rasters: Path, **options: object) -> Audit:
    return audit(AuditSettings(points=points, raster=rasters, **options), NullProgress())


def test_each_point_that_cannot_be_used_has_its_reason(raster: Path, tmp_path: Path) -> None:
    rows = [
        *[(5, 5, "road"), (5, 8, "water"), (9, 9, "road"), (12, 3, "water")],
        *[
            (0, 3, "road"),
            (40, 3, "road"),
            (5.2, 5.2, "road"),
            (15, 15, "road"),
            (15, 15.4, "water"),
            (3, 3, ""),
        ],
        (4, 4, "lava"),
    ]
    path = write(tmp_path / "p.gpkg", rows)
    frame = gpd.read_file(path)
    empty = gpd.GeoDataFrame({"class": ["road"]}, geometry=[None], crs=frame.crs)
    gpd.GeoDataFrame(gpd.pd.concat([frame, empty])).to_file(path, driver="GPKG")
    legend = tmp_path / "legend.json"
    write_legend(legend, legend_from_names(["road", "water", "mud"]), False)
    found = run(path, raster, legend=legend, output=tmp_path / "audit.gpkg")
    assert found.used_by_class == {"road": 2, "water": 2, "mud": 0}
    assert found.dropped_by_reason == {
        "two classes on one pixel": 2,
        "on nodata": 1,
        "outside every raster": 1,
        "repeated on one pixel": 1,
        "without a class": 1,
        "unknown class": 1,
        "without a position": 1,
    }
    layer = gpd.read_file(tmp_path / "audit.gpkg", layer="audit")
    assert layer["number"].tolist() == list(range(1, 13))
    assert layer["reason"].tolist()[:6] == ["", "", "", "", "on nodata", "outside every raster"]
    assert layer["class"].tolist()[10] == "lava"
    assert layer.crs == "EPSG:32617"
    assert (layer.geometry[0].x, layer.geometry[0].y) == (WEST + 5.5, NORTH - 5.5)
    assert any("Points of different classes share 1 pixel(s)" in warning for warning in found.warnings)


def test_a_file_without_a_usable_point_is_still_audited(raster: Path, tmp_path: Path) -> None:
    found = run(write(tmp_path / "p.gpkg", [(40, 3, "road"), (50, 3, "water")]), raster)
    assert (len(found.used), found.spread) == (0, None)
    assert found.dropped_by_reason == {"outside every raster": 2}
    json.dumps(found.to_record(), allow_nan=False)


def test_a_class_table_ends_a_conflict_of_classes(raster: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "p.gpkg", [(5, 5, "asphalt"), (5.2, 5, "gravel"), (9, 9, "water")])
    table = tmp_path / "classes.csv"
    table.write_text("from,to\nasphalt,road\ngravel,road\n")
    assert run(path, raster).dropped_by_reason == {"two classes on one pixel": 2}
    merged = run(path, raster, classes=table)
    assert merged.dropped_by_reason == {"repeated on one pixel": 1}
    assert merged.used_by_class == {"road": 1, "water": 1}


def test_the_spread_counts_blocks_and_the_area_with_data(raster: Path, tmp_path: Path) -> None:
    found = run(write(tmp_path / "p.gpkg", [(5, 5, "a"), (5, 15, "b"), (15, 5, "a"), (15, 15, "b")]), raster)
    record = found.to_record()["spread"]
    # 19 of 20 rows have data: an area of 380 and, as a square cut down, an edge of 80 * sqrt(0.95).
    root = math.sqrt(0.95)
    assert record["nearest_neighbour"]["mean"] == 10
    assert record["nearest_neighbour"]["expected"] == pytest.approx(5 * root + (0.0514 + 0.0205) * 20 * root)
    assert record["nearest_neighbour"]["unit"] == "m"
    # In blocks of 16 px all points share one; in blocks of 8 px, 3 x 3 of them, each has its own.
    assert (record["blocks"]["side_px"], record["blocks"]["total"]) == (8, 9)
    assert record["blocks"]["with_points"] == 4


def test_position_errors_are_compared_with_pixels_and_other_classes(raster: Path, tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.gpkg",
        [(5, 5, "a"), (5, 8, "b"), (12, 5, "a"), (12, 15, "a"), (0, 1, "a")],
        Accuracy=[4.0, 2.0, 0.4, None, 9.0],
    )
    found = run(path, raster, output=tmp_path / "audit.gpkg")
    record = found.to_record()["position_error"]
    # Of the usable points, three have an error: 4, 2 and 0.4 m; the nearest other class of the first is 3 m away.
    assert (record["column"], record["points"], record["median_m"]) == ("Accuracy", 3, 2.0)
    assert record["share_beyond_half_pixel"] == pytest.approx(2 / 3)
    assert record["share_reaching_another_class"] == pytest.approx(1 / 3)
    layer = gpd.read_file(tmp_path / "audit.gpkg")
    assert layer["doubt"].tolist()[:4] == [REACHES, "", "", ""]
    assert layer["other_class_m"].tolist()[:2] == [3.0, 3.0]
    assert any("lie closer to a point of another class" in warning for warning in found.warnings)


def test_dilution_of_precision_becomes_metres(raster: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "p.gpkg", [(5, 5, "a"), (5, 8, "b")], hdop=[0.5, 0.5], note=["x", "y"])
    record = run(path, raster).to_record()["position_error"]
    assert (record["metres_per_unit"], record["median_m"]) == (5.0, 2.5)
    with pytest.raises(PointsError, match="invalid values in a column"):
        run(path, raster, error_column="note")
    with pytest.raises(PointsError, match="no column 'nothing'"):
        run(path, raster, error_column="nothing")


@pytest.mark.parametrize(
    ("crs", "accuracy_m"),
    [
        ("EPSG:32617", 0),  # the CRS of the raster
        ("EPSG:32616", 0),  # the neighbouring zone
        ("EPSG:4326", 0),  # degrees
        ("EPSG:3857", 0),  # Web Mercator
        ("EPSG:4267", 5),  # NAD27, with a shift of datum of some ten metres
        ("EPSG:26717", 5),  # the same, projected
    ],
)
def test_points_of_any_crs_have_one_audit_and_the_accuracy_of_the_transformation(
    crs: str, accuracy_m: float, raster: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "p.gpkg", [(5, 5, "a"), (5, 8, "b"), (0, 3, "a"), (40, 3, "b")])
    expected = run(path, raster).to_record()
    # The way back of the transformation that reads the points.
    there = Transformer.from_crs("EPSG:32617", crs, always_xy=True)
    frame = gpd.read_file(path)
    x, y = there.transform(frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy())
    frame.set_geometry(gpd.points_from_xy(x, y), crs=crs).to_file(tmp_path / "q.gpkg", driver="GPKG")
    record = run(tmp_path / "q.gpkg", raster).to_record()
    for name in ("used", "dropped", "spread"):
        assert record[name] == expected[name]
    (transformation,) = record["crs"]
    assert transformation["accuracy_m"] >= accuracy_m
    assert (transformation["operation"] is None) == (crs == "EPSG:32617")


def test_a_shift_of_datum_coarser_than_half_a_pixel_causes_a_warning(raster: Path, tmp_path: Path) -> None:
    there = Transformer.from_crs("EPSG:32617", "EPSG:4267", always_xy=True)
    x, y = there.transform(WEST + 5.5, NORTH - 5.5)
    path = tmp_path / "p.csv"
    path.write_text(f"x,y,class\n{x!r},{y!r},a\n{x + 5e-5!r},{y!r},b\n")
    found = run(path, raster, crs="EPSG:4267")
    assert any("more than half a pixel (0.5 m)" in warning for warning in found.warnings)


@given(order=st.permutations(range(9)))
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_the_points_changes_nothing(order: list[int], raster: Path, tmp_path: Path) -> None:
    rows = [
        *[(5, 5, "a"), (5, 8, "b"), (9, 9, "a"), (12, 3, "b"), (0, 3, "a"), (40, 3, "a")],
        *[(7, 7, "a"), (7.1, 7, "b"), (3, 18, "")],
    ]
    errors = np.arange(9) + 0.5
    shuffled = tmp_path / "shuffled.gpkg"
    shuffled.unlink(missing_ok=True)
    write(shuffled, [rows[k] for k in order], accuracy=errors[order])
    ordered = tmp_path / "ordered.gpkg"
    if not ordered.exists():
        write(ordered, rows, accuracy=errors)
    found, expected = run(shuffled, raster).to_record(), run(ordered, raster).to_record()
    for name in ("total", "used", "dropped", "spread", "position_error"):
        assert found[name] == expected[name]


def test_only_an_earlier_audit_is_replaced(raster: Path, tmp_path: Path) -> None:
    path, target = write(tmp_path / "p.gpkg", [(5, 5, "a"), (5, 8, "b")]), tmp_path / "audit.gpkg"
    run(path, raster, output=target)
    with pytest.raises(OutputError, match="the file exists"):
        run(path, raster, output=target)
    run(path, raster, output=target, overwrite=True)
    foreign = write(tmp_path / "own.gpkg", [(5, 5, "a")])
    with pytest.raises(OutputError, match="is not a file of audited points"):
        run(path, raster, output=foreign, overwrite=True)
    with pytest.raises(OutputError, match="is an input"):
        run(path, raster, output=path, overwrite=True)


def test_two_rasters_of_one_name_are_rejected(raster: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "p.gpkg", [(5, 5, "a")])
    with pytest.raises(RasterError, match="two rasters have the same file stem"):
        run(path, raster, raster)


def test_bands_in_separate_files_under_another_spelling_of_the_crs(write_tiff, tmp_path: Path) -> None:
    """A case from practice: five bands of 32 bits, one of 16 bits with another nodata value, and an unnamed datum."""
    west, north, pixel = 630_534, 228_114, 28.5
    proj = (
        "+proj=lcc +lat_1=36.16666666666666 +lat_2=34.33333333333334 +lat_0=33.75 +lon_0=-79 +x_0=609601.22 +y_0=0 "
        "+ellps=GRS80 +units=m +no_defs"
    )
    place = {"crs": proj, "transform": Affine(pixel, 0, west, 0, -pixel, north)}
    files = []
    for band in range(6):
        values = np.full((8, 8), 5, np.float32 if band < 5 else np.int16)
        nodata = -99999 if band < 5 else -32768
        # Row 0 has no data in any band, row 1 only in the last one.
        values[: 1 if band < 5 else 2] = nodata
        files.append(write_tiff(tmp_path / f"band_{band}.tif", values, nodata=nodata, **place))
    rows = [(0, 3, "a"), (1, 3, "a"), (4, 4, "b"), (9, 9, "b")]
    lines = [f"{west + (col + 0.5) * pixel},{north - (row + 0.5) * pixel},{name}" for row, col, name in rows]
    (tmp_path / "p.csv").write_text("\n".join(["x,y,class", *lines]))
    settings = AuditSettings(points=tmp_path / "p.csv", stack=files, crs="EPSG:3358")
    found = audit(settings, NullProgress())
    assert found.used_by_class == {"a": 1, "b": 1}
    assert found.dropped_by_reason == {"on nodata": 1, "outside every raster": 1}
    assert found.used.row.round(3).tolist() == [1, 4]
    (transformation,) = found.transformations
    assert transformation.is_ballpark
    assert transformation.accuracy_m is None
    assert any("is not known, so none is applied" in warning for warning in found.warnings)
    strict = settings.model_copy(update={"strict_nodata": True})
    assert audit(strict, NullProgress()).dropped_by_reason["on nodata"] == 2
