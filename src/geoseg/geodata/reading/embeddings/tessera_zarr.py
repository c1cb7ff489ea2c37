"""Tessera embeddings in a Zarr store: a group for each UTM zone, with ``embeddings`` and ``scales``.

The arrays are (time, band, y, x) and (time, y, x), in shards. GDAL 3.10, which rasterio's wheels bring, reads neither
shards nor the codec ``bytes`` of Zarr version 3, so the package zarr is needed (``pip install 'geoseg-pointai[zarr]'``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geoseg.domain.feature_spaces import TESSERA, FeatureSpace
from geoseg.domain.windows import Window
from geoseg.errors import RasterError, SettingsError
from geoseg.geodata.reading.embeddings.tessera import apply_scales, plain_version
from geoseg.geodata.reading.embeddings.vectors import EmbeddingPart, Vectors
from geoseg.geodata.reading.grids import RasterInfo, with_resolution

_FILE = "zarr.json"
_ARRAYS = ("embeddings", "scales")
_AXES = 4


@dataclass(frozen=True)
class ZarrZone:
    """A group of a store, and the year to read; None: the only one."""

    folder: Path
    year: int | None

    @property
    def files(self) -> list[Path]:
        """The files that describe the group and its arrays."""
        return [self.folder / _FILE, *(self.folder / name / _FILE for name in _ARRAYS)]


def find_zone(path: Path) -> ZarrZone | None:
    """Return the group that a path names: its folder, or its folder and a year, such as ``tessera.zarr/utm33/2024``.

    Raises:
        RasterError: The path is a store or a group without embeddings.
    """
    if (path / _FILE).is_file():
        zone = ZarrZone(path, None)
    elif re.fullmatch(r"\d{4}", path.name) and (path.parent / _FILE).is_file():
        zone = ZarrZone(path.parent, int(path.name))
    else:
        return None
    if not all(file.is_file() for file in zone.files):
        inside = sorted(
            folder.name for folder in zone.folder.iterdir() if (folder / _ARRAYS[0] / _FILE).is_file()
        )
        raise RasterError(
            "this Zarr group holds no embeddings",
            where=zone.folder,
            expected="the group of a UTM zone, with the arrays embeddings and scales",
            hint=f"Choose a zone, such as {zone.folder / inside[0]}." if inside else None,
        )
    return zone


class TesseraZone:
    """The arrays of one year in a zone.

    Args:
        embeddings: Zarr array (T, B, H, W).
        scales: Zarr array (T, H, W).
        time: Position of the year.
        path: The path of the zone, for errors.
    """

    def __init__(self, embeddings: Any, scales: Any, time: int, *, path: Path) -> None:
        self._embeddings, self._scales, self._time, self._path = embeddings, scales, time, path
        self.height, self.width = (int(side) for side in embeddings.shape[2:])

    def read(self, window: Window, bands: Sequence[int]) -> Vectors:
        """Return the decoded values of bands in a window inside the zone."""
        box = np.s_[window.row : window.row + window.height, window.col : window.col + window.width]
        try:
            stored = np.asarray(self._embeddings[self._time, :, *box])
            scales = np.asarray(self._scales[self._time, *box])
        except (OSError, ValueError, RuntimeError) as error:
            raise RasterError("the Zarr store is damaged", where=self._path, got=error) from error
        chosen = [band - 1 for band in bands]
        is_all = chosen == list(range(len(stored)))
        return apply_scales(stored if is_all else stored[chosen], scales)


def open_zone(zone: ZarrZone, path: Path) -> tuple[RasterInfo, EmbeddingPart]:
    """Open a zone; return its description and its bands.

    Raises:
        RasterError: The group has another layout, no position, or not the year.
        SettingsError: The package zarr is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise SettingsError(
            "the package zarr, which reads Zarr stores, is not installed",
            where=path,
            hint="pip install 'geoseg-pointai[zarr]'",
        ) from error
    group: Any = zarr.open_group(str(zone.folder), mode="r")
    embeddings, scales = group["embeddings"], group["scales"]
    shape = tuple(embeddings.shape)
    if len(shape) != _AXES or tuple(scales.shape) != (shape[0], *shape[2:]) or embeddings.dtype != np.int8:
        raise RasterError(
            "the scales do not have the grid of the embeddings",
            where=path,
            expected="embeddings of int8 (time, band, y, x) and scales (time, y, x)",
            got=f"{embeddings.dtype} {shape} and {tuple(scales.shape)}",
        )
    years = [int(year) for year in np.asarray(group["time"][:])] if "time" in group else [zone.year or 0]
    info = RasterInfo(
        path=path,
        height=shape[2],
        width=shape[3],
        bands=shape[1],
        dtype="float32",
        resolution_m=None,
        nodata=None,
        feature_space=_space(zone.folder, shape[1]),
        **_position(dict(group.attrs), path),
    )
    vectors = TesseraZone(embeddings, scales, _time(years, zone, path), path=path)
    return with_resolution(info), EmbeddingPart(vectors, path, tuple(range(1, shape[1] + 1)))


def _time(years: Sequence[int], zone: ZarrZone, path: Path) -> int:
    if zone.year is None and len(years) == 1:
        return 0
    if zone.year is None or zone.year not in years:
        listed = ", ".join(map(str, years))
        raise RasterError(
            "the store holds several years" if zone.year is None else "the store does not hold this year",
            where=path,
            expected=f"one of {listed}",
            got=zone.year,
            hint=f"Add the year to the path, such as {zone.folder / str(years[-1])}.",
        )
    return list(years).index(zone.year)


def _position(attributes: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return CRS and transform by the conventions ``proj:`` and ``spatial:``."""
    try:
        transform = tuple(float(number) for number in attributes["spatial:transform"][:6])
        crs = CRS.from_user_input(attributes["proj:code"]).to_wkt()
    except (KeyError, TypeError, ValueError, CRSError) as error:
        raise RasterError(
            "the Zarr group has no position",
            where=path,
            expected="the attributes proj:code and spatial:transform",
            got=error,
        ) from error
    return {"crs": crs, "transform": transform}


def _space(folder: Path, bands: int) -> FeatureSpace:
    """Return the feature space by the attribute ``geoemb:model`` of the group or of the store."""
    for place in (folder, folder.parent):
        try:
            found = json.loads((place / _FILE).read_text(encoding="utf-8")).get("attributes", {})
        except (OSError, ValueError):
            continue
        if model := found.get("geoemb:model"):
            return FeatureSpace(bands, TESSERA, plain_version(str(model).rstrip("/").rsplit("/", 1)[-1]))
    return FeatureSpace(bands, TESSERA)
