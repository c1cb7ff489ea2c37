"""Draw points from the masks of a dataset and write them to a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.annotators import Annotator, Candidates, ComponentKeyFactors, add_errors
from geoseg.domain.legend import Legend
from geoseg.domain.points import Budget, Points, Sample, Shortage, sample_points
from geoseg.domain.ports import Progress, PythonWarnings
from geoseg.errors import LegendError, PointsError
from geoseg.geodata.outputs.atomic_files import check_apart, check_output
from geoseg.geodata.outputs.file_kinds import SAMPLE
from geoseg.geodata.points.point_files import write_points
from geoseg.settings import Protocol, SampleSettings
from geoseg.workflows.inputs import describe_all, find_inputs
from geoseg.workflows.library_errors import translate_library_errors

DEFAULT_TILE_PX = 256


@dataclass(frozen=True)
class SampleResult:
    """The drawn points, their legend, their file, and the shortages of pixels in the masks."""

    points: Points
    legend: Legend
    output: Path
    shortages: tuple[Shortage, ...]


@translate_library_errors
def sample(settings: SampleSettings, progress: Progress | None = None) -> SampleResult:
    """Draw N points per class from the masks of a folder and write them. N counts per tile, per image or in total.

    Raises:
        DatasetError: The folder, an image or a mask is missing.
        LegendError: The folder has no legend, or a mask has a class that the legend lacks.
        RasterError: A mask and its image differ in size.
        PointsError: The masks have no pixel to draw.
        OutputError: The point file cannot be written.
    """
    progress = progress or PythonWarnings()
    check_output(settings.output, SAMPLE, overwrite=settings.overwrite)
    inputs = find_inputs(
        settings.data,
        split=settings.split,
        legend=settings.legend,
        masks_needed=True,
        mask_values=settings.mask_values,
    )
    if inputs.legend is None:
        raise LegendError(
            "this folder has no legend",
            where=settings.data,
            expected="legend.json",
            hint="Add one, or name one with --legend.",
        )
    check_apart([settings.output], [settings.legend, *inputs.images.values(), *inputs.masks.values()])
    infos = describe_all(inputs.images)
    progress.start("Reading masks", len(infos))
    masks = {}
    for name, info in infos.items():
        masks[name] = inputs.read_truth(name, inputs.legend, info)
        progress.advance()
    inputs.report_masks(progress)
    drawn = draw_points(
        masks, settings, per_class=settings.per_class, classes=len(inputs.legend), seed=settings.seed
    )
    if not len(drawn.points):
        # A later run would take an empty file for this draw, even with corrected masks.
        raise PointsError(
            "the masks have no pixel to draw",
            where=settings.data / "masks",
            hint="Lower the margin."
            if settings.places == "interior"
            else "All their pixels are unlabelled; check the masks.",
        )
    # Check again: the file may have been created in the meantime.
    check_output(settings.output, SAMPLE, overwrite=settings.overwrite)
    write_points(settings.output, drawn.points, infos, inputs.legend, overwrite=settings.overwrite)
    for text in describe_shortages(drawn, inputs.legend):
        progress.warn(text)
    return SampleResult(drawn.points, inputs.legend, settings.output, drawn.shortages)


def draw_points(
    masks: Mapping[str, NDArray[np.uint8]], protocol: Protocol, *, per_class: int, classes: int, seed: int
) -> Sample:
    """Draw points from masks (H, W) by image name according to a protocol; 255 is unlabelled.

    Raises:
        LegendError: A mask holds a class id that is neither below ``classes`` nor 255.
    """
    annotator = Annotator(
        places=protocol.places,
        margin_px=protocol.margin,
        jitter_px=protocol.jitter,
        location_error_px=protocol.location_error,
        wrong_share=protocol.wrong_share,
    )
    scope = protocol.counts_for
    tile_px = (protocol.tile or DEFAULT_TILE_PX) if scope == "tile" else None
    drawn = sample_points(
        Candidates(masks, annotator, tile_px),
        Budget(per_class, scope, tile_px or DEFAULT_TILE_PX),
        classes=classes,
        seed=seed,
        reach=ComponentKeyFactors(masks, seed, tile_px) if protocol.places == "component" else None,
    )
    if not len(drawn.points):
        return drawn
    points = add_errors(drawn.points, masks, annotator, classes=classes, seed=seed)
    return replace(drawn, points=points)


def describe_shortages(drawn: Sample, legend: Legend) -> Sequence[str]:
    """Return a sentence for each class that had too few pixels in some tile or image."""
    texts = []
    for land_class in legend.classes:
        short = [s for s in drawn.shortages if s.class_id == land_class.id]
        if short:
            least = min(s.found for s in short)
            places = "in total" if not short[0].image else f"in {len(short)} place(s)"
            texts.append(
                f"Class {land_class.name!r} has fewer than {short[0].asked} pixels to label {places} "
                f"(minimum {least}). All of them were drawn."
            )
    return texts
