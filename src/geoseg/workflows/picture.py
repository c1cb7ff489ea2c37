"""Draw images, their maps and their masks in one figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import accuracy, confusion_matrix
from geoseg.domain.legend import Legend, ids_by_name
from geoseg.domain.ports import Progress, PythonWarnings
from geoseg.domain.windows import Window
from geoseg.errors import DatasetError, LegendError, RasterError
from geoseg.geodata.outputs.atomic_files import check_output
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.geodata.outputs.file_kinds import PICTURE
from geoseg.geodata.reading.grids import RasterInfo, check_same_grid
from geoseg.geodata.reading.masks import read_mask
from geoseg.geodata.reading.rasters import describe_raster, open_raster
from geoseg.pictures.comparison import comparison_figure
from geoseg.pictures.panel import Panel
from geoseg.pictures.stretch import display_rgb
from geoseg.settings import PictureSettings
from geoseg.workflows.figure_files import write_picture
from geoseg.workflows.inputs import Inputs, find_inputs
from geoseg.workflows.library_errors import translate_library_errors


@translate_library_errors
def picture(settings: PictureSettings, progress: Progress | None = None) -> Path:
    """Draw one row per image of a folder: the image, its map from each folder of maps, and its mask.

    Raises:
        DatasetError: The folder of images cannot be used.
        RasterError: An image has no map in one of the folders, or the two lie on different grids.
        LegendError: Neither the folder nor ``settings.legend`` has a legend.
        OutputError: The picture exists or cannot be written.
    """
    progress = progress or PythonWarnings()
    check_output(settings.output, PICTURE, overwrite=settings.overwrite)
    if not settings.data.is_dir():
        raise DatasetError("no such folder", where=settings.data, hint="Check the path.")
    inputs = find_inputs(
        settings.data, split=settings.split, legend=settings.legend, mask_values=settings.mask_values
    )
    if inputs.legend is None:
        raise LegendError("this folder has no legend", where=settings.data, hint="Name one with --legend.")
    names = list(inputs.images)[: settings.rows]
    infos = {name: describe_raster(inputs.images[name]) for name in names}
    progress.start("Drawing", len(names))
    rows = []
    for name in names:
        rows.append(_row(name, infos[name], inputs, settings=settings))
        progress.advance()
    inputs.report_masks(progress)
    resolution_m = infos[names[0]].resolution_m
    figure = comparison_figure(rows, inputs.legend, title=settings.title, resolution_m=resolution_m)
    write_picture(figure, settings.output, overwrite=settings.overwrite)
    return settings.output


def _row(name: str, info: RasterInfo, inputs: Inputs, *, settings: PictureSettings) -> list[Panel]:
    assert inputs.legend is not None
    truth = inputs.read_truth(name, inputs.legend, info) if name in inputs.masks else None
    maps = [_map_panel(folder / f"{name}.tif", info, truth, legend=inputs.legend) for folder in settings.maps]
    last = [Panel("truth", "", truth, None, None)] if truth is not None else []
    return [Panel(name, "", None, read_display_rgb(info.path), None), *maps, *last]


def _map_panel(path: Path, info: RasterInfo, truth: NDArray[np.uint8] | None, *, legend: Legend) -> Panel:
    if not path.exists():
        raise RasterError(
            "an image has no map in this folder", where=path, hint="Predict it with --output FOLDER first."
        )
    class_ids, grid, own = read_class_map(path)
    check_same_grid(grid, info)
    class_ids = read_mask(path, legend) if own is None else ids_by_name(own, legend, path)[class_ids]
    if truth is None:
        return Panel(path.parent.name, "", class_ids, None, None)
    score = accuracy(confusion_matrix(truth, class_ids, len(legend))).miou
    return Panel(path.parent.name, f"mIoU {100 * score:.1f} %", class_ids, None, None)


def read_display_rgb(path: Path) -> NDArray[np.uint8]:
    """Return an image as RGB for display (H, W, 3)."""
    with open_raster(path) as raster:
        return display_rgb(*raster.read(Window(0, 0, raster.height, raster.width)))
