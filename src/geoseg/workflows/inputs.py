"""Find and read the inputs of a command: rasters, masks, legend and points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import Legend
from geoseg.domain.points import Points
from geoseg.domain.ports import Progress
from geoseg.domain.raster_stacks import stacked_files
from geoseg.errors import PointsError, RasterError
from geoseg.geodata.datasets.folders import is_dataset, keep_tiles, open_dataset, rasters_in
from geoseg.geodata.datasets.legend_files import read_legend
from geoseg.geodata.points.audit import NODATA, audit_points, describe_disputed
from geoseg.geodata.points.dropped_points import DroppedPoints, describe_dropped
from geoseg.geodata.points.point_files import read_points
from geoseg.geodata.points.point_tables import PointOptions
from geoseg.geodata.points.tables.class_tables import read_class_table
from geoseg.geodata.reading.bands_without_data import describe_bands_without_data
from geoseg.geodata.reading.embeddings.recognition import array_files
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.masks import MaskReader
from geoseg.geodata.reading.opening import remote_url
from geoseg.geodata.reading.rasters import Raster, Validity, describe_raster, open_raster
from geoseg.geodata.reading.validity import AS_DECLARED
from geoseg.learning.model_record import ModelRecord
from geoseg.settings.base import PointReadingSettings


@dataclass(frozen=True)
class Inputs:
    """Rasters by image name, with masks, legend and the tiles that the split lists, where present.

    ``mask_values`` maps mask values to class names, as the user gave them.
    """

    images: Mapping[str, Path]
    masks: Mapping[str, Path]
    legend: Legend | None
    tiles: Mapping[str, Sequence[int]] = field(default_factory=dict)
    mask_values: Mapping[str, str] | None = None
    _readers: dict[Legend, MaskReader] = field(default_factory=dict, repr=False, compare=False)

    def read_truth(self, name: str, legend: Legend, info: RasterInfo) -> NDArray[np.uint8]:
        """Read the mask of an image as class ids of a legend (H, W); 255 outside the tiles of the split."""
        mask = self._reader(legend).read(self.masks[name], info)
        return keep_tiles(mask, self.tiles[name], where=self.masks[name]) if name in self.tiles else mask

    def report_masks(self, progress: Progress) -> None:
        """Report how the values of the masks read so far were interpreted, with warnings for likely errors."""
        report_masks(self._readers.values(), progress)

    def _reader(self, legend: Legend) -> MaskReader:
        if legend not in self._readers:
            self._readers[legend] = MaskReader(
                legend,
                codes=self.legend,
                values=self.mask_values,
                all_masks=tuple(self.masks.values()),
            )
        return self._readers[legend]


def report_masks(readers: Iterable[MaskReader], progress: Progress) -> None:
    """Report how readers interpreted the values of masks, with warnings for likely errors."""
    for reader in readers:
        for note in reader.describe_values():
            progress.say(note)
        for warning in reader.warnings:
            progress.warn(warning)


def check_paths(data: Path, *files: Path | None) -> None:
    """Check that a raster or dataset folder and point files exist, before any slow step.

    Raises:
        RasterError: No raster or folder has this name.
        PointsError: A point file does not exist.
    """
    is_other = remote_url(data) or stacked_files(data) or array_files(data)
    if not is_other and not data.exists():
        raise RasterError("no such file or folder", where=data, hint="Check the path.")
    for path in files:
        if path is not None and not path.exists():
            raise PointsError("no such file", where=path, hint="Check the path.")


def find_inputs(
    data: Path,
    *,
    split: str | None,
    legend: Path | None,
    masks_needed: bool = False,
    mask_values: Mapping[str, str] | None = None,
) -> Inputs:
    """Find the rasters of a dataset folder (all or one split) or of a plain folder, or take ``data`` as a single raster.

    Raises:
        DatasetError: The folder lacks images, masks or the split.
        LegendError: A legend file is not valid.
    """
    own = read_legend(legend) if legend is not None else None
    if array_files(data):
        return Inputs({data.stem: data}, {}, own)
    if data.is_dir() and not masks_needed and not is_dataset(data):
        return Inputs(rasters_in(data), {}, own)
    if data.is_dir() or masks_needed:
        dataset = open_dataset(data, split=split, legend=own, masks_needed=masks_needed)
        return Inputs(dataset.images, dataset.masks, dataset.legend, dataset.tiles, mask_values)
    return Inputs({data.stem: data}, {}, own)


@dataclass(frozen=True)
class Rasters:
    """Opened rasters and their descriptions by image name, and the bands to read."""

    infos: Mapping[str, RasterInfo]
    sources: Mapping[str, Raster]
    bands: tuple[int, ...]
    validity: Validity = AS_DECLARED


def describe_all(images: Mapping[str, Path]) -> dict[str, RasterInfo]:
    """Describe every raster by image name."""
    return {name: describe_raster(path) for name, path in images.items()}


class NodataChoice(Protocol):
    """Nodata options of the user; ``strict_nodata`` None: as in the training of the model."""

    @property
    def nodata(self) -> float | None:
        """A nodata value in addition to the declared one."""

    @property
    def strict_nodata(self) -> bool | None:
        """Whether nodata in one of the bands makes a pixel invalid."""


def validity_for(settings: NodataChoice, record: ModelRecord) -> Validity:
    """Return the validity rule for a raster: the rule of the model's training, unless the user chose another."""
    is_strict = record.strict_nodata if settings.strict_nodata is None else settings.strict_nodata
    return Validity(settings.nodata, is_strict)


def open_rasters(
    images: Mapping[str, Path],
    bands: Sequence[int] | None,
    stack: ExitStack,
    *,
    validity: Validity = AS_DECLARED,
) -> Rasters:
    """Open every raster until ``stack`` is closed; ``bands`` None takes all.

    Raises:
        RasterError: A raster cannot be read or lacks a band, or the rasters differ in their number of bands.
    """
    infos = describe_all(images)
    chosen = _choose_bands(bands, infos)
    sources = {
        name: stack.enter_context(open_raster(path, bands=chosen, validity=validity))
        for name, path in images.items()
    }
    return Rasters(infos, sources, chosen, validity)


@dataclass(frozen=True)
class UsablePoints:
    """The usable points of a file, their legend, and the dropped points.

    ``counts`` is the number of rows of the file per class (C,); a polygon is one row.
    """

    points: Points
    legend: Legend
    dropped: DroppedPoints
    counts: tuple[int, ...]


def read_usable_points(
    path: Path,
    rasters: Rasters,
    *,
    legend: Legend | None,
    options: PointOptions,
    progress: Progress,
) -> UsablePoints:
    """Read a point file, drop unusable points, and report their number, the reasons and the remedies.

    Raises:
        PointsError: The file cannot be read, or it has no usable point.
        LegendError: A point has a class that the legend lacks.
    """
    file = read_points(path, rasters.infos, legend=legend, options=options)
    for note in file.notes:
        progress.say(note)
    reason = audit_points(file.points, rasters.sources)
    kept = reason == ""
    dropped = file.dropped.joined(file.rows[~kept].assign(reason=reason[~kept]))
    said = describe_dropped(dropped.counts(), len(kept) + len(file.dropped))
    explained = [
        describe_bands_without_data(file.points.take(reason == NODATA), rasters.infos, rasters.bands),
        describe_disputed(file.points, reason, file.legend),
    ]
    if not kept.any():
        hint = " ".join(filter(None, explained))
        if not hint and (reason == NODATA).all():
            hint = "Check the rasters' nodata values, masks and alpha bands."
        raise PointsError("no usable point", where=path, got=said.rstrip("."), hint=hint or None)
    for warning in [*file.warnings, *([said] if len(dropped) else []), file.misplaced, *explained]:
        if warning:
            progress.warn(warning)
    return UsablePoints(file.points.take(kept), file.legend, dropped, file.counts)


def point_options(settings: PointReadingSettings) -> PointOptions:
    """Return the options for reading the point file of a command.

    Raises:
        PointsError: The class table cannot be read.
    """
    table = None if settings.classes is None else read_class_table(settings.classes)
    return PointOptions(settings.class_column, settings.layer, settings.crs, settings.per_polygon, table)


def _choose_bands(requested: Sequence[int] | None, infos: Mapping[str, RasterInfo]) -> tuple[int, ...]:
    """Return the requested bands, or all bands of the rasters."""
    if requested:
        return tuple(requested)
    counts = {info.bands: info.path for info in infos.values()}
    if len(counts) > 1:
        raise RasterError(
            "the rasters differ in their number of bands",
            got=", ".join(f"{path}: {count}" for count, path in sorted(counts.items())),
            hint="Choose bands that all rasters have, for example --bands 1,2,3.",
        )
    return tuple(range(1, 1 + next(iter(counts))))
