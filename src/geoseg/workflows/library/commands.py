"""The commands from file to file, as functions with keyword arguments; torch and rasterio are loaded when they run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.domain.ports import Progress
from geoseg.settings import (
    AssessDesignSettings,
    AssessEstimateSettings,
    AuditSettings,
    DemoSettings,
    EvaluateSettings,
    ExperimentSettings,
    ExportSettings,
    PictureSettings,
    PredictSettings,
    SampleSettings,
    SplitSettings,
    TrainSettings,
)
from geoseg.workflows.library.keywords import takes_keywords
from geoseg.workflows.library.wording import library_call

if TYPE_CHECKING:
    from geoseg.workflows.assessment.assessment import Assessment
    from geoseg.workflows.assessment.design import SampleDesign
    from geoseg.workflows.assessment.evaluate import Evaluation
    from geoseg.workflows.demo import DemoResult
    from geoseg.workflows.experiment.summary import Summary
    from geoseg.workflows.mapping.predict import Prediction
    from geoseg.workflows.points.audit import Audit
    from geoseg.workflows.points.split import Split
    from geoseg.workflows.sample import SampleResult
    from geoseg.workflows.training.train import TrainResult


@takes_keywords(TrainSettings)
def train(settings: TrainSettings, progress: Progress) -> TrainResult:
    """Train a model on labelled points and write the model file.

    Returns:
        The model file, its record, a summary, the warnings and the points that could not be used.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        PointsError: The points cannot be read or used.
        RasterError: A raster cannot be read.
        TrainingError: Training cannot start or continue.
        OutputError: The model file exists or cannot be written.

    Example::

        geoseg.train(data="orthophoto.tif", points="field.gpkg", output="model.geoseg", recipe="quick")
    """
    from geoseg.workflows.training.train import train as run

    return run(settings, progress)


@takes_keywords(PredictSettings)
def predict(settings: PredictSettings, progress: Progress) -> list[Prediction]:
    """Map rasters with a model file and write cloud-optimised GeoTIFFs.

    Memory does not grow with the height of a raster, and a call that was stopped continues from its finished strips.

    Returns:
        For each raster its class map, the other files, the area of each class and the warnings.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        ModelFileError: The model file cannot be used.
        RasterError: A raster cannot be read, or does not suit the model.
        OutputError: A result exists already or cannot be written.

    Example::

        geoseg.predict(model="model.geoseg", rasters=["a.tif", "b.tif"], output="maps/", also=["polygons"])
    """
    from geoseg.workflows.mapping.predict import predict as run

    return run(settings, progress)


@takes_keywords(EvaluateSettings)
def evaluate_files(settings: EvaluateSettings, progress: Progress) -> Evaluation:
    """Score a class map, or a model on a dataset, against masks or points in files.

    :func:`geoseg.evaluate` compares arrays, tables and files; this function also scores a model file on the images of a
    dataset folder.

    Returns:
        The scores in total and by image.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        RasterError: A map and its mask do not lie on the same grid.
        LegendError: The legend lacks a class, or there is none.
        PointsError: No point can be used, or all are training points of the model.

    Example::

        geoseg.evaluate_files(subject="model.geoseg", data="dataset/", split="test")
    """
    from geoseg.workflows.assessment.evaluate import evaluate as run

    return run(settings, progress)


@takes_keywords(AssessDesignSettings)
def assess_design(settings: AssessDesignSettings, progress: Progress) -> SampleDesign:
    """Draw a probability sample of the pixels of a class map and write it for an interpreter to label.

    Returns:
        The file, the size of the sample, its strata and the expected standard error.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        RasterError: The map cannot be read, or has no pixel with a class.
        LegendError: The map has a value without a class name.
        OutputError: The sample exists and may not be replaced, or cannot be written.

    Example::

        geoseg.assess_design(class_map="map.tif", target_se=0.01, output="sample.gpkg")
    """
    from geoseg.workflows.assessment.design import assess_design as run

    return run(settings, progress)


@takes_keywords(AssessEstimateSettings)
def assess_estimate(settings: AssessEstimateSettings, progress: Progress) -> Assessment:
    """Estimate accuracy and areas of a map with 95 % intervals, from a labelled sample or an error matrix.

    Returns:
        The estimates; ``to_record()`` gives them as JSON values.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        PointsError: The sample or matrix cannot be read, a stratum has no label, or points were used for training.
        LegendError: A label is not a class of the sample.
        OutputError: The table or the report exists or cannot be written.

    Example::

        geoseg.assess_estimate(sample="sample.gpkg", map="map.tif").to_record()["overall"]
    """
    from geoseg.workflows.assessment.estimate import assess_estimate as run

    return run(settings, progress)


@takes_keywords(SampleSettings)
def sample(settings: SampleSettings, progress: Progress) -> SampleResult:
    """Draw points from the masks of a dataset folder and write a point file.

    :func:`geoseg.sample_points` draws from one mask and returns a table.

    Returns:
        The points, their legend, the file, and the classes with fewer pixels than points were asked for.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        DatasetError: The folder, an image or a mask is missing.
        LegendError: There is no legend, or a mask has a class that it lacks.
        OutputError: The point file exists or cannot be written.

    Example::

        geoseg.sample(data="dataset/", split="train", per_class=10, output="points.gpkg")
    """
    from geoseg.workflows.sample import sample as run

    return run(settings, progress)


@takes_keywords(AuditSettings)
def audit_points(settings: AuditSettings, progress: Progress) -> Audit:
    """Audit the points of a file against rasters: dropped points with reasons, spread, CRS and position errors.

    Returns:
        The usable points, all points with their reasons, and the warnings; ``to_record`` gives JSON values.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        PointsError: The file cannot be read, or has no points.
        RasterError: A raster cannot be read.
        OutputError: The output exists or cannot be written.

    Example::

        geoseg.audit_points(points="field.gpkg", raster="orthophoto.tif").dropped_by_reason
    """
    from geoseg.workflows.points.audit import audit as run

    return run(settings, progress)


@takes_keywords(SplitSettings)
def split_points(settings: SplitSettings, progress: Progress) -> Split:
    """Split a point file into training points and check points in other places.

    Returns:
        The two files, the points of each class in them, and the warnings.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        PointsError: The file cannot be read, or its points lie in too few places.
        OutputError: A file exists or cannot be written.

    Example::

        geoseg.split_points(points="field.gpkg", check=0.25, raster="orthophoto.tif", output="split")
    """
    from geoseg.workflows.points.split import split as run

    return run(settings, progress)


@takes_keywords(ExperimentSettings)
def experiment(settings: ExperimentSettings, progress: Progress) -> Summary:
    """Compare recipes, budgets and draws of points on a dataset; what is there already is not computed again.

    Returns:
        The summary: means, intervals and files.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        DatasetError: The folder lacks images, masks, lists or a legend.
        OutputError: The folder of results holds something else.

    Example::

        geoseg.experiment(data="dataset/", output="results/", recipes=["quick", "forest"], per_class=[10, 50])
    """
    from geoseg.workflows.experiment.run import experiment as run

    return run(settings, progress)


@takes_keywords(ExportSettings)
def export(settings: ExportSettings, progress: Progress) -> Path:  # noqa: ARG001 -- there is nothing to tell
    """Export a model file to ONNX.

    Returns:
        The file.

    Raises:
        SettingsError: An argument cannot be used, or the packages for ONNX are not installed.
        ModelFileError: The model file cannot be used.
        OutputError: The file exists or cannot be written.

    Example::

        geoseg.export(model="model.geoseg", output="model.onnx")
    """
    from geoseg.workflows.mapping.export import export as run

    return run(settings)


@takes_keywords(PictureSettings)
def picture(settings: PictureSettings, progress: Progress) -> Path:
    """Draw class maps next to their images and masks.

    Returns:
        The picture.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        DatasetError: The folder lacks something.
        OutputError: The picture exists or cannot be written.

    Example::

        geoseg.picture(data="dataset/", maps=["maps/"], output="maps.png")
    """
    from geoseg.workflows.picture import picture as run

    return run(settings, progress)


@takes_keywords(DemoSettings)
def demo(settings: DemoSettings, progress: Progress) -> DemoResult:
    """Invent landscapes, train from a few points, map a held-out landscape and score the map.

    Returns:
        The folder of results, its main figure and the scores.

    Raises:
        SettingsError: An argument cannot be used; the message names it.
        OutputError: Results of an earlier demo are there, or the folder cannot be written.

    Example::

        geoseg.demo(output="demo-results")
    """
    from geoseg.workflows.demo import demo as run

    return run(settings, progress)


@library_call
def info(path: str | Path) -> dict[str, Any]:
    """Describe a model file, a raster or a dataset folder.

    Args:
        path: The file or folder.

    Returns:
        What is known of it, as JSON values; ``kind`` says what it is.

    Raises:
        ModelFileError: A .geoseg file cannot be read.
        RasterError: Another file is no raster.

    Example::

        geoseg.info("model.geoseg")["classes"]
    """
    from geoseg.workflows.info import info as run

    return run(Path(path))
