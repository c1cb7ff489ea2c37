"""Convert a class map in memory to GeoJSON polygons."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import CRSError, ProjError
from rasterio.errors import CRSError as RasterCRSError

from geoseg.domain.legend import Legend
from geoseg.domain.mapping.prediction import Strip
from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.outputs.polygons import Region, RegionMerger, polygon_table
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.pixel_areas import pixel_areas_m2

_WGS84 = 4326
_DECIMALS = 7
# So many rows are looked at in one go.
_STRIP_ROWS = 256


def class_polygons_geojson(  # noqa: PLR0917
    class_ids: NDArray[np.uint8],
    confidence_steps: NDArray[np.uint8],
    info: RasterInfo,
    legend: Legend,
    *,
    simplify_m: float = 0.0,
) -> str:
    """Return the polygons of a map as a FeatureCollection (RFC 7946).

    A polygon is a region of 4-connected pixels of one class, as :func:`geoseg.geodata.outputs.polygons.polygon_writer` makes
    them, with the properties class_id, class, pixels, area_m2 and confidence (mean, 0..1). Corners are longitude and
    latitude on WGS 84 with 7 decimals, about a centimetre; exterior rings run anticlockwise. Polygons that cross the
    180th meridian are not cut there, as the RFC advises.

    Args:
        class_ids: Class ids (H, W); 255 is none.
        confidence_steps: Their confidence in steps of 1/254 (H, W); 255 is none, and not part of the mean.
        info: The raster.
        legend: The classes.
        simplify_m: How far outlines may move, each by itself.

    Raises:
        RasterError: The raster has no CRS, or one that does not lead to longitude and latitude.
    """
    if info.crs is None:
        raise _not_placed(info, "none")
    try:
        regions = list(_regions(class_ids, confidence_steps, info))
        table = polygon_table(regions, info, legend, simplify_m=simplify_m).to_crs(_WGS84)
    except (CRSError, ProjError, RasterCRSError) as error:
        raise _not_placed(info, error) from error
    outlines = table.geometry.to_numpy()
    if not np.isfinite(shapely.get_coordinates(outlines)).all():
        raise _not_placed(info, "places outside the reach of the raster's CRS")
    rounded = shapely.transform(outlines, lambda places: np.round(places, _DECIMALS))
    geometries = shapely.to_geojson(shapely.orient_polygons(rounded, exterior_cw=False))
    properties = table.drop(columns="geometry").to_dict("records")
    features = [_feature(*parts) for parts in zip(properties, geometries, strict=True)]
    return f'{{"type":"FeatureCollection","features":[{",".join(features)}]}}'


def _feature(properties: dict[str, object], geometry: str) -> str:
    # The geometry is JSON already.
    return (
        f'{{"type":"Feature","properties":{json.dumps(properties, allow_nan=False)},"geometry":{geometry}}}'
    )


def _regions(
    class_ids: NDArray[np.uint8], confidence: NDArray[np.uint8], info: RasterInfo
) -> Iterator[Region]:
    merger, width = RegionMerger(), class_ids.shape[1]
    for number, top in enumerate(range(0, len(class_ids), _STRIP_ROWS)):
        rows = slice(top, top + _STRIP_ROWS)
        window = Window(top, 0, len(class_ids[rows]), width)
        strip = Strip(number, window, class_ids[rows], confidence[rows])
        yield from merger.add(strip, pixel_areas_m2(info, window))
    yield from merger.finish()


def _not_placed(info: RasterInfo, got: object) -> RasterError:
    return RasterError(
        "the raster has no usable georeference",
        where=info.path,
        expected="a coordinate reference system with a transformation to longitude and latitude",
        got=got,
    )
