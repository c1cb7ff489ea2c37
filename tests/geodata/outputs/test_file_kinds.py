"""Which files a command may replace: those that this program wrote as what it would write again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
from shapely import Point

from geoseg.domain.legend import Legend
from geoseg.domain.windows import Window
from geoseg.errors import OutputError
from geoseg.geodata.outputs import file_kinds as kinds
from geoseg.geodata.outputs.atomic_files import (
    check_apart,
    check_output,
    check_own_folder,
    whole_file,
    write_text,
)
from geoseg.geodata.outputs.class_maps import class_map_writer, confidence_writer, probabilities_writer
from geoseg.geodata.outputs.polygons import polygon_writer
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.rasters import describe_raster

EVERY = [kind for kind in vars(kinds).values() if isinstance(kind, kinds.FileKind)]


@pytest.fixture
def grid(write_tiff: Callable[..., Path], tmp_path: Path) -> RasterInfo:
    return describe_raster(write_tiff(tmp_path / "image.tif", np.zeros((40, 60), np.uint8)))


@pytest.fixture
def rasters(grid: RasterInfo, classes: Legend, tmp_path: Path) -> dict[str, Path]:
    """A class map, a confidence raster and probabilities."""
    paths = {name: tmp_path / f"{name}.tif" for name in ("class map", "confidence", "probabilities")}
    window, values = Window(0, 0, 40, 60), np.zeros((40, 60), np.uint8)
    with class_map_writer(paths["class map"], grid, classes, overwrite=False) as writer:
        writer.write(window, values)
    with confidence_writer(paths["confidence"], grid, overwrite=False) as writer:
        writer.write(window, values)
    with probabilities_writer(paths["probabilities"], grid, classes, overwrite=False) as writer:
        writer.write(window, np.stack([values] * 3))
    return paths


def test_each_raster_result_is_known_as_what_it_is_and_no_other_raster_is(rasters, grid) -> None:
    wanted = {
        "class map": kinds.CLASS_MAP,
        "confidence": kinds.CONFIDENCE,
        "probabilities": kinds.PROBABILITIES,
    }
    for name, path in rasters.items():
        assert [other for other, kind in wanted.items() if kind.recognises(path)] == [name]
    assert not any(kind.recognises(grid.path) for kind in EVERY)


def test_polygons_are_ours_until_somebody_adds_a_layer(grid, classes, tmp_path: Path) -> None:
    path = tmp_path / "map.gpkg"
    with polygon_writer(path, grid, classes, overwrite=False):
        pass
    assert kinds.POLYGONS.recognises(path)
    notes = geopandas.GeoDataFrame({"note": ["wet"]}, geometry=[Point(0, 0)], crs=grid.crs)
    notes.to_file(path, layer="notes")
    assert not kinds.POLYGONS.recognises(path)


@pytest.mark.parametrize("name", ["p.gpkg", "p.geojson", "p.csv"])
def test_points_are_ours_if_all_were_drawn_from_masks(name: str, tmp_path: Path) -> None:
    drawn = pd.DataFrame({"class": ["a", "b"], "image": "i", "source": "simulated", "seed": 0})
    for sources, is_ours in ((["simulated", "simulated"], True), (["simulated", "field"], False)):
        table = drawn.assign(source=sources)
        path = tmp_path / f"{is_ours}-{name}"
        if path.suffix == ".csv":
            table.assign(x=0, y=0).to_csv(path, index=False)
        else:
            places = [Point(0, 0), Point(1, 1)]
            geopandas.GeoDataFrame(table, geometry=places, crs=4326).to_file(path, layer="points")
        assert kinds.SAMPLE.recognises(path) is is_ours


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.gpkg", "no database"),
        ("a.json", '{"classes": [{"name": "wood"}], "area": 3}'),
        ("a.json", '{"type": "FeatureCollection", "features": []}'),
        ("a.json", "[1, 2]"),
        ("a.csv", "class,x,y\nwood,1,2\n"),
        ("a.qml", "<qgis><pipe/></qgis>"),
        ("a.png", "\x89PNG"),
        ("a.geoseg", "notes on a model"),
        ("a.geoseg", '\x40\0\0\0\0\0\0\0{"__metadata__": {"format": "pt"}}'),
        ("a.onnx", "a network of somebody else"),
        ("a.tif", "II*\0"),
    ],
)
def test_a_file_of_somebody_else_is_of_no_kind_of_ours(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="latin-1")
    assert not any(kind.recognises(tmp_path / name) for kind in EVERY)


def test_a_file_of_somebody_else_is_refused_also_with_overwrite_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "areas.json"
    path.write_text('{"mine": 1}')
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="is not replaced") as refused:
            check_output(path, kinds.AREA_JSON, overwrite=overwrite)
        assert "--overwrite" not in str(refused.value)
        with pytest.raises(OutputError, match="is not replaced"):
            write_text(path, "{}", kinds.AREA_JSON, overwrite=overwrite)
    assert json.loads(path.read_text()) == {"mine": 1}


def test_our_own_file_is_replaced_with_overwrite_alone_and_an_empty_one_too(tmp_path: Path) -> None:
    own = json.dumps({"classes": [{"id": 0, "name": "wood", "pixels": 1, "share": 1.0}]})
    for text in (own, ""):
        path = tmp_path / "areas.json"
        path.write_text(text)
        with pytest.raises(OutputError, match="--overwrite"):
            check_output(path, kinds.AREA_JSON, overwrite=False)
        check_output(path, kinds.AREA_JSON, overwrite=True)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.name)
def test_a_name_that_ends_otherwise_is_refused_and_the_right_ending_named(kind, tmp_path: Path) -> None:
    for name in ("result", "result.jpg", "result.shp", f"result{kind.endings[0]}.bak"):
        with pytest.raises(OutputError, match=kind.endings[0].replace(".", r"\.")):
            check_output(tmp_path / name, kind, overwrite=True)
    check_output(tmp_path / f"a.b{kind.endings[0].upper()}", kind, overwrite=False)


def test_a_file_that_is_read_is_not_written_whatever_link_leads_to_it(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    path.write_text("pixels")
    (tmp_path / "symbolic.tif").symlink_to(path)
    os.link(path, tmp_path / "hard.tif")
    (tmp_path / "folder").symlink_to(tmp_path, target_is_directory=True)
    for name in ("image.tif", "symbolic.tif", "hard.tif", "folder/image.tif"):
        with pytest.raises(OutputError, match="an input of the same command"):
            check_apart([tmp_path / name], [None, path])
    check_apart([tmp_path / "other.tif"], [None, path])


def test_a_folder_with_other_files_is_refused_and_they_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "model.run"
    check_own_folder(folder, ("run.json",), what="the record")
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    (folder / ".DS_Store").write_text("")
    check_own_folder(folder, ("run.json",), what="the record")
    (folder / "thesis.odt").write_text("")
    with pytest.raises(OutputError, match=r"needed for the record.*thesis\.odt"):
        check_own_folder(folder, ("run.json",), what="the record")
    with pytest.raises(OutputError, match="expected a folder"):
        check_own_folder(folder / "thesis.odt", (), what="the record")


def test_a_file_that_comes_while_we_work_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "areas.csv"
    check_output(path, kinds.AREA_CSV, overwrite=True)
    path.write_text("my,own\n1,2\n")
    with pytest.raises(OutputError, match="not replaced"), whole_file(path, kinds.AREA_CSV, overwrite=True):
        pass
    assert path.read_text() == "my,own\n1,2\n"
