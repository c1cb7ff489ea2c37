"""Audit field points against their rasters: reasons, spread, CRS and position errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.class_names import few_points
from geoseg.domain.legend import Legend
from geoseg.domain.points import Points
from geoseg.domain.ports import Progress, PythonWarnings, WarningRecorder
from geoseg.errors import RasterError
from geoseg.geodata.datasets.legend_files import read_legend
from geoseg.geodata.outputs.atomic_files import check_apart, check_output
from geoseg.geodata.outputs.file_kinds import AUDIT
from geoseg.geodata.points.audit import NODATA, audit_points, describe_disputed
from geoseg.geodata.points.dropped_points import DroppedPoints, write_audit
from geoseg.geodata.points.point_files import PointFile, examine_points
from geoseg.geodata.points.position_errors import find_position_errors
from geoseg.geodata.points.transformations import Transformation, describe_transformation
from geoseg.geodata.reading.bands_without_data import describe_bands_without_data
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.rasters import Validity, local_files
from geoseg.settings.points import AuditSettings
from geoseg.workflows.inputs import Rasters, check_paths, find_inputs, open_rasters, point_options
from geoseg.workflows.library_errors import translate_library_errors
from geoseg.workflows.points.error_reach import ErrorReach, compare_errors
from geoseg.workflows.points.spread import Spread, measure_spread

if TYPE_CHECKING:  # The module imports scikit-learn, which an audit without this check does not need.
    from geoseg.workflows.points.label_check import LabelCheck

SUSPICIOUS = "suspicious: looks like "
_LOOKS_LIKE = "looks_like"


@dataclass(frozen=True)
class Audit:
    """The audit of a point file.

    Attributes:
        settings: The settings.
        legend: The classes.
        used: The usable points.
        points: All points of the file with their reason; "" for the usable ones.
        spread: How the usable points are spread; None without one.
        transformations: Transformations to the CRS of the rasters, each once; empty without a CRS.
        reach: Position errors; None if the file has none.
        labels: Check of the labels against the features of the points; None if it was not requested.
        notes: Choices, one sentence each.
        warnings: Possible problems, one sentence each.
    """

    settings: AuditSettings
    legend: Legend
    used: Points
    points: DroppedPoints
    spread: Spread | None
    transformations: tuple[Transformation, ...]
    reach: ErrorReach | None
    labels: LabelCheck | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def used_by_class(self) -> dict[str, int]:
        """Number of usable points by class."""
        return dict(zip(self.legend.names, self.used.counts(len(self.legend)).tolist(), strict=True))

    @property
    def dropped_by_reason(self) -> dict[str, int]:
        """Number of dropped points by reason, the most frequent first."""
        return {reason: count for reason, count in self.points.counts().items() if reason}

    def to_record(self) -> dict[str, Any]:
        """Return the audit as JSON values."""
        dropped = self.dropped_by_reason
        return {
            "points": str(self.settings.points),
            "rasters": [str(path) for path in self.settings.raster],
            "total": len(self.points),
            "used": {"total": len(self.used), "by_class": self.used_by_class},
            "dropped": {"total": sum(dropped.values()), "by_reason": dropped},
            "spread": None if self.spread is None else self.spread.to_record(),
            "crs": [asdict(one) | {"is_ballpark": one.is_ballpark} for one in self.transformations],
            "position_error": None if self.reach is None else self.reach.to_record(),
            "suspicious_labels": None if self.labels is None else self.labels.to_record(),
            "output": None if self.settings.output is None else str(self.settings.output),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }


@translate_library_errors
def audit(settings: AuditSettings, progress: Progress | None = None) -> Audit:
    """Audit the points of a file against rasters, and write the points with their reasons if requested.

    Raises:
        PointsError: The file cannot be read, or has no points.
        RasterError: A raster cannot be read.
        LegendError: The legend file is not valid.
        OutputError: The output exists and may not be replaced, or cannot be written.
    """
    noted = WarningRecorder(progress or PythonWarnings())
    images = _images(settings)
    if settings.output is not None:
        read = [file for path in images.values() for file in local_files(path)]
        check_apart([settings.output], [settings.points, settings.legend, settings.classes, *read])
        check_output(settings.output, AUDIT, overwrite=settings.overwrite)
    legend = None if settings.legend is None else read_legend(settings.legend)
    with ExitStack() as stack:
        validity = Validity(settings.nodata, settings.strict_nodata)
        rasters = open_rasters(images, settings.bands, stack, validity=validity)
        file = examine_points(
            settings.points, rasters.infos, legend=legend, options=point_options(settings), drops_unknown=True
        )
        reason = audit_points(file.points, rasters.sources)
        found = _audit(settings, file, reason, rasters=rasters, progress=noted)
    for warning in found.warnings:
        noted.warn(warning)
    if settings.output is not None:
        write_audit(settings.output, _with_suspicions(found.points), overwrite=settings.overwrite)
    return found


def _images(settings: AuditSettings) -> dict[str, Path]:
    """Return the rasters by image name.

    Raises:
        RasterError: Two rasters have the same name.
    """
    images: dict[str, Path] = {}
    for path in settings.raster:
        check_paths(path, settings.points)
        for name, file in find_inputs(path, split=None, legend=None).images.items():
            if name in images:
                raise RasterError(
                    "two rasters have the same file stem", where=file, got=f"{images[name]} too"
                )
            images[name] = file
    return images


def _with_suspicions(points: DroppedPoints) -> DroppedPoints:
    """Return the points with a reason for each suspicious label; these points can be used."""
    table = points.table
    if _LOOKS_LIKE not in table:
        return points
    looks = table[_LOOKS_LIKE].fillna("")
    return replace(points, table=table.assign(reason=table["reason"].where(looks == "", SUSPICIOUS + looks)))


def _audit(
    settings: AuditSettings,
    file: PointFile,
    reason: NDArray[np.str_],
    *,
    rasters: Rasters,
    progress: Progress,
) -> Audit:
    kept = reason == ""
    used, legend = file.points.take(kept), file.legend
    assert file.table is not None
    errors = find_position_errors(file.table, settings.error_column)
    if errors is not None:
        errors = replace(errors, metres=errors.metres[kept])
    reach = None if errors is None else compare_errors(used, rasters.infos, errors)
    rows = file.rows.assign(reason=reason)
    if reach is not None:
        rows = rows.assign(**reach.columns(kept))
    labels = None
    if settings.suspicious is not None and len(used):
        from geoseg.workflows.points.label_check import check_point_labels

        labels = check_point_labels(
            used, rasters, legend.names, classifier=settings.suspicious, progress=progress
        )
        rows = rows.assign(**labels.columns(kept))
    points = file.dropped.joined(rows)
    points = replace(points, table=points.table.sort_values("number", kind="stable", ignore_index=True))
    transformations = _transformations(points, rasters.infos)
    spread = measure_spread(used, rasters) if len(used) else None
    warnings = [
        *file.warnings,
        f"{len(file.outside)} points lie outside. {file.misplaced}" if file.misplaced else "",
        describe_bands_without_data(file.points.take(reason == NODATA), rasters.infos, rasters.bands),
        describe_disputed(file.points, reason, legend),
        *few_points(used.counts(len(legend)).tolist(), legend.names),
        *_warn_of_crs(transformations, rasters.infos),
        *(spread.warnings if spread else ()),
        *(reach.warnings if reach else ()),
        *(labels.warnings if labels else ()),
    ]
    stacked = [note for info in rasters.infos.values() for note in info.notes]
    return Audit(
        settings,
        legend,
        used,
        points,
        spread,
        transformations,
        reach,
        labels,
        (*stacked, *file.notes),
        tuple(filter(None, warnings)),
    )


def _transformations(points: DroppedPoints, infos: Mapping[str, RasterInfo]) -> tuple[Transformation, ...]:
    if points.crs is None:
        return ()
    x, y = (points.table[name].to_numpy(np.float64) for name in ("x", "y"))
    targets = dict.fromkeys(info.crs for info in infos.values() if info.crs is not None)
    return tuple(describe_transformation(points.crs, target, x=x, y=y) for target in targets)


def _warn_of_crs(transformations: Sequence[Transformation], infos: Mapping[str, RasterInfo]) -> list[str]:
    sizes = [info.resolution_m for info in infos.values() if info.resolution_m is not None]
    found = []
    for one in transformations:
        if one.is_ballpark:
            found.append(
                f"The shift between the datums of {one.source} and {one.target} is not known, so none is applied. "
                "Positions may be off by metres, or up to 200 m between old and new datums."
            )
        elif one.accuracy_m is not None and sizes and one.accuracy_m > min(sizes) / 2:
            found.append(
                f"The transformation from {one.source} to {one.target} is accurate to {one.accuracy_m:g} m, which is "
                f"more than half a pixel ({min(sizes) / 2:.3g} m)."
            )
        if one.better is not None:
            found.append(f"PROJ has a better transformation: {one.better}. Install it with projsync.")
    return found
