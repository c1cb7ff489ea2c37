"""Read and write class names of a raster for GDAL and QGIS: a dataset tag and a PAM sidecar."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from geoseg.domain.legend import UNLABELLED, LandClass, Legend, legend_from_names
from geoseg.errors import LegendError

UNSURE_COLOR = "#e8e8e8"
CLASS_NAMES_TAG = "CLASS_NAMES"
"""Dataset tag that holds the class names as JSON, id -> name."""

# GDALRATFieldType and GDALRATFieldUsage of the columns (gdal.h).
_VALUE, _NAME = 5, 2
_COLUMNS = (("Value", 0, _VALUE), ("Class", 2, _NAME), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8))


def names_tag(legend: Legend) -> str:
    """Return the class names as JSON, id -> name."""
    return json.dumps({str(c.id): c.name for c in legend.classes}, ensure_ascii=False)


def color_table(legend: Legend) -> dict[int, tuple[int, int, int, int]]:
    """Return red, green, blue, alpha by class id; 255 is transparent."""
    colors = {i: (int(r), int(g), int(b), 255) for i, (r, g, b) in enumerate(legend.rgb)}
    return colors | {UNLABELLED: (0, 0, 0, 0)}


def unsure_color() -> tuple[int, int, int, int]:
    """Return red, green, blue, alpha of unsure pixels."""
    red, green, blue = bytes.fromhex(UNSURE_COLOR[1:])
    return red, green, blue, 255


def class_names(dataset: DatasetReader, path: Path) -> dict[int, str]:
    """Return the class name of each value; empty if the file has no class names.

    Sources are the tag of this package, and the category names or raster attribute table in ``.aux.xml`` or a VRT.

    Raises:
        LegendError: The tag is damaged.
    """
    tag = dataset.tags().get(CLASS_NAMES_TAG)
    if tag is not None:
        return _names_of_tag(tag, path)
    for file in (path.with_name(f"{path.name}.aux.xml"), path if path.suffix.lower() == ".vrt" else None):
        names = _names_of_xml(file) if file is not None and file.is_file() else {}
        if names:
            return names
    return {}


def _names_of_tag(tag: str, where: object) -> dict[int, str]:
    try:
        return {int(key): str(name) for key, name in json.loads(tag).items()}
    except (ValueError, AttributeError) as error:
        raise LegendError(
            f"the tag {CLASS_NAMES_TAG} cannot be read", where=where, expected="JSON, id -> name", got=tag
        ) from error


def _names_of_xml(path: Path) -> dict[int, str]:
    """Return the category names of the first band, or else the names in its raster attribute table."""
    try:
        root = ET.fromstring(path.read_bytes())
    except (OSError, ET.ParseError):
        return {}  # GDAL ignores such a sidecar too
    categories = next(root.iter("CategoryNames"), None)
    if categories is not None:
        return {
            value: node.text.strip()
            for value, node in enumerate(categories)
            if node.text and node.text.strip()
        }
    table = next(root.iter("GDALRasterAttributeTable"), None)
    return {} if table is None else _names_of_table(table)


def _names_of_table(table: ET.Element) -> dict[int, str]:
    usages = [column.findtext("Usage", "") for column in table.iter("FieldDefn")]
    if str(_VALUE) not in usages or str(_NAME) not in usages:
        return {}
    value, name = usages.index(str(_VALUE)), usages.index(str(_NAME))
    rows = [[field.text or "" for field in row] for row in table.iter("Row")]
    try:
        return {int(float(row[value])): row[name].strip() for row in rows if row[name].strip()}
    except (ValueError, IndexError):
        return {}


def legend_of_names(
    names: Mapping[int, str], colors: Mapping[int, tuple[int, int, int, int]] | None
) -> tuple[Legend | None, NDArray[np.uint8]]:
    """Return a legend from value names, and the class id of each value 0..255 (255 for values without a name).

    Class ids follow the order of the values. Values with the same name form one class. Without names the legend is
    None.
    """
    table = np.full(UNLABELLED + 1, UNLABELLED, np.uint8)
    by_name: dict[str, int] = {}
    for value in sorted(value for value in names if 0 <= value < UNLABELLED):
        table[value] = by_name.setdefault(names[value], len(by_name))
    if not by_name:
        return None, table
    if colors is None:
        return legend_from_names(by_name), table
    first = {class_id: value for value, class_id in reversed(list(enumerate(table.tolist())))}
    rgb = {k: colors.get(first[k], (0, 0, 0, 255))[:3] for k in by_name.values()}
    classes = (LandClass(k, name, "#{:02x}{:02x}{:02x}".format(*rgb[k])) for name, k in by_name.items())
    return Legend(tuple(classes)), table


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
