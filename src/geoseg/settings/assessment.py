"""Settings for the accuracy assessment of a finished map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from geoseg.settings.base import Count, Nodata, Seed, Settings, option

Design = Literal["stratified", "simple", "systematic", "cluster"]


class AssessDesignSettings(Settings):
    """Draw a probability sample of a class map for an interpreter to label."""

    arguments = frozenset({"class_map"})

    class_map: Path = option(help="Class map to assess.")
    output: Path = option(help="Sample to write (.gpkg).")
    target_se: Annotated[float, Field(gt=0, lt=0.5)] = option(
        0.02, help="Standard error of the overall accuracy to aim at, 0..1; gives the size of the sample."
    )
    size: Count | None = option(None, help="Number of pixels to draw.", shown="from --target-se")
    allocation: Literal["proportional", "equal", "neyman"] = option(
        "proportional",
        help="Pixels of each stratum: proportional to its area, equal, or neyman (proportional to area times the "
        "standard deviation that the expected accuracy gives).",
    )
    seed: Seed = option(0, help="Random seed; the same seed gives the same sample.")
    show_map_class: bool = option(
        False, help="Show the interpreter the map class. Interpreters who see it tend to agree with it."
    )
    overwrite: bool = option(False, help="Replace an existing sample that has no labels yet.")
    design: Design = option(
        "stratified",
        help="stratified (random pixels in each stratum), simple (random pixels), systematic (a regular grid with a "
        "random start) or cluster (random blocks of neighbouring pixels).",
        panel="Design",
    )
    expected_users: tuple[str, ...] = option(
        ("0.8",),
        help="Expected user's accuracy, 0..1: one number for all classes, and NAME=NUMBER for single ones.",
        panel="Design",
    )
    min_per_stratum: Annotated[int, Field(ge=2)] | None = option(
        None,
        help="Least number of pixels of a stratum.",
        panel="Design",
        shown="50, or half of an equal share if that is less",
    )
    strata: Path | None = option(
        None,
        help="Raster of strata on the grid of the map, values 0..254.",
        panel="Design",
        shown="the map classes",
    )
    cluster_px: Annotated[int, Field(ge=1, le=2048)] = option(
        3, help="For cluster: side of the blocks in pixels.", panel="Design"
    )
    per_cluster: Count | None = option(
        None, help="For cluster: random pixels of each block.", panel="Design", shown="all"
    )
    legend: Path | None = option(
        None, help="Legend file (JSON) of a map without class names.", panel="Rasters", shown="its values"
    )
    nodata: Nodata = None

    @model_validator(mode="after")
    def _strata_need_their_design(self) -> Self:
        if self.strata is not None and self.design != "stratified":
            raise ValueError(
                f"a raster of strata needs the design stratified, but the design is {self.design}"
            )
        return self


class AssessEstimateSettings(Settings):
    """Estimate accuracy and areas of a map from a labelled sample or from an error matrix."""

    arguments = frozenset({"sample"})

    sample: Path | None = option(None, help="Labelled sample from assess design (.gpkg).")
    map: Path | None = option(
        None,
        help="The map: checks that no point of the sample was used to train it. May be another map of the same area "
        "than the one that the sample was drawn from; that map is assessed then.",
    )
    second_interpreter: Path | None = option(
        None, help="The same sample labelled by a second person (.gpkg or .csv); their agreement is reported."
    )
    csv: Path | None = option(None, help="Table of all estimates to write (.csv).")
    html: Path | None = option(None, help="Report with pictures to write (.html).")
    matrix: Path | None = option(
        None,
        help="Error matrix (.csv) instead of a sample: first column the map class, one column for each reference class, "
        "last column pixels (of the whole map).",
    )
    pixel_m2: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = option(
        None,
        help="Area of a pixel in square metres.",
        shown="measured on the ground; unknown for a matrix or a map without a CRS",
    )
    overwrite: bool = option(False, help="Replace existing files that this program wrote.")
    reference_column: str = option(
        "reference", help="Column of the sample that holds the class of the interpreter.", panel="Sample"
    )
    post_stratify: bool = option(
        True,
        help="For the designs simple and systematic: use the known areas of the map classes.",
        panel="Sample",
    )
    allow_training_points: bool = option(
        False,
        help="Also use points that the map was trained on; such estimates are too high.",
        panel="Sample",
    )
    nodata: Nodata = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.sample is None) == (self.matrix is None):
            raise ValueError("give either a labelled sample or an error matrix (--matrix)")
        if self.matrix is not None and (self.map or self.second_interpreter):
            raise ValueError("an error matrix has no points to compare with a map or a second interpreter")
        return self
