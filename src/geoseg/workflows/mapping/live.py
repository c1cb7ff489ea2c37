"""Keep models in memory and map images with them, for the web service."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.mapping.batching import Batcher, JobProgress
from geoseg.domain.mapping.class_areas import ClassAreas
from geoseg.domain.mapping.prediction import STEPS, Strip, WindowPlan, count_windows, predict_strips
from geoseg.domain.mapping.test_time_augmentation import AugmentedPredictor
from geoseg.domain.ports import NullProgress, Predictor, Progress
from geoseg.domain.windows import Window
from geoseg.geodata.outputs.class_maps import class_map_writer, confidence_writer
from geoseg.geodata.outputs.cogs import BandWriter
from geoseg.geodata.outputs.minimum_mapping_unit import MappingUnit, mapping_unit, sieved
from geoseg.geodata.outputs.polygons_geojson import class_polygons_geojson
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.pixel_areas import pixel_areas_m2
from geoseg.geodata.reading.rasters import Raster, describe_raster, open_raster
from geoseg.learning.model_file import ModelRecord, read_model
from geoseg.pictures.class_png import class_png, confidence_png, ids_png
from geoseg.settings import PredictSettings
from geoseg.settings.maps import MapPrecision
from geoseg.workflows.inputs import validity_for
from geoseg.workflows.mapping.engines import build_engine
from geoseg.workflows.mapping.predict import check_bands, plan_for
from geoseg.workflows.value_check import check_values

_PROOF_PX = 64
_GPU_BATCH = 4


@dataclass(frozen=True)
class Batching:
    """Batching of windows from several requests.

    Attributes:
        most: Maximum number of windows per batch; None: 1 on a CPU, where more need memory and gain little, 4 on a GPU.
        wait_s: Maximum time in seconds that a window waits for others.
        watch: Receives every batch.
    """

    most: int | None = None
    wait_s: float = 0.0
    watch: JobProgress | None = None


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory.

    Attributes:
        record: The record in the model file.
        sha256: SHA-256 of the model file.
        plan: The division of images into windows.
        batcher: Runs the network for all threads.
        computing: Device, precision and backend.
    """

    record: ModelRecord
    sha256: str
    plan: WindowPlan
    batcher: Batcher
    computing: dict[str, str]

    def close(self) -> None:
        """Finish the waiting windows, then stop the thread of the batcher."""
        self.batcher.close()


@dataclass(frozen=True)
class ImageMap:
    """The map of an image.

    Attributes:
        class_ids: Class id (H, W), uint8; 255 where the image is not valid.
        predicted_ids: Most probable class (H, W), uint8, before small regions are merged.
        unit: The minimum mapping unit.
        confidence: Probability of the most probable class in steps of 1/254 (H, W), uint8; 255 is nodata. Merged pixels
            keep their value in the map and are nodata in a map for polygons.
        info: The grid of the image.
        legend: The classes.
        areas: Area of each class: id, name, pixels, hectares, share.
        warnings: Possible problems of the map, one sentence each.
    """

    class_ids: NDArray[np.uint8]
    predicted_ids: NDArray[np.uint8]
    unit: MappingUnit
    confidence: NDArray[np.uint8]
    info: RasterInfo
    legend: Legend
    areas: list[dict[str, Any]]
    warnings: tuple[str, ...] = ()

    @property
    def mean_confidence(self) -> float | None:
        """Mean confidence of the mapped pixels, 0..1; None if no pixel is mapped."""
        mapped = self.class_ids != UNLABELLED
        return float(self.confidence[mapped].mean() / STEPS) if mapped.any() else None


def load_into_memory(
    path: Path, *, device: str, precision: MapPrecision, backend: str | None, sharing: Batching
) -> LoadedModel:
    """Read a model and predict one empty window, so that runtime errors appear here and not in a request.

    Raises:
        ModelFileError: The file cannot be used.
        SettingsError: Device, precision and backend are incompatible.
    """
    model = read_model(path)
    plan = plan_for(model.record, None)
    settings = PredictSettings(
        model=path,
        rasters=(path,),
        output=path,
        device=device,  # type: ignore[arg-type]
        precision=precision,
        backend=backend,  # type: ignore[arg-type]
    )
    engine, predictor = build_engine(settings, model, [], plan=plan, progress=NullProgress())
    most = sharing.most or (1 if engine.identity["device"] == "cpu" else _GPU_BATCH)
    batcher = Batcher(predictor, max_windows=most, wait_s=sharing.wait_s, on_pass=sharing.watch)
    shape = (len(model.record.bands), _PROOF_PX, _PROOF_PX)
    try:
        batcher.probabilities(np.zeros((1, *shape), np.float32), np.ones((1, *shape[1:]), np.bool_))
    except BaseException:
        batcher.close()
        raise
    computing = {name: str(engine.identity[name]) for name in ("device", "precision", "backend")}
    return LoadedModel(model.record, model.sha256, plan, batcher, computing)


def check_live_bands(path: Path, live: LoadedModel) -> None:
    """Check that an image has the bands that a model was trained on.

    Raises:
        RasterError: The image lacks a band.
    """
    check_bands(describe_raster(path), live.record, path)


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading an image.

    Attributes:
        nodata: A nodata value in addition to the one that the image declares.
        strict_nodata: Whether nodata in one band makes a pixel invalid; None: as in the training of the model.
        any_values: Whether values on a scale other than in training are accepted.
    """

    nodata: float | None = None
    strict_nodata: bool | None = None
    any_values: bool = False


AS_TRAINED = ReadOptions()


def map_image(
    path: Path,
    live: LoadedModel,
    *,
    tta: bool = False,
    reading: ReadOptions = AS_TRAINED,
    min_area: float | None = None,
    progress: Progress | None = None,
) -> ImageMap:
    """Map a whole image in memory, with the same engine as rasters on disk.

    Args:
        path: The image.
        live: The model.
        tta: Whether to use test-time augmentation: the mean over all rotations and flips of a window.
        reading: Options for reading the image.
        min_area: Minimum mapping unit in square metres; None or 0 merges no regions in the map.
        progress: Advances by one per window. An exception that it raises stops the mapping.

    Raises:
        PixelValuesError: The values are on a scale other than in training.
        RasterError: The image is damaged or lacks a band, or ``min_area`` is given and its pixel area is unknown.
    """
    progress, record = progress or NullProgress(), live.record
    predictor = AugmentedPredictor(live.batcher) if tta else live.batcher
    validity = validity_for(reading, record)
    with open_raster(path, bands=record.bands, validity=validity) as source, live.batcher.active():
        warnings = check_values(source, record, any_values=reading.any_values)
        unit = mapping_unit(min_area, source.info)
        strips = predict_whole(source, predictor, live.plan, progress=progress)
        info = source.info
    predicted_ids = np.concatenate([s.class_ids for s in strips])
    class_ids = sieved(predicted_ids, unit.min_px) if unit.is_of_map else predicted_ids
    return ImageMap(
        class_ids,
        predicted_ids,
        unit,
        np.concatenate([s.confidence for s in strips]),
        info,
        record.legend,
        _areas(class_ids, info, [s.window for s in strips]).to_records(record.legend),
        warnings,
    )


def predict_whole(
    source: Raster,
    predictor: Predictor,
    plan: WindowPlan,
    *,
    progress: Progress,
    has_probabilities: bool = False,
) -> list[Strip]:
    """Predict all strips of an open raster in memory.

    Args:
        source: The raster.
        predictor: The model.
        plan: The division of the raster into windows.
        progress: Advances by one per window.
        has_probabilities: Whether to keep the probabilities of all classes.
    """
    progress.start("Predicting", count_windows(source, plan))
    strips = predict_strips(source, predictor, plan, progress=progress, has_probabilities=has_probabilities)
    with closing(strips):
        return list(strips)


def _areas(class_ids: NDArray[np.uint8], info: RasterInfo, windows: list[Window]) -> ClassAreas:
    areas = ClassAreas()
    for window in windows:
        rows = slice(window.row, window.row + window.height)
        areas.add(class_ids[rows], pixel_areas_m2(info, window))
    return areas


def for_polygons(found: ImageMap) -> ImageMap:
    """Return the map for polygons: small regions merged, merged pixels without confidence."""
    class_ids = found.class_ids if found.unit.is_of_map else sieved(found.class_ids, found.unit.min_px)
    is_merged = class_ids != found.predicted_ids
    return replace(found, class_ids=class_ids, confidence=np.where(is_merged, UNLABELLED, found.confidence))


def as_png(found: ImageMap) -> bytes:
    """Return a map as PNG in the colours of its legend."""
    return class_png(found.class_ids, found.legend)


def as_ids_png(found: ImageMap) -> bytes:
    """Return a map as greyscale PNG of class ids; 255 is nodata."""
    return ids_png(found.class_ids)


def as_confidence_png(found: ImageMap) -> bytes:
    """Return the confidence as greyscale PNG, in steps of 1/254; 255 is nodata."""
    return confidence_png(found.confidence)


def count_polygons(found: ImageMap) -> int:
    """Return the number of polygons of a map: regions of 4-connected pixels of one class."""
    present = np.unique(found.class_ids[found.class_ids != UNLABELLED])
    return sum(int(ndimage.label(found.class_ids == class_id)[1]) for class_id in present)


def as_geojson(found: ImageMap) -> str:
    """Return the polygons of a map from ``for_polygons`` as GeoJSON, in longitude and latitude.

    Raises:
        RasterError: The image has no CRS.
    """
    return class_polygons_geojson(found.class_ids, found.confidence, found.info, found.legend)


def as_geotiff(found: ImageMap, folder: Path) -> bytes:
    """Return a map as Cloud Optimized GeoTIFF. The caller removes ``folder``, which holds the file."""
    path = folder / "map.tif"
    return _written(path, class_map_writer(path, found.info, found.legend, overwrite=True), found.class_ids)


def as_confidence_geotiff(found: ImageMap, folder: Path) -> bytes:
    """Return the confidence as Cloud Optimized GeoTIFF, in steps of 1/254."""
    path = folder / "confidence.tif"
    return _written(path, confidence_writer(path, found.info, overwrite=True), found.confidence)


def _written(path: Path, writing: AbstractContextManager[BandWriter], values: NDArray[np.uint8]) -> bytes:
    with writing as writer:
        writer.write(Window(0, 0, *values.shape), values)
    return path.read_bytes()
