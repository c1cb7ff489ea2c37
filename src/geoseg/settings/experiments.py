"""What is run as a whole: an experiment, its dataset, the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from geoseg.settings.base import Count, MaskValues, Seed, Settings
from geoseg.settings.sampling import Protocol
from geoseg.settings.training import TrainingOptions


class ExperimentSettings(Settings):
    """Compare recipes and budgets on a dataset.

    Attributes:
        data: Folder of ``images/``, ``masks/``, split lists and a legend.
        output: Folder of results; what is there already is not computed again.
        recipes: What to compare, by the names of ``geoseg.workflows.experiment.methods``: "forest", "partial-ce" (pfCE with
            gamma 0), "pfce", "quick", "deep", "full".
        per_class: Budgets: points per class, one run each.
        seeds: Draws of the points, 0, 1, 2 ...; "full" has no points and runs once.
        protocol: How the points are drawn.
        train_split: Which images to train on.
        test_split: Which images to score on.
        mask_values: Class names by the value that masks have for them.
        background: Class left out of the second mean IoU; None: "background" if there is one.
        training: Settings of every training.
        keep_models: Whether to keep the model files.
    """

    arguments = frozenset({"data"})

    data: Path
    output: Path
    recipes: Annotated[tuple[str, ...], Field(min_length=1)] = ("forest", "quick", "pfce")
    per_class: Annotated[tuple[Count, ...], Field(min_length=1)] = (10, 50)
    seeds: Count = 3
    protocol: Protocol = Protocol()
    train_split: str = "train"
    test_split: str = "test"
    mask_values: MaskValues = None
    background: str | None = None
    training: TrainingOptions = TrainingOptions()
    keep_models: bool = False


class LandCoverSettings(Settings):
    """Fetch LandCover.ai v1.

    Attributes:
        output: Folder to make.
        archive: Its zip, if it is on this disk already.
        url: Where to download it from.
    """

    arguments = frozenset({"output"})

    output: Path
    archive: Path | None = None
    url: str = "https://landcover.ai.linuxpolska.com/download/landcover.ai.v1.zip"


class DemoSettings(Settings):
    """Run the main job on invented landscapes.

    Attributes:
        output: Folder to write to.
        seed: Seed of the landscapes, the points and the fit.
        size: Side of each landscape in pixels.
        images: Landscapes to train on; one more is held out.
        per_class: Budgets: points per class and image, one run each.
        epochs: Epochs of each run.
        patches: Patches an epoch.
        overwrite: Whether an earlier demo in the folder may be replaced.
    """

    output: Path = Path("demo-results")
    seed: Seed = 0
    size: Annotated[int, Field(ge=256, multiple_of=32)] = 1024
    images: Count = 4
    per_class: Annotated[tuple[Count, ...], Field(min_length=1)] = (10, 50)
    epochs: Count = 2
    patches: Count = 64
    overwrite: bool = False
