"""Rasters as other code holds them: paths, NumPy arrays and xarray DataArrays; and results of the same kind."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geoseg.domain.legend import UNLABELLED
from geoseg.errors import SettingsError
from geoseg.geodata.outputs.array_files import write_array
from geoseg.geodata.reading.grids import IDENTITY, RasterInfo
from geoseg.geodata.reading.rasters import describe_raster

RasterLike: TypeAlias = Any
"""A path, an array (bands, rows, columns) or (rows, columns), or a DataArray with these dimensions."""


@dataclass(frozen=True)
class RasterFile:
    """A raster as a file.

    Attributes:
        path: The file.
        like: The DataArray that it was written from; None for paths and NumPy arrays.
    """

    path: Path
    like: Any = None

    def as_map(self, class_ids: NDArray[np.uint8]) -> Any:
        """Return a class map (H, W): a DataArray with the coordinates of ``like``, or the array itself."""
        if self.like is None:
            return class_ids
        plane = _plane(self.like).copy(data=class_ids)
        plane.attrs, plane.encoding = {}, {}
        return plane.rename("class").rio.write_nodata(UNLABELLED)

    def as_probabilities(self, values: NDArray[np.float32], names: Sequence[str]) -> Any:
        """Return probabilities (C, H, W) likewise, with the dimension "class" first."""
        if self.like is None:
            return values
        plane = _plane(self.like).astype(np.float32).expand_dims({"class": list(names)})
        layers = plane.copy(data=values)
        layers.attrs, layers.encoding = {}, {}
        return layers.rename("probability")


def raster_file(raster: RasterLike, folder: Path, name: str, *, nodata: float | None = None) -> RasterFile:
    """Return a raster as a file; an array is written to a folder.

    Args:
        raster: A path, an array, or a DataArray whose CRS and transform are those of rioxarray.
        folder: Where to write arrays.
        name: File stem of an array.
        nodata: Value of an array that stands for no data, unless a DataArray declares one.

    Raises:
        SettingsError: It is something else, or rioxarray is not installed.
        RasterError: An array has the wrong shape or type.
    """
    if isinstance(raster, str | PathLike):
        return RasterFile(Path(raster))
    path = folder / f"{name}.tif"
    if is_data_array(raster):
        _write_data_array(path, raster, nodata)
        return RasterFile(path, raster)
    if isinstance(raster, np.ndarray):
        write_array(path, raster, nodata=nodata)
        return RasterFile(path)
    raise _no_raster(raster, name)


def raster_files(rasters: Any, folder: Path, *, nodata: float | None = None) -> dict[str, Path]:
    """Return one raster, a list of them or a mapping by name as files by image name.

    Paths have their stems as names, arrays "raster", or in a list "raster-0", "raster-1" ...

    Raises:
        SettingsError: There is none, two have one name, or something is no raster.
    """
    named = _named(rasters)
    files = {name: raster_file(raster, folder, name, nodata=nodata).path for name, raster in named}
    if not files or len(files) < len(named):
        raise SettingsError(
            "two rasters have one name" if files else "there is no raster",
            where="rasters",
            hint="Pass a dict of rasters by name." if files else None,
        )
    return files


def _named(rasters: Any) -> list[tuple[str, RasterLike]]:
    if isinstance(rasters, Mapping):
        return [(str(name), raster) for name, raster in rasters.items()]
    if not isinstance(rasters, list | tuple):
        return [(_name(rasters, "raster"), rasters)]
    return [(_name(raster, f"raster-{number}"), raster) for number, raster in enumerate(rasters)]


def _name(raster: RasterLike, default: str) -> str:
    return Path(raster).stem if isinstance(raster, str | PathLike) else default


def raster_grid(
    raster: RasterLike, name: str, *, transform: Sequence[float] | None = None, crs: object = None
) -> RasterInfo:
    """Return what a raster is: rows, columns, CRS and transform.

    Args:
        raster: A path, an array or a DataArray.
        name: What messages call an array.
        transform: Affine of a NumPy array from pixel corners (col, row) to x, y.
        crs: CRS of a NumPy array, as anything that rasterio understands.

    Raises:
        SettingsError: It is no raster, or the CRS is not known.
        RasterError: A file cannot be read.
    """
    if isinstance(raster, str | PathLike):
        return describe_raster(Path(raster))
    if is_data_array(raster):
        _load_rioxarray()
        transform, crs = _transform(raster), raster.rio.crs
    elif not isinstance(raster, np.ndarray):
        raise _no_raster(raster, name)
    height, width = raster.shape[-2:]
    place = IDENTITY if transform is None else tuple(float(number) for number in tuple(transform)[:6])
    return RasterInfo(
        path=Path(name),
        height=height,
        width=width,
        bands=1 if raster.ndim == 2 else raster.shape[0],
        dtype=str(raster.dtype),
        crs=None if crs is None else _as_wkt(crs),
        transform=(place[0], place[1], place[2], place[3], place[4], place[5]),
        resolution_m=None,
        nodata=None,
    )


def raster_grids(rasters: Any) -> dict[str, RasterInfo]:
    """Return what one raster, a list of them or a mapping by name are, by image name.

    Raises:
        SettingsError: One is no raster.
        RasterError: A file cannot be read.
    """
    return {name: raster_grid(raster, name) for name, raster in _named(rasters)}


def _as_wkt(crs: Any) -> str:
    try:
        return str(CRS.from_user_input(crs).to_wkt())
    except (CRSError, ValueError) as error:
        raise SettingsError(
            "this coordinate reference system is not known",
            where="crs",
            expected='such as "EPSG:25832"',
            got=crs,
        ) from error


def _no_raster(raster: object, name: str) -> SettingsError:
    return SettingsError(
        "this is no raster",
        where=name,
        expected="a path, a NumPy array or an xarray DataArray",
        got=type(raster).__name__,
    )


def is_data_array(raster: object) -> bool:
    """Return whether an object is an xarray DataArray; where there is one, xarray is loaded."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(raster, xarray.DataArray)


def _write_data_array(path: Path, raster: Any, nodata: float | None) -> None:
    """Write a DataArray with bands, rows and columns in their order."""
    _load_rioxarray()
    space = (raster.rio.y_dim, raster.rio.x_dim)
    others = [dim for dim in raster.dims if dim not in space]
    if len(others) > 1:
        raise SettingsError(
            "this DataArray has too many dimensions",
            where=path.stem,
            expected="bands, rows and columns",
            got=", ".join(map(str, raster.dims)),
        )
    declared = raster.rio.encoded_nodata if raster.rio.encoded_nodata is not None else raster.rio.nodata
    crs, values = raster.rio.crs, raster.transpose(*others, *space).to_numpy()
    write_array(
        path,
        values,
        crs=None if crs is None else crs.to_wkt(),
        transform=_transform(raster),
        nodata=nodata if declared is None else _storable(declared, values.dtype),
    )


def _transform(raster: Any) -> Sequence[float] | None:
    """Return the transform that the coordinates give, else the one that is stored; None without either."""
    sides = [raster.coords.get(dim) for dim in (raster.rio.x_dim, raster.rio.y_dim)]
    is_measured = all(side is not None and side.ndim == 1 and side.size > 1 for side in sides)
    if not is_measured and raster.rio.crs is None:
        return None
    return tuple(raster.rio.transform(recalc=is_measured))[:6]


def _storable(nodata: float, dtype: np.dtype[Any]) -> float | None:
    """Return a nodata value if the type can hold it: masked reading turns whole numbers into floats."""
    return float(nodata) if dtype.kind == "f" or np.array(nodata).astype(dtype) == nodata else None


def _plane(raster: Any) -> Any:
    """Return one band of a DataArray: rows and columns."""
    _load_rioxarray()
    space = (raster.rio.y_dim, raster.rio.x_dim)
    first = {dim: 0 for dim in raster.dims if dim not in space}
    return raster.isel(first, drop=True).transpose(*space)


def _load_rioxarray() -> None:
    """Load the accessor ``rio``."""
    if find_spec("rioxarray") is None:
        raise SettingsError(
            "a DataArray needs rioxarray for its CRS and transform", hint="pip install rioxarray"
        )
    import rioxarray  # noqa: F401 -- it registers the accessor
