"""Write QGIS styles for class maps, confidence rasters, points and polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pyogrio

from geoseg.domain.legend import Legend
from geoseg.geodata.outputs.file_kinds import MADE_BY

STYLES_LAYER = "layer_styles"
"""Table of QGIS styles in a GeoPackage."""

_RAMP = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Viridis, at five steps from 0 to 1."""
_MARKER = {"name": "circle", "size": "2.4", "outline_color": "35,35,35,255"}
# An outline in the fill colour hides the thin line that antialiasing shows between neighbours.
_FILL = {"style": "solid", "outline_style": "solid", "outline_width": "0.1"}


@dataclass(frozen=True)
class _Symbols:
    """QGIS names of a symbol type, its layer class and its geometry type."""

    kind: str
    layer: str
    geometry: str


_MARKERS = _Symbols("marker", "SimpleMarker", "0")
_FILLS = _Symbols("fill", "SimpleFill", "2")


def class_style(legend: Legend) -> str:
    """Return the style (``.qml``) of a class map: one legend entry and colour for each class, nodata not drawn."""
    root, renderer = _raster_style("paletted", {})
    palette = ET.SubElement(renderer, "colorPalette")
    for one in legend.classes:
        ET.SubElement(
            palette, "paletteEntry", value=str(one.id), label=one.name, color=one.color, alpha="255"
        )
    return _text(root)


def confidence_style() -> str:
    """Return the style (``.qml``) of a confidence raster: a colour ramp from 0 to 1."""
    root, renderer = _raster_style(
        "singlebandpseudocolor", {"classificationMin": "0", "classificationMax": "1"}
    )
    shader = ET.SubElement(ET.SubElement(renderer, "rastershader"), "colorrampshader")
    ramp = {"colorRampType": "INTERPOLATED", "classificationMode": "1", "clip": "0"}
    shader.attrib.update(ramp, minimumValue="0", maximumValue="1")
    for step, color in enumerate(_RAMP):
        value = f"{step / (len(_RAMP) - 1):g}"
        ET.SubElement(shader, "item", value=value, label=value, color=color, alpha="255")
    return _text(root)


def write_point_style(path: Path, layer: str, legend: Legend) -> None:
    """Add the style of a layer of points to its GeoPackage: one colour for each value of the column ``class``."""
    looks = [{"color": color, **_MARKER} for color in _colors(legend)]
    _write_layer_style(path, layer, _class_style(legend, _MARKERS, looks))


def write_polygon_style(path: Path, layer: str, legend: Legend) -> None:
    """Add the style of a layer of polygons to its GeoPackage: one fill for each value of the column ``class``."""
    looks = [{"color": color, "outline_color": color, **_FILL} for color in _colors(legend)]
    _write_layer_style(path, layer, _class_style(legend, _FILLS, looks))


def _write_layer_style(path: Path, layer: str, style: str) -> None:
    row = {
        "f_table_catalog": "",
        "f_table_schema": "",
        "f_table_name": layer,
        "f_geometry_column": "geom",
        "styleName": layer,
        "styleQML": style,
        "styleSLD": "",
        "useAsDefault": True,
        "description": MADE_BY,
        "owner": "",
        # QGIS sorts by it. A fixed time makes files with the same content identical.
        "update_time": "2000-01-01T00:00:00Z",
    }
    pyogrio.write_dataframe(pd.DataFrame([row]), path, layer=STYLES_LAYER, driver="GPKG")


def _raster_style(kind: str, attributes: Mapping[str, str]) -> tuple[ET.Element, ET.Element]:
    """Return a style and the element of its renderer."""
    root = ET.Element("qgis", version="3.22.0", styleCategories="Symbology")
    root.append(ET.Comment(f" {MADE_BY} "))
    renderer = ET.SubElement(ET.SubElement(root, "pipe"), "rasterrenderer", type=kind, band="1")
    renderer.attrib.update(attributes, opacity="1", alphaBand="-1", nodataColor="")
    return root, renderer


def _class_style(legend: Legend, symbols: _Symbols, looks: Sequence[Mapping[str, str]]) -> str:
    """Return a style with a category and a symbol for each class; the class id is the symbol name."""
    root = ET.Element("qgis", version="3.22.0", styleCategories="Symbology")
    renderer = ET.SubElement(root, "renderer-v2", type="categorizedSymbol", attr="class")
    categories, drawn = ET.SubElement(renderer, "categories"), ET.SubElement(renderer, "symbols")
    for one, look in zip(legend.classes, looks, strict=True):
        number = str(one.id)
        ET.SubElement(
            categories,
            "category",
            value=one.name,
            label=one.name,
            symbol=number,
            type="string",
            render="true",
        )
        symbol = ET.SubElement(drawn, "symbol", name=number, type=symbols.kind)
        layer = ET.SubElement(symbol, "layer", {"class": symbols.layer})
        for key, value in look.items():
            ET.SubElement(layer, "prop", k=key, v=value)
    ET.SubElement(root, "layerGeometryType").text = symbols.geometry
    return _text(root)


def _colors(legend: Legend) -> list[str]:
    """Return the colours in QGIS format."""
    return [f"{red},{green},{blue},255" for red, green, blue in legend.rgb]


def _text(root: ET.Element) -> str:
    ET.indent(root)
    start = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return start + ET.tostring(root, encoding="unicode") + "\n"
