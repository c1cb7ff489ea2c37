"""A model of labelled points with fit and predict, in the manner of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.mapping.prediction import STEPS, Strip
from geoseg.domain.ports import Predictor, Progress
from geoseg.geodata.outputs.atomic_files import check_output, whole_file
from geoseg.geodata.outputs.file_kinds import MODEL
from geoseg.geodata.reading.rasters import describe_raster, open_raster
from geoseg.learning.model_file import Model, pack_model, read_model
from geoseg.settings import TrainSettings
from geoseg.settings.base import ComputeSettings
from geoseg.workflows.devices import choose_device, choose_precision
from geoseg.workflows.inputs import Inputs, validity_for
from geoseg.workflows.library.legends import LegendLike, as_legend
from geoseg.workflows.library.not_fitted import NotFittedError
from geoseg.workflows.library.point_files import point_file
from geoseg.workflows.library.rasters import RasterLike, raster_file, raster_files
from geoseg.workflows.library.wording import PythonProgress, library_call, python_words
from geoseg.workflows.mapping.backends import build_default_predictor
from geoseg.workflows.mapping.live import predict_whole
from geoseg.workflows.mapping.predict import check_bands, plan_for
from geoseg.workflows.training.train import train
from geoseg.workflows.value_check import check_values

_ARRAY = "raster"


class PointSegmenter(BaseEstimator):  # type: ignore[misc]
    """Land-cover model trained on labelled points, with the methods of a scikit-learn classifier.

    Rasters are paths, NumPy arrays (bands, rows, columns) or xarray DataArrays with a CRS and coordinates (with
    rioxarray installed). Class maps come back as uint8 of shape (rows, columns): class ids that index ``classes_``, 255
    for no data. For a path or an array they are NumPy arrays; for a DataArray they are a DataArray with its coordinates.
    A path is mapped in memory too: for rasters larger than memory use :func:`geoseg.predict_raster` or :meth:`save` and
    :func:`geoseg.predict`.

    Args:
        recipe: "quick" (a linear head on the layers of a frozen backbone), "forest" (random forest on colour and
            texture), "deep" (quick, then fine-tuned), "pfce" (DeepLabV3 with partial focal cross-entropy), or "auto" (the
            best of quick, forest and deep at points left out).
        backbone: "resnet50", "resnet101", "mobilenet_v3_large"; for quick and deep also "efficientnet_lite0" or the name
            of a convolutional network of timm. None: "efficientnet_lite0"; "resnet50" for pfce and weights of a file.
        weights: Where the backbone starts: "bundled" (with efficientnet_lite0), "imagenet" (downloaded once), "coco",
            "none" or the path of a weights file. None: "bundled" with efficientnet_lite0, else "imagenet".
        bands: Bands to use, from 1; None takes all.
        indices: Pairs of bands whose normalised differences join them: (4, 1) for (band 4 - band 1) / (band 4 + band 1).
        texture: Whether quick reads colour and texture next to the backbone; None: where there are more than 3 bands.
        prior: Class proportions of the mapped area: "em" (estimated on unlabelled pixels), "none" (not corrected), or
            "name=share,...".
        nodata: Pixel value that stands for no data, in addition to the one that a raster declares.
        strict_nodata: Whether nodata in one band makes a pixel invalid; else it must be in all of them.
        any_values: Whether rasters with values on another scale than in training are mapped.
        patch: Side of a training patch in pixels, a multiple of 32.
        epochs: Passes of pfce (None: 25) and deep (None: 12).
        patches: Patches per epoch; 0 chooses.
        batch: Patches per step; None: 8 of pfce, 4 of deep.
        minutes: Time that auto may take.
        keep_features: Whether quick keeps the features of points in the user's cache folder for the next fit.
        seed: Seed of the fit.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "auto", "float32" or "bf16".

    Attributes:
        classes_: Class names by id, shape (C,).
        legend_: The classes with their colours.
        warnings_: What may spoil the model, one sentence each.
        model_: The network and its record.

    Example:
        >>> import numpy
        >>> random = numpy.random.default_rng(0)
        >>> image = random.normal(size=(3, 64, 64)) + 4 * (
        ...     numpy.arange(64) // 32
        ... )  # two classes, west and east
        >>> grid = range(4, 64, 8)
        >>> points = numpy.array([(row, col, col // 32) for row in grid for col in grid])
        >>> segmenter = PointSegmenter("forest", patch=64, prior="none").fit(image, points)
        >>> class_map = segmenter.predict(image)
        >>> class_map.shape, class_map.dtype.name, bool((class_map == numpy.arange(64) // 32).mean() > 0.9)
        ((64, 64), 'uint8', True)
    """

    def __init__(  # noqa: PLR0913 -- the parameters of an estimator are the arguments of its constructor
        self,
        recipe: str = "quick",
        *,
        backbone: str | None = None,
        weights: str | PathLike[str] | None = None,
        bands: Sequence[int] | None = None,
        indices: Sequence[tuple[int, int]] = (),
        texture: bool | None = None,
        prior: str = "em",
        nodata: float | None = None,
        strict_nodata: bool = False,
        any_values: bool = False,
        patch: int = 256,
        epochs: int | None = None,
        patches: int = 0,
        batch: int | None = None,
        minutes: float = 20.0,
        keep_features: bool = False,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.recipe, self.backbone, self.weights = recipe, backbone, weights
        self.bands, self.indices, self.texture, self.prior = bands, indices, texture, prior
        self.nodata, self.strict_nodata, self.any_values = nodata, strict_nodata, any_values
        self.patch, self.epochs, self.patches, self.batch = patch, epochs, patches, batch
        self.minutes, self.keep_features, self.seed = minutes, keep_features, seed
        self.device, self.precision = device, precision

    @library_call
    def fit(
        self,
        rasters: Any,
        points: Any,
        *,
        legend: LegendLike = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train on labelled points.

        Args:
            rasters: A raster, or a list or a dict by name of rasters with the same bands.
            points: A GeoDataFrame with a class column (any CRS; polygons and lines are sampled), a point file, a
                ``geoseg.Points``, a table with the columns row, col and class, or an array (P, 3) of row, col and class,
                where (0, 0) is the centre of the first pixel; for a list of rasters also a list of such arrays. With
                several rasters a column image names them ("raster-0", "raster-1" ... of a list of arrays).
            legend: Class names in the order of their ids; None: the classes of the points, in the order of numbers or
                names.
            progress: Told of the work, as ``geoseg.domain.ports.Progress``; None shows warnings alone.

        Returns:
            The model itself.

        Raises:
            SettingsError: A parameter cannot be used; the message names it.
            PointsError: The points cannot be read or used.
            RasterError: A raster cannot be read.
            LegendError: The points have a class that the legend lacks.
            TrainingError: Training fails.
        """
        with TemporaryDirectory(prefix="geoseg-") as name, python_words(Path(name)):
            folder = Path(name)
            images = raster_files(rasters, folder, nodata=self.nodata)
            inputs = Inputs(images, {}, as_legend(legend))
            settings = TrainSettings(
                **{**self.get_params(), "weights": None if self.weights is None else str(self.weights)},
                data=next(iter(images.values())),
                points=point_file(points, folder, list(images)),
                output=folder / "model.geoseg",
            )
            result = train(settings, PythonProgress(progress), inputs=inputs)
            self.model_, self.warnings_ = read_model(result.model), result.warnings
        return self

    @library_call
    def predict(self, raster: RasterLike, *, progress: Progress | None = None) -> Any:
        """Map a raster in memory.

        Args:
            raster: A path, an array (bands, rows, columns) or a DataArray with the bands of training.
            progress: Advanced once a window; None shows warnings alone.

        Returns:
            Class ids (rows, columns), uint8, which index ``classes_``; 255 where the raster has no data. A DataArray for
            a DataArray, else a NumPy array.

        Raises:
            NotFittedError: ``fit`` was not called.
            RasterError: The raster cannot be read, or lacks bands.
            PixelValuesError: Its values are on another scale than in training.
        """
        with TemporaryDirectory(prefix="geoseg-") as name, python_words(Path(name)):
            file = raster_file(raster, Path(name), _ARRAY, nodata=self.nodata)
            return file.as_map(np.concatenate([s.class_ids for s in self._strips(file.path, progress)]))

    @library_call
    def predict_proba(self, raster: RasterLike, *, progress: Progress | None = None) -> Any:
        """Return the calibrated probability of every class.

        Args:
            raster: As in :meth:`predict`.
            progress: As in :meth:`predict`.

        Returns:
            Probabilities (classes, rows, columns), float32, in steps of 1/254; NaN where the raster has no data. A
            DataArray with the dimension "class" for a DataArray, else a NumPy array.

        Raises:
            NotFittedError: ``fit`` was not called.
            RasterError: The raster cannot be read, or lacks bands.
            PixelValuesError: Its values are on another scale than in training.
        """
        with TemporaryDirectory(prefix="geoseg-") as name, python_words(Path(name)):
            file = raster_file(raster, Path(name), _ARRAY, nodata=self.nodata)
            strips = self._strips(file.path, progress, has_probabilities=True)
            steps = np.concatenate([s.probabilities for s in strips if s.probabilities is not None], axis=1)
            values = np.where(steps == UNLABELLED, np.float32(np.nan), steps / np.float32(STEPS))
            return file.as_probabilities(values, self.legend_.names)

    @library_call
    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write the model file, for :func:`geoseg.load_model`, :func:`geoseg.predict` and the command line.

        Args:
            path: Ends in .geoseg.
            overwrite: Whether an existing model file may be replaced.

        Raises:
            NotFittedError: ``fit`` was not called.
            OutputError: The file exists or cannot be written.
        """
        model, path = self.fitted_model(), Path(path)
        check_output(path, MODEL, overwrite=overwrite)
        with whole_file(path, MODEL, overwrite=overwrite) as partial:
            partial.write_bytes(pack_model(model.network, model.record))

    @property
    def classes_(self) -> NDArray[np.str_]:
        """Class names by id, shape (C,)."""
        return np.array(self.legend_.names)

    @property
    def legend_(self) -> Legend:
        """The classes with their colours."""
        return self.fitted_model().record.legend

    def fitted_model(self) -> Model:
        """Return the network and its record.

        Raises:
            NotFittedError: ``fit`` was not called.
        """
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                "this model is not fitted",
                where=type(self).__name__,
                hint="Call fit first, or geoseg.load_model.",
            )
        model: Model = self.model_
        return model

    def predictor(self) -> Predictor:
        """Return the fitted network on its device, ready to give probabilities.

        Raises:
            NotFittedError: ``fit`` was not called.
            SettingsError: The device is not available.
        """
        model = self.fitted_model()
        wish: dict[str, Any] = {"device": self.device, "precision": self.precision}
        chosen = ComputeSettings(**wish)
        device = choose_device(chosen.device)
        return build_default_predictor(model, device, choose_precision(chosen.precision, device))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def _strips(
        self, path: Path, progress: Progress | None, *, has_probabilities: bool = False
    ) -> list[Strip]:
        record, shown = self.fitted_model().record, PythonProgress(progress)
        check_bands(describe_raster(path), record, Path("the model"))
        validity = validity_for(self, record)
        with open_raster(path, bands=record.bands, validity=validity) as source:
            for warning in check_values(source, record, any_values=self.any_values):
                shown.warn(warning)
            plan = plan_for(record, None)
            return predict_whole(
                source, self.predictor(), plan, progress=shown, has_probabilities=has_probabilities
            )


@library_call
def load_model(path: str | PathLike[str], *, device: str = "auto", precision: str = "auto") -> PointSegmenter:
    """Read a model file as a fitted :class:`PointSegmenter`.

    Args:
        path: A model file of :meth:`PointSegmenter.save`, :func:`geoseg.train` or ``geoseg train``.
        device: Where to compute: "auto", "cpu", "cuda" or "mps".
        precision: "auto", "float32" or "bf16".

    Returns:
        The model, with the parameters of its training where they were recorded.

    Raises:
        ModelFileError: No such file, damaged, or not a model file.

    Example::

        geoseg.load_model("model.geoseg").predict("orthophoto.tif")
    """
    model = read_model(Path(path))
    recorded = dict(model.record.training.get("settings") or {})
    known = {name: recorded[name] for name in PointSegmenter().get_params() if name in recorded}
    segmenter = PointSegmenter(**{**known, "device": device, "precision": precision})
    segmenter.model_, segmenter.warnings_ = model, ()
    return segmenter
