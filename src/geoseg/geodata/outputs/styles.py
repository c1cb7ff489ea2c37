"""Write QGIS styles for class maps, confidence rasters, points and polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pyogrio

from geoseg.domain.legend import UNSURE, Legend
from geoseg.geodata.outputs.file_kinds import MADE_BY
from geoseg.geodata.reading.categories import UNSURE_COLOR

STYLES_LAYER = "layer_styles"
"""Table of QGIS styles in a GeoPackage."""

_RAMP = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Viridis, at five steps from 0 to 1."""
_MARKER = {"name": "circle", "size": "2.4", "outline_color": "35,35,35,255"}
_UNLABELLED = {**_MARKER, "color": "255,255,255,255", "outline_color": "200,0,0,255", "outline_width": "0.6"}
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


def class_style(legend: Legend, *, has_unsure: bool = False) -> str:
    """Return the style (``.qml``) of a class map: one legend entry and colour for each class, nodata not drawn.

    With ``has_unsure``, the value 254 has the entry "unsure".
    """
    root, renderer = _raster_style("paletted", {})
    palette = ET.SubElement(renderer, "colorPalette")
    for one in legend.classes:
        ET.SubElement(
            palette, "paletteEntry", value=str(one.id), label=one.name, color=one.color, alpha="255"
        )
    if has_unsure:
        look = {"value": str(UNSURE), "label": "unsure", "color": UNSURE_COLOR, "alpha": "255"}
        ET.SubElement(palette, "paletteEntry", look)
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
    _write_layer_style(path, layer, _text(_class_tree(legend, _MARKERS, looks)))


def write_polygon_style(path: Path, layer: str, legend: Legend) -> None:
    """Add the style of a layer of polygons to its GeoPackage: one fill for each value of the column ``class``."""
    looks = [{"color": color, "outline_color": color, **_FILL} for color in _colors(legend)]
    _write_layer_style(path, layer, _text(_class_tree(legend, _FILLS, looks)))


def write_interpreter_form(path: Path, layer: str, legend: Legend, *, shown: Sequence[str]) -> None:
    """Add style and form of a sample to label to its GeoPackage: a list of classes, a check box and a note.

    Args:
        path: The GeoPackage.
        layer: The layer of points, with the columns ``reference``, ``unsure`` and ``note``.
        legend: The classes of the list.
        shown: Other columns that the form shows, but does not change.
    """
    looks = [{"color": color, **_MARKER} for color in _colors(legend)]
    root = _class_tree(legend, _MARKERS, looks, column="reference")
    root.set("styleCategories", "Symbology|Fields|Forms")
    symbols, categories = root.find("renderer-v2/symbols"), root.find("renderer-v2/categories")
    assert symbols is not None
    assert categories is not None
    _add_category(
        categories, symbols, name="", label="not labelled", symbol=str(len(legend)), look=_UNLABELLED
    )
    fields, editable = ET.SubElement(root, "fieldConfiguration"), ET.SubElement(root, "editable")
    values = [(one.name, one.name) for one in legend.classes]
    widgets = {"reference": "ValueMap", "unsure": "CheckBox", "note": "TextEdit"}
    kinds = dict.fromkeys(("stratum", "inclusion_probability"), "Hidden") | widgets
    for name, kind in {**dict.fromkeys(shown, "TextEdit"), **kinds}.items():
        widget = ET.SubElement(ET.SubElement(fields, "field", name=name), "editWidget", type=kind)
        config = ET.SubElement(ET.SubElement(widget, "config"), "Option", type="Map")
        if kind == "ValueMap":
            _add_values(config, values)
        ET.SubElement(editable, "field", name=name, editable="1" if name in widgets else "0")
    _write_layer_style(path, layer, _text(root))


def _add_values(config: ET.Element, values: Sequence[tuple[str, str]]) -> None:
    """Add the entries of a value map: label and value."""
    entries = ET.SubElement(config, "Option", name="map", type="List")
    for label, value in values:
        ET.SubElement(
            ET.SubElement(entries, "Option", type="Map"), "Option", name=label, value=value, type="QString"
        )


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


def _class_tree(
    legend: Legend, symbols: _Symbols, looks: Sequence[Mapping[str, str]], *, column: str = "class"
) -> ET.Element:
    """Return a style with a category and a symbol for each class; the class id is the symbol name."""
    root = ET.Element("qgis", version="3.22.0", styleCategories="Symbology")
    renderer = ET.SubElement(root, "renderer-v2", type="categorizedSymbol", attr=column)
    categories, drawn = ET.SubElement(renderer, "categories"), ET.SubElement(renderer, "symbols")
    for one, look in zip(legend.classes, looks, strict=True):
        _add_category(
            categories, drawn, name=one.name, label=one.name, symbol=str(one.id), look=look, symbols=symbols
        )
    ET.SubElement(root, "layerGeometryType").text = symbols.geometry
    return root


def _add_category(  # noqa: PLR0913 -- the parts of a category
    categories: ET.Element,
    drawn: ET.Element,
    *,
    name: str,
    label: str,
    symbol: str,
    look: Mapping[str, str],
    symbols: _Symbols = _MARKERS,
) -> None:
    """Add a category and its symbol."""
    ET.SubElement(
        categories, "category", value=name, label=label, symbol=symbol, type="string", render="true"
    )
    element = ET.SubElement(drawn, "symbol", name=symbol, type=symbols.kind)
    layer = ET.SubElement(element, "layer", {"class": symbols.layer})
    for key, value in look.items():
        ET.SubElement(layer, "prop", k=key, v=value)


def _colors(legend: Legend) -> list[str]:
    """Return the colours in QGIS format."""
    return [f"{red},{green},{blue},255" for red, green, blue in legend.rgb]


def _text(root: ET.Element) -> str:
    ET.indent(root)
    start = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return start + ET.tostring(root, encoding="unicode") + "\n"
