"""Settings of experiments, of dataset downloads and of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from geoseg.settings.base import Count, MaskValues, Seed, Settings, option
from geoseg.settings.sampling import Protocol
from geoseg.settings.training import TrainingOptions


class ExperimentSettings(Settings):
    """Compare recipes and budgets on a dataset."""

    arguments = frozenset({"data"})

    data: Path = option(help="Folder with images/, masks/, split lists and a legend.")
    output: Path = option(help="Folder of results; finished runs are kept and not repeated.")
    recipes: Annotated[tuple[str, ...], Field(min_length=1)] = option(
        ("forest", "quick", "pfce"), help="Recipes to compare: forest, partial-ce, pfce, quick, deep, full."
    )
    per_class: Annotated[tuple[Count, ...], Field(min_length=1)] = option(
        (10, 50), help="Budgets: numbers of points per class."
    )
    seeds: Count = option(3, help="Number of repetitions, each with other points and another seed.")
    protocol: Protocol = option(
        Protocol(),
        help="How points are drawn: pixel, component, interior, centre, or a JSON file of a protocol.",
        shown="pixel",
    )
    train_split: str = option("train", help="Split list to train on.")
    test_split: str = option("test", help="Split list to score on.")
    mask_values: MaskValues = None
    background: str | None = option(
        None, help="Class to exclude from the second mean IoU.", shown="the folder's, else background"
    )
    training: TrainingOptions = option(TrainingOptions(), help="", panel="-")
    keep_models: bool = option(False, help="Keep the model files.")


class LandCoverSettings(Settings):
    """Download LandCover.ai v1."""

    arguments = frozenset({"output"})

    output: Path = option(help="Folder to create.")
    archive: Path | None = option(None, help="Path of landcover.ai.v1.zip, if it was downloaded before.")
    url: str = option(
        "https://landcover.ai.linuxpolska.com/download/landcover.ai.v1.zip",
        help="URL of the download.",
    )


class DemoSettings(Settings):
    """Run the whole job on invented landscapes."""

    output: Path = option(Path("demo-results"), help="Folder to write to.")
    seed: Seed = option(0, help="Random seed of the landscapes, the points and the fit.")
    size: Annotated[int, Field(ge=256, multiple_of=32)] = option(
        1024, help="Side of each landscape in pixels."
    )
    images: Count = option(4, help="Landscapes to train on; one more is held out.")
    per_class: Annotated[tuple[Count, ...], Field(min_length=1)] = option(
        (10, 50), help="Budgets: points per class and image."
    )
    overwrite: bool = option(False, help="Replace an earlier demo in the folder.")
