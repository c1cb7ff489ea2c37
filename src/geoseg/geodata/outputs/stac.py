"""Create a STAC item for a map and its model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rasterio.crs import CRS
from rasterio.warp import transform_geom

from geoseg.domain.legend import Legend
from geoseg.geodata.reading.grids import RasterInfo

EXTENSIONS = (
    "https://stac-extensions.github.io/mlm/v1.4.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
)
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_MEDIA_TYPES = {
    ".tif": _COG,
    ".gpkg": "application/geopackage+sqlite3",
    ".csv": "text/csv",
    ".json": "application/json",
}
_STEPS_A_SIDE = 8


def stac_item(
    info: RasterInfo, legend: Legend, files: Mapping[str, Path], *, model: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a STAC item (version 1.1) with the machine-learning-model, projection and classification extensions.

    Args:
        info: The raster of the map.
        legend: The classes.
        files: The results by role ("class_map", "confidence", ...); the item lies beside the class map.
        model: The properties ``mlm:...``.
    """
    geometry = _footprint(info)
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(EXTENSIONS),
        "id": files["class_map"].stem,
        "geometry": geometry,
        "properties": {
            "datetime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "gsd": info.resolution_m,
            **_projection(info),
            **model,
        },
        "links": [],
        "assets": {
            role: _asset(role, _href(path, files["class_map"].parent), legend) for role, path in files.items()
        },
    }
    if geometry is not None:
        ring = geometry["coordinates"][0]
        lon, lat = [place[0] for place in ring], [place[1] for place in ring]
        item["bbox"] = [min(lon), min(lat), max(lon), max(lat)]
    if info.resolution_m is None:
        del item["properties"]["gsd"]
    return item


def _href(path: Path, folder: Path) -> str:
    relative = Path(os.path.relpath(path, folder)).as_posix()
    return relative if relative.startswith("../") else f"./{relative}"


def _asset(role: str, href: str, legend: Legend) -> dict[str, Any]:
    asset: dict[str, Any] = {"href": href, "roles": ["data"], "title": role.replace("_", " ")}
    if media_type := _MEDIA_TYPES.get(Path(href).suffix):
        asset["type"] = media_type
    if role == "class_map":
        asset["classification:classes"] = [
            {"value": c.id, "name": c.name, "color_hint": c.color.removeprefix("#").upper()}
            for c in legend.classes
        ]
    return asset


def _projection(info: RasterInfo) -> dict[str, Any]:
    place = {"proj:shape": [info.height, info.width], "proj:transform": list(info.transform)}
    if info.crs is None:
        return place
    crs = CRS.from_wkt(info.crs)
    code = crs.to_epsg()
    return {**place, "proj:code": f"EPSG:{code}"} if code else {**place, "proj:wkt2": info.crs}


def _footprint(info: RasterInfo) -> dict[str, Any] | None:
    """Return the raster's outline in longitude and latitude, with places along its sides; None without a CRS."""
    if info.crs is None:
        return None
    shares = [n / _STEPS_A_SIDE for n in range(_STEPS_A_SIDE)]
    ring = (
        [(s, 0.0) for s in shares]
        + [(1.0, s) for s in shares]
        + [(1 - s, 1.0) for s in shares]
        + [(0.0, 1 - s) for s in shares]
    )
    corners = [info.affine @ (x * info.width, y * info.height) for x, y in ring]
    # Counterclockwise, as RFC 7946 asks: rows go south.
    outline = {"type": "Polygon", "coordinates": [[*corners[::-1], corners[-1]]]}
    warped = transform_geom(CRS.from_wkt(info.crs), CRS.from_epsg(4326), outline)
    rings = [[[float(x), float(y)] for x, y in part] for part in warped["coordinates"]]
    return {"type": "Polygon", "coordinates": rings}
