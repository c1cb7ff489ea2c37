"""The kinds of output files, and functions that recognise files written by this program.

A command replaces a file only if it is of the kind that it would write there. A user's own file stays.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from geoseg.geodata.reading.opening import ignore_missing_georeference

MADE_BY = "GeoSeg-PointAI"
"""Software name in style files, pictures and ONNX files."""
RESULT_TAG = "GEOSEG_RESULT"
"""Tag of a GeoTIFF with the kind of result: "class map", "confidence" or "probabilities"."""

_STYLES_LAYER = "layer_styles"
_PNG_START_BYTES = 4096
_MOST_HEADER_BYTES = 100_000_000


@dataclass(frozen=True)
class FileKind:
    """A kind of file that a command writes.

    Attributes:
        name: What messages call it.
        endings: What its name may end in, in lower case.
        is_own: Says whether a file is one of these, written by this program. It may raise any exception on others.
    """

    name: str
    endings: tuple[str, ...]
    is_own: Callable[[Path], bool]

    def recognises(self, path: Path) -> bool:
        """Return whether a file is of this kind and written by this program, or is empty."""
        try:
            return path.stat().st_size == 0 or self.is_own(path)
        except Exception:  # noqa: BLE001
            # Libraries may raise any exception for files of other kinds.
            return False


def _raster(name: str, is_older: Callable[[rasterio.DatasetReader], bool]) -> FileKind:
    """Return a kind of GeoTIFF; ``is_older`` recognises files that lack the tag."""

    def is_own(path: Path) -> bool:
        with ignore_missing_georeference(), rasterio.open(path) as dataset:
            result = dataset.tags().get(RESULT_TAG)
            return is_older(dataset) if result is None else bool(result == name)

    return FileKind(name, (".tif", ".tiff"), is_own)


def _is_polygons(path: Path) -> bool:
    return _layers(path) == {"classes"} and {"class_id", "class", "pixels"} <= _fields(path, "classes")


def _is_sample(path: Path) -> bool:
    """Return whether a file contains only points that were drawn from masks."""
    is_package = path.suffix.lower() == ".gpkg"
    if is_package and not _layers(path) <= {"points", "legend"}:
        return False
    layer = "points" if is_package else None
    drawn = {"class", "image", "source", "seed"} <= _fields(path, layer)
    return drawn and set(_read(path, layer)["source"]) <= {"simulated"}


def _is_unlabelled_sample(path: Path) -> bool:
    """Return whether a file is a sample of an assessment without labels: labels are work of hours."""
    if not {"sample", "units", "strata", "design"} <= _layers(path):
        return False
    import pyogrio  # Loads geopandas, which most commands never need.

    labels = pyogrio.read_dataframe(path, layer="sample", columns=["reference"], read_geometry=False)
    return bool(labels["reference"].isna().all())


def _is_assessment_page(path: Path) -> bool:
    return (
        f'<meta name="generator" content="{MADE_BY}">' in path.read_text(encoding="utf-8")[:_PNG_START_BYTES]
    )


def _is_assessment_csv(path: Path) -> bool:
    return path.read_text(encoding="utf-8").startswith(
        "measure,map_class,reference_class,estimate,half_width"
    )


def _is_split(path: Path) -> bool:
    import pyogrio  # Loads geopandas, which most commands never need.

    metadata = pyogrio.read_info(path, layer="points")["dataset_metadata"] or {}
    return bool(metadata.get(RESULT_TAG) == SPLIT.name)


def _is_audit(path: Path) -> bool:
    return _layers(path) == {"audit"} and {"number", "class", "reason"} <= _fields(path, "audit")


def _is_dropped(path: Path) -> bool:
    return _layers(path) == {"dropped"} and {"number", "class", "reason"} <= _fields(path, "dropped")


def _layers(path: Path) -> set[str]:
    import pyogrio  # Loads geopandas, which most commands never need.

    return set(pyogrio.list_layers(path)[:, 0]) - {_STYLES_LAYER}


def _fields(path: Path, layer: str | None) -> set[str]:
    import pyogrio  # Loads geopandas, which most commands never need.

    return set(pyogrio.read_info(path, layer=layer)["fields"])


def _read(path: Path, layer: str | None) -> Any:
    import pyogrio  # Loads geopandas, which most commands never need.

    return pyogrio.read_dataframe(path, layer=layer, columns=["source"], read_geometry=False)


def _is_area_json(path: Path) -> bool:
    records = _json(path)["classes"]
    return all({"id", "name", "pixels", "share"} <= record.keys() for record in records)


def _is_area_csv(path: Path) -> bool:
    with path.open(encoding="utf-8", newline="") as file:
        return {"id", "name", "pixels", "share"} <= set(next(csv.reader(file)))


def _is_stac(path: Path) -> bool:
    item = _json(path)
    return "class_map" in item["assets"] and "mlm:name" in item["properties"]


def _is_style(path: Path) -> bool:
    return f"<!-- {MADE_BY} -->" in path.read_text(encoding="utf-8")


def _is_picture(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(_PNG_START_BYTES)
    return start.startswith(b"\x89PNG") and b"Software\0" + MADE_BY.encode() in start


def _is_model(path: Path) -> bool:
    """Read the metadata in the header of a safetensors file, which may be truncated."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length)) if length < _MOST_HEADER_BYTES else {}
    return "geoseg_format" in header["__metadata__"]


def _is_onnx(path: Path) -> bool:
    return MADE_BY.encode() in path.read_bytes()


def _json(path: Path) -> Mapping[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _is_scaled(dataset: rasterio.DatasetReader) -> bool:
    return set(dataset.dtypes) == {"uint8"} and {round(1 / scale) for scale in dataset.scales} == {254}


CLASS_MAP = _raster("class map", lambda dataset: "CLASS_NAMES" in dataset.tags())
CONFIDENCE = _raster("confidence", lambda found: _is_scaled(found) and found.descriptions == ("confidence",))
PROBABILITIES = _raster("probabilities", lambda found: _is_scaled(found) and found.count > 1)
CONFORMAL = _raster(
    "conformal set sizes", lambda found: found.descriptions == ("classes in the conformal set",)
)
POLYGONS = FileKind("polygon file", (".gpkg",), _is_polygons)
SAMPLE = FileKind("file of drawn points", (".gpkg", ".geojson", ".json", ".csv"), _is_sample)
DROPPED = FileKind("file of dropped points", (".gpkg",), _is_dropped)
ASSESSMENT_SAMPLE = FileKind("sample without labels", (".gpkg",), _is_unlabelled_sample)
ASSESSMENT_PAGE = FileKind("report of an assessment", (".html", ".htm"), _is_assessment_page)
MODEL_REPORT = FileKind("report of a model", (".html", ".htm"), _is_assessment_page)
ASSESSMENT_CSV = FileKind("table of an assessment", (".csv",), _is_assessment_csv)
SPLIT = FileKind("file of split points", (".gpkg",), _is_split)
AUDIT = FileKind("file of audited points", (".gpkg",), _is_audit)
AREA_JSON = FileKind("table of areas", (".json",), _is_area_json)
AREA_CSV = FileKind("table of areas", (".csv",), _is_area_csv)
STYLE = FileKind("QGIS style", (".qml",), _is_style)
STAC = FileKind("STAC item", (".json",), _is_stac)
PICTURE = FileKind("picture", (".png",), _is_picture)
MODEL = FileKind("model file", (".geoseg",), _is_model)
ONNX = FileKind("model in ONNX", (".onnx",), _is_onnx)
