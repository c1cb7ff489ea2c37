"""The style with which QGIS opens a class map."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from geoseg.domain.legend import Legend


def qgis_style(legend: Legend) -> str:
    """Return a QGIS layer style (``.qml``): one legend entry and colour a class, nodata not drawn."""
    root = ET.Element("qgis", version="3.28.0", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor=""
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for one in legend.classes:
        ET.SubElement(
            palette, "paletteEntry", value=str(one.id), label=one.name, color=one.color, alpha="255"
        )
    ET.indent(root)
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        + ET.tostring(root, encoding="unicode")
        + "\n"
    )
