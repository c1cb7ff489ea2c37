"""Draw points from the masks of a dataset and store them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.domain.annotators import Annotator, Candidates, ComponentKeyFactors, add_errors
from geoseg.domain.legend import Legend
from geoseg.domain.points import Budget, Points, Sample, Shortage, sample_points
from geoseg.domain.ports import Progress, PythonWarnings
from geoseg.errors import LegendError, PointsError
from geoseg.geodata.outputs.atomic_files import check_apart, check_output
from geoseg.geodata.outputs.file_kinds import SAMPLE
from geoseg.geodata.points.point_files import write_points
from geoseg.settings import SampleSettings
from geoseg.workflows.inputs import describe_all, find_inputs
from geoseg.workflows.library_faults import plain_faults

DEFAULT_TILE_PX = 256


@dataclass(frozen=True)
class SampleResult:
    """The points drawn, their legend, the file they are in, and where masks had too few pixels."""

    points: Points
    legend: Legend
    output: Path
    shortages: tuple[Shortage, ...]


@plain_faults
def sample(settings: SampleSettings, progress: Progress | None = None) -> SampleResult:
    """Draw N points per class and tile, image or in total from the masks of a folder; write them.

    Raises:
        DatasetError: The folder, an image or a mask is missing.
        LegendError: There is no legend, or a mask has a class that it lacks.
        RasterError: A mask does not fit its image.
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
    annotator = Annotator(
        places=settings.places,
        margin_px=settings.margin,
        jitter_px=settings.jitter,
        location_error_px=settings.location_error,
        wrong_share=settings.wrong_share,
    )
    scope = settings.scope or ("tile" if settings.tile else "image")
    tile_px = (settings.tile or DEFAULT_TILE_PX) if scope == "tile" else None
    drawn = sample_points(
        Candidates(masks, annotator, tile_px),
        Budget(settings.per_class, scope, tile_px or DEFAULT_TILE_PX),
        classes=len(inputs.legend),
        seed=settings.seed,
        reach=ComponentKeyFactors(masks, settings.seed, tile_px) if settings.places == "component" else None,
    )
    if not len(drawn.points):
        # An empty file would be taken for the draw, also when the masks are put right.
        raise PointsError(
            "the masks have no pixel to draw",
            where=settings.data / "masks",
            hint="Lower the margin." if settings.places == "interior" else "All of them are unlabelled.",
        )
    points = add_errors(drawn.points, masks, annotator, classes=len(inputs.legend), seed=settings.seed)
    # Once more: meanwhile a file of the user's may have come there.
    check_output(settings.output, SAMPLE, overwrite=settings.overwrite)
    write_points(settings.output, points, infos, inputs.legend, overwrite=settings.overwrite)
    for text in _describe_shortages(drawn, inputs.legend):
        progress.warn(text)
    return SampleResult(points, inputs.legend, settings.output, drawn.shortages)


def _describe_shortages(drawn: Sample, legend: Legend) -> Sequence[str]:
    """Return a sentence for each class of which some place had fewer pixels than asked for."""
    texts = []
    for land_class in legend.classes:
        short = [s for s in drawn.shortages if s.class_id == land_class.id]
        if short:
            least = min(s.found for s in short)
            places = "in total" if not short[0].image else f"in {len(short)} place(s)"
            texts.append(
                f"Class {land_class.name!r} has fewer than {short[0].asked} pixels to label {places} "
                f"(the fewest: {least}); all there are were taken."
            )
    return texts
