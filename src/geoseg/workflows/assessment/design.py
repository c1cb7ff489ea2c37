"""Draw a probability sample of a class map, and write it for an interpreter to label."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.assessment.allocation import (
    Expected,
    allocate,
    default_minimum,
    expected_standard_error,
    sample_size,
)
from geoseg.domain.assessment.drawing import (
    Clusters,
    Drawn,
    draw_clusters,
    draw_simple,
    draw_stratified,
    draw_systematic,
    systematic_steps,
)
from geoseg.domain.assessment.population import Part, Population, count_population
from geoseg.domain.legend import Legend, legend_from_names, normalise_name
from geoseg.domain.ports import Progress, PythonWarnings, WarningRecorder
from geoseg.errors import PointsError, RasterError, SettingsError
from geoseg.geodata.assessment.class_map_windows import ClassMap, count_parts, open_class_map, read_parts
from geoseg.geodata.assessment.sample_files import StratumRow, write_sample
from geoseg.geodata.datasets.legend_files import read_legend
from geoseg.geodata.outputs.atomic_files import check_apart, check_output
from geoseg.geodata.outputs.class_maps import read_origin
from geoseg.geodata.outputs.file_kinds import ASSESSMENT_SAMPLE
from geoseg.geodata.points.training_places import training_pixels
from geoseg.geodata.reading.grids import check_same_grid
from geoseg.geodata.reading.opening import check_georeferenced
from geoseg.settings import AssessDesignSettings
from geoseg.workflows.library_errors import translate_library_errors

_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SampleDesign:
    """A written sample.

    Attributes:
        output: The file.
        design: Name of the design.
        size: Number of pixels to label.
        strata: The strata with their pixels, area and sampled pixels.
        expected_standard_error: Standard error of the overall accuracy that the expected user's accuracies give.
        training_pixels: Pixels of training points, which are never drawn.
        notes: Remarks, one sentence each.
    """

    output: Path
    design: str
    size: int
    strata: tuple[StratumRow, ...]
    expected_standard_error: float
    training_pixels: int
    notes: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Return the design as JSON values."""
        return {
            "output": str(self.output),
            "design": self.design,
            "size": self.size,
            "expected_standard_error": _number(self.expected_standard_error),
            "training_pixels": self.training_pixels,
            "strata": [{**vars(row), "area_m2": _number(row.area_m2)} for row in self.strata],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class _Frame:
    """The population with the names of its strata and map classes by id."""

    population: Population
    strata: Mapping[int, str]
    classes: Mapping[int, str]
    expected: Expected


@translate_library_errors
def assess_design(settings: AssessDesignSettings, progress: Progress | None = None) -> SampleDesign:
    """Draw a sample of the pixels of a map and write it with its design. The map is read twice, in windows.

    Pixels of nodata and of training points are never drawn.

    Raises:
        SettingsError: An expected accuracy cannot be read, or the sample is too small for its strata.
        RasterError: The map cannot be read, or has no pixel with a class; or the strata lie on another grid.
        LegendError: The map has a value without a name.
        OutputError: The sample exists and may not be replaced, or cannot be written.
    """
    progress = WarningRecorder(progress or PythonWarnings())
    check_apart([settings.output], [settings.class_map, settings.strata, settings.legend])
    check_output(settings.output, ASSESSMENT_SAMPLE, overwrite=settings.overwrite)
    legend = read_legend(settings.legend) if settings.legend else None
    with ExitStack() as stack:
        class_map = stack.enter_context(
            open_class_map(settings.class_map, legend=legend, nodata=settings.nodata)
        )
        check_georeferenced(class_map.info)
        strata = stack.enter_context(open_class_map(settings.strata)) if settings.strata else None
        if strata is not None:
            check_same_grid(strata.info, class_map.info)
        source = _Source(class_map, strata, _excluded(class_map), _block_px(settings), progress)
        frame = _frame(source, settings)
        rng = np.random.default_rng(settings.seed)
        drawn, facts = _DRAW[settings.design](source, frame, settings, rng=rng)
    if not len(drawn):
        raise PointsError("the sample has no pixel", where=settings.class_map, hint="Draw a larger sample.")
    return _written(settings, source, frame, drawn=drawn.shuffled(rng), facts=facts)


@dataclass(frozen=True)
class _Source:
    """The map, opened, with its strata and the pixels that may not be drawn."""

    class_map: ClassMap
    strata: ClassMap | None
    excluded: tuple[_Ints, _Ints]
    block_px: int
    progress: Progress

    def parts(self, what: str) -> Iterator[Part]:
        """Yield the windows of the population, and report progress."""
        self.progress.start(what, count_parts(self.class_map.info, self.block_px))
        for part in read_parts(self.class_map, self.strata, self.excluded, cluster_px=self.block_px):
            yield part
            self.progress.advance()


@dataclass(frozen=True)
class _Facts:
    """What a design knows of its sample: expected standard error, notes, and values for the file."""

    standard_error: float
    notes: tuple[str, ...]
    values: dict[str, Any]


def _excluded(class_map: ClassMap) -> tuple[_Ints, _Ints]:
    _, places = read_origin(class_map.info.path)
    if places is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return training_pixels(places, class_map.info, class_map.info.path.stem)


def _block_px(settings: AssessDesignSettings) -> int:
    return settings.cluster_px if settings.design == "cluster" else 1


def _frame(source: _Source, settings: AssessDesignSettings) -> _Frame:
    population = count_population(source.parts("Counting pixels"), source.block_px)
    if not population.drawable.any():
        raise RasterError(
            "no pixel can be drawn",
            where=settings.class_map,
            expected="a map with pixels that have a class" + (" and a stratum" if settings.strata else ""),
        )
    if population.without_stratum:
        source.progress.warn(
            f"{population.without_stratum:,} mapped pixels lie in no stratum. They are not part of the assessment."
        )
    classes = _names(source.class_map.legend, population.class_pixels)
    strata = classes if source.strata is None else _names(source.strata.legend, population.pixels)
    present = {k: name for k, name in strata.items() if population.drawable[k]}
    accuracy = read_expected(settings.expected_users, list(present.values()))
    expected = Expected(population.drawable[list(present)].astype(np.float64), accuracy)
    return _Frame(population, present, classes, expected)


def _names(legend: Legend | None, pixels: _Ints) -> dict[int, str]:
    """Return names by id: those of a legend, or the values of a raster without names."""
    if legend is not None:
        return dict(enumerate(legend.names))
    return {int(value): str(value) for value in np.flatnonzero(pixels)}


def read_expected(texts: Sequence[str], names: Sequence[str]) -> NDArray[np.float64]:
    """Return the expected user's accuracy of each stratum from texts such as ``0.8`` and ``water=0.95``.

    Raises:
        SettingsError: A text is no number from 0 to 1, or names no stratum.
    """
    found = np.full(len(names), 0.8)
    known = [normalise_name(name) for name in names]
    for text in sorted(texts, key=lambda text: "=" in text):
        name, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:
            raise SettingsError(
                "invalid value", where="--expected-users", expected="0.8 or NAME=0.8, from 0 to 1", got=text
            )
        if name and normalise_name(name) not in known:
            raise SettingsError(
                "the map has no such stratum",
                where="--expected-users",
                expected=f"one of {', '.join(names)}",
                got=name,
            )
        found[known.index(normalise_name(name)) if name else slice(None)] = value
    return found


def _stratified(
    source: _Source, frame: _Frame, settings: AssessDesignSettings, *, rng: np.random.Generator
) -> tuple[Drawn, _Facts]:
    expected, strata = frame.expected, len(frame.strata)
    size = settings.size or sample_size(expected, settings.target_se)
    minimum = settings.min_per_stratum or default_minimum(size, strata)
    if settings.size and minimum * strata > size:
        raise SettingsError(
            "the sample is too small for its strata",
            where="--size",
            expected=f"at least {minimum} pixels in each of {strata} strata",
            got=size,
            hint="Draw more pixels, or set --min-per-stratum.",
        )
    sizes = allocate(expected, size, settings.allocation, minimum=minimum)
    by_id = np.zeros(len(frame.population.pixels), np.int64)
    by_id[list(frame.strata)] = sizes
    drawn = draw_stratified(source.parts("Drawing pixels"), frame.population, by_id, rng=rng)
    small = [
        name
        for name, n, most in zip(frame.strata.values(), sizes, expected.pixels, strict=True)
        if n < min(2, most)
    ]
    notes = (f"Strata with fewer than 2 pixels: {', '.join(small)}.",) if small else ()
    values = {"allocation": settings.allocation, "min_per_stratum": minimum}
    return drawn, _Facts(expected_standard_error(expected, sizes), notes, values)


def _one_stratum(frame: _Frame) -> Expected:
    expected = frame.expected
    accuracy = float(expected.weights @ expected.accuracy)
    return Expected(np.array([expected.pixels.sum()]), np.array([accuracy]))


def _total_size(frame: _Frame, settings: AssessDesignSettings) -> tuple[Expected, int]:
    whole = _one_stratum(frame)
    size = settings.size or sample_size(whole, settings.target_se)
    return whole, min(size, int(whole.pixels[0]))


def _simple(
    source: _Source, frame: _Frame, settings: AssessDesignSettings, *, rng: np.random.Generator
) -> tuple[Drawn, _Facts]:
    whole, size = _total_size(frame, settings)
    drawn = draw_simple(source.parts("Drawing pixels"), frame.population, size, rng=rng)
    return drawn, _Facts(expected_standard_error(whole, np.array([size])), (), {})


def _systematic(
    source: _Source, frame: _Frame, settings: AssessDesignSettings, *, rng: np.random.Generator
) -> tuple[Drawn, _Facts]:
    whole, size = _total_size(frame, settings)
    steps = systematic_steps(frame.population, size)
    drawn = draw_systematic(source.parts("Drawing pixels"), steps, rng)
    note = f"The grid has a pixel every {steps[0]} rows and {steps[1]} columns."
    error = expected_standard_error(whole, np.array([len(drawn)]))
    return drawn, _Facts(error, (note,), {"step_rows": steps[0], "step_cols": steps[1]})


def _cluster(
    source: _Source, frame: _Frame, settings: AssessDesignSettings, *, rng: np.random.Generator
) -> tuple[Drawn, _Facts]:
    _, size = _total_size(frame, settings)
    population, side = frame.population, settings.cluster_px
    in_block = float(population.drawable.sum()) / population.clusters
    of_block = min(settings.per_cluster or side * side, in_block)
    count = min(population.clusters, max(2, math.ceil(size / of_block)))
    clusters = Clusters(side, count, settings.per_cluster)
    drawn = draw_clusters(source.parts("Drawing pixels"), population, clusters, rng=rng)
    note = (
        f"{count:,} of {population.clusters:,} blocks of {side} x {side} px were drawn. Neighbouring pixels are alike, "
        "so the standard error will be larger than that of as many single pixels."
    )
    values = {
        "clusters": population.clusters,
        "clusters_sampled": count,
        "cluster_px": side,
        "per_cluster": settings.per_cluster,
    }
    return drawn, _Facts(math.nan, (note,), values)


_DRAW = {"stratified": _stratified, "simple": _simple, "systematic": _systematic, "cluster": _cluster}


def _written(
    settings: AssessDesignSettings, source: _Source, frame: _Frame, *, drawn: Drawn, facts: _Facts
) -> SampleDesign:
    from geoseg import __version__

    info, population = source.class_map.info, frame.population
    order = list(frame.strata)
    numbers = 1 + np.array([order.index(int(k)) for k in drawn.stratum_id], np.int64)
    sampled = np.bincount(numbers, minlength=len(order) + 1)
    strata = [
        StratumRow(n, frame.strata[k], int(population.pixels[k]), float(population.m2[k]), int(sampled[n]))
        for n, k in enumerate(order, 1)
    ]
    classes = [
        {"name": name, "pixels": int(population.class_pixels[k]), "m2": _number(population.class_m2[k])}
        for k, name in frame.classes.items()
    ]
    excluded = len(source.excluded[0])
    design = {
        "program": f"GeoSeg-PointAI {__version__}",
        "design": settings.design,
        "map": info.path.name,
        "strata": "map classes" if settings.strata is None else settings.strata.name,
        "seed": settings.seed,
        "target_se": None if settings.size else settings.target_se,
        "expected_se": _number(facts.standard_error),
        "pixels": int(population.pixels.sum()),
        "training_pixels": excluded,
        "map_classes": classes,
        "transform": list(info.transform),
        **facts.values,
    }
    write_sample(
        settings.output,
        drawn,
        strata,
        numbers=numbers,
        legend=source.class_map.legend or legend_from_names(frame.classes.values()),
        names=frame.classes,
        info=info,
        design=design,
        show_map_class=settings.show_map_class,
        overwrite=settings.overwrite,
    )
    error = facts.standard_error
    notes = [*facts.notes, *_notes(settings, error, excluded)]
    return SampleDesign(
        settings.output, settings.design, len(drawn), tuple(strata), error, excluded, tuple(notes)
    )


def _notes(settings: AssessDesignSettings, error: float, excluded: int) -> Iterable[str]:
    if not settings.size and error > 1.05 * settings.target_se:
        yield (
            f"With this allocation, the expected standard error is {error:.4f}, above the target of "
            f"{settings.target_se:g}. Draw more pixels, or use the allocation neyman."
        )
    if excluded:
        yield f"{excluded:,} pixels of training points were never drawn."


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
