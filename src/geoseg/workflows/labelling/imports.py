"""Import points and class schemes into a project."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geoseg.domain.points import CHECK, TRAIN
from geoseg.errors import PointsError
from geoseg.geodata.datasets.class_schemes import read_class_scheme
from geoseg.geodata.points.point_files import read_points
from geoseg.geodata.points.point_tables import PointOptions
from geoseg.geodata.projects.changes import Change, apply_changes
from geoseg.geodata.projects.labels import Label
from geoseg.workflows.labelling.project import LabelProject
from geoseg.workflows.library_errors import translate_library_errors

MAX_IMPORTED = 200_000


@translate_library_errors
def import_points(
    project: LabelProject, path: Path, *, class_column: str | None = None, annotator: str | None = None
) -> dict[str, Any]:
    """Add the points of a file to a project, in one change that can be undone.

    Lines and polygons give up to ten points each. Classes that the project lacks are added.

    Raises:
        PointsError: The file cannot be read, or no point lies on a raster of the project.
        LegendError: Its classes cannot be used.
    """
    infos = {raster.name: raster.info for raster in project.rasters.values()}
    found = read_points(path, infos, legend=None, options=PointOptions(class_column))
    points = found.points
    if len(points) > MAX_IMPORTED:
        raise PointsError(
            "the file has too many points", where=path.name, expected=MAX_IMPORTED, got=len(points)
        )
    used = sorted(set(points.class_id.tolist()))
    colors: dict[str, str | None] = dict.fromkeys((found.legend.names[k] for k in used), None)
    classes = project.add_classes(list(colors.items()))
    by_name = {one["name"]: one["id"] for one in classes}
    by_plain = {" ".join(name.split()).casefold(): own for name, own in by_name.items()}
    changes = []
    named = project.rasters_by_name
    for k in range(len(points)):
        raster = named[str(points.image[k])]
        name = found.legend.names[int(points.class_id[k])]
        page = raster.frame.to_xy(float(points.row[k]) + 0.5, float(points.col[k]) + 0.5)
        label = Label(
            str(uuid.uuid4()),
            raster.name,
            raster.frame.file_geometry(shapely.Point(page)),
            by_name.get(name, by_plain.get(" ".join(name.split()).casefold())),
            source="imported",
            role=CHECK if points.role[k] == CHECK else TRAIN,
            annotator=annotator or project.files.annotator,
        )
        changes.append(Change("add", label.id, None, label))
    applied = apply_changes(project.points_path, changes, annotator=annotator or project.files.annotator)
    reasons, counts = np.unique(found.dropped.table["reason"].to_numpy(str), return_counts=True)
    dropped = [{"reason": str(r), "count": int(n)} for r, n in zip(reasons, counts, strict=True)]
    return {"imported": len(points), "dropped": dropped, "revision": applied.revision}


@translate_library_errors
def import_classes(project: LabelProject, path: Path) -> list[dict[str, Any]]:
    """Add the classes of a legend, a CSV or a QML style to a project; return all classes.

    Raises:
        LegendError: The file cannot be read, or names no class.
    """
    return project.add_classes(read_class_scheme(path))
