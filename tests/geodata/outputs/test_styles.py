"""QGIS shows results as the legend says, which QGIS itself is asked."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pytest
from shapely import Point

from geoseg.domain.legend import LandClass, Legend
from geoseg.domain.mapping.prediction import Strip
from geoseg.domain.windows import Window
from geoseg.geodata.outputs.class_maps import class_map_writer, confidence_writer
from geoseg.geodata.outputs.file_kinds import POLYGONS, STYLE
from geoseg.geodata.outputs.polygons import polygon_writer
from geoseg.geodata.outputs.styles import class_style, confidence_style, write_point_style
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.rasters import describe_raster

SYSTEM_PYTHON = "/usr/bin/python3"
LEGEND = Legend(
    (
        LandClass(0, "field", "#e0c050"),
        LandClass(1, "wood & <hedge>", "#206030"),
        LandClass(2, "Höhe", "#3060d0"),
    )
)
Look = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def qgis(tmp_path: Path) -> Look:
    """Open files in QGIS, and return how it shows each."""
    asked = subprocess.run([SYSTEM_PYTHON, "-c", "import qgis.core"], capture_output=True, check=False)
    if asked.returncode:
        pytest.skip("needs QGIS for the system's Python (Debian: python3-qgis)")

    def look(*paths: Path) -> list[dict[str, Any]]:
        script = Path(__file__).with_name("open_in_qgis.py")
        surroundings = {
            "QT_QPA_PLATFORM": "offscreen",
            "HOME": str(tmp_path),
            "XDG_RUNTIME_DIR": str(tmp_path),
        }
        command = [SYSTEM_PYTHON, str(script), *map(str, paths)]
        done = subprocess.run(command, capture_output=True, check=True, text=True, env=surroundings)
        return list(json.loads(done.stdout.splitlines()[-1]))

    return look


@pytest.fixture
def grid(write_tiff: Callable[..., Path], tmp_path: Path) -> RasterInfo:
    return describe_raster(write_tiff(tmp_path / "image.tif", np.zeros((40, 60), np.uint8)))


def write_map(folder: Path, name: str, grid: RasterInfo) -> Path:
    folder.mkdir(exist_ok=True)
    with class_map_writer(folder / name, grid, LEGEND, overwrite=False) as writer:
        writer.write(Window(0, 0, 40, 60), np.resize(np.array([0, 1, 2, 255], np.uint8), (40, 60)))
    (folder / name).with_suffix(".qml").write_text(class_style(LEGEND), encoding="utf-8")
    return folder / name


EXPECTED = [[float(one.id), one.name, one.color] for one in LEGEND.classes]


def test_qgis_shows_a_map_as_its_legend_and_nothing_else(
    qgis: Look, grid: RasterInfo, tmp_path: Path
) -> None:
    path = write_map(tmp_path / "maps", "a.b.tif", grid)
    copied = tmp_path / "copied"
    copied.mkdir()
    for name in ("a.b.tif", "a.b.qml"):
        shutil.copy(path.with_name(name), copied)

    for shown in qgis(path, copied / "a.b.tif"):
        assert (shown["is_valid"], shown["renderer"], shown["classes"]) == (True, "paletted", EXPECTED)
        assert shown["legend"] == [[one.name, one.color] for one in LEGEND.classes]


def test_qgis_shows_confidence_from_0_to_1(qgis: Look, grid: RasterInfo, tmp_path: Path) -> None:
    path = tmp_path / "sure.tif"
    with confidence_writer(path, grid, overwrite=False) as writer:
        writer.write(Window(0, 0, 40, 60), np.full((40, 60), 200, np.uint8))
    path.with_suffix(".qml").write_text(confidence_style(), encoding="utf-8")

    (shown,) = qgis(path)

    assert (shown["is_valid"], shown["renderer"]) == (True, "singlebandpseudocolor")
    assert [text for text, _ in shown["legend"]] == ["0", "0.25", "0.5", "0.75", "1"]


def test_qgis_shows_points_in_the_colours_of_their_classes(qgis: Look, tmp_path: Path) -> None:
    path = tmp_path / "points.gpkg"
    places = [Point(0, 0), Point(5, 0), Point(9, 0)]
    geopandas.GeoDataFrame({"class": LEGEND.names}, geometry=places, crs=32632).to_file(path, layer="points")
    write_point_style(path, "points", LEGEND)
    # A map of the same name has its own style beside it.
    path.with_suffix(".qml").write_text(class_style(LEGEND), encoding="utf-8")

    (shown,) = qgis(path)

    assert (shown["is_valid"], shown["renderer"]) == (True, "categorizedSymbol")
    assert shown["classes"] == [[one.name, one.name, one.color] for one in LEGEND.classes]
    assert shown["symbols"] == ["marker"] * 3


def test_qgis_shows_polygons_of_a_map_in_the_colours_of_their_classes(
    qgis: Look, grid: RasterInfo, tmp_path: Path
) -> None:
    path = tmp_path / "map.gpkg"
    classes = np.repeat(np.array([0, 1, 2, 255], np.uint8), 15)[None].repeat(40, axis=0)
    strip = Strip(0, Window(0, 0, 40, 60), classes, np.full((40, 60), 254, np.uint8))
    with polygon_writer(path, grid, LEGEND, overwrite=False) as writer:
        writer.write(strip)

    (shown,) = qgis(path)

    assert (shown["is_valid"], shown["renderer"]) == (True, "categorizedSymbol")
    assert shown["classes"] == [[one.name, one.name, one.color] for one in LEGEND.classes]
    assert shown["symbols"] == ["fill"] * 3
    assert POLYGONS.recognises(path)


def test_a_style_is_known_as_ours_until_qgis_or_a_person_saves_another(tmp_path: Path) -> None:
    path = tmp_path / "map.qml"
    for text in (class_style(LEGEND), confidence_style()):
        path.write_text(text, encoding="utf-8")
        assert STYLE.recognises(path)
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    path.write_bytes(ET.tostring(root))  # without comments, as QGIS saves it
    assert not STYLE.recognises(path)
