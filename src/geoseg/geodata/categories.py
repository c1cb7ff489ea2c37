"""Name the classes of a raster in the files that GDAL and QGIS read: a tag, and a sidecar."""

from __future__ import annotations

import json
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from geoseg.domain.legend import UNLABELLED, LandClass, Legend, legend_from_names
from geoseg.errors import LegendError

CLASS_NAMES_TAG = "CLASS_NAMES"
"""Dataset tag that holds the class names as JSON, id -> name."""

# GDALRATFieldType and GDALRATFieldUsage of the columns (gdal.h).
_COLUMNS = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8))


def names_tag(legend: Legend) -> str:
    """Return the class names as JSON, id -> name."""
    return json.dumps({str(c.id): c.name for c in legend.classes}, ensure_ascii=False)


def color_table(legend: Legend) -> dict[int, tuple[int, int, int, int]]:
    """Return red, green, blue, alpha by class id; 255 is transparent."""
    colors = {i: (int(r), int(g), int(b), 255) for i, (r, g, b) in enumerate(legend.rgb)}
    return colors | {UNLABELLED: (0, 0, 0, 0)}


def legend_from_file(
    tag: str | None, colors: Mapping[int, tuple[int, int, int, int]] | None, where: object
) -> Legend | None:
    """Restore the legend from ``names_tag`` and the colour table; None without the tag.

    Raises:
        LegendError: The tag is not what ``names_tag`` writes.
    """
    if tag is None:
        return None
    try:
        names = {int(key): str(name) for key, name in json.loads(tag).items()}
    except (ValueError, AttributeError) as error:
        raise LegendError(
            f"the tag {CLASS_NAMES_TAG} cannot be read", where=where, expected="JSON, id -> name", got=tag
        ) from error
    if colors is None:
        return legend_from_names(names[i] for i in sorted(names))
    rgb = {i: colors.get(i, (0, 0, 0, 255))[:3] for i in names}
    return Legend(tuple(LandClass(i, names[i], "#{:02x}{:02x}{:02x}".format(*rgb[i])) for i in sorted(names)))


def sidecar_xml(legend: Legend) -> str:
    """Return the PAM sidecar (``.aux.xml``): category names, and a raster attribute table with colours."""
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    _add_names(band, legend)
    _add_table(band, legend)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _add_names(band: ET.Element, legend: Legend) -> None:
    names = ET.SubElement(band, "CategoryNames")
    for name in legend.names:
        ET.SubElement(names, "Category").text = name


def _add_table(band: ET.Element, legend: Legend) -> None:
    table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_COLUMNS):
        column = ET.SubElement(table, "FieldDefn", index=str(index))
        for key, value in (("Name", name), ("Type", kind), ("Usage", usage)):
            ET.SubElement(column, key).text = str(value)
    for land_class, color in zip(legend.classes, legend.rgb, strict=True):
        row = ET.SubElement(table, "Row", index=str(land_class.id))
        for value in (land_class.id, land_class.name, *color):
            ET.SubElement(row, "F").text = str(value)
