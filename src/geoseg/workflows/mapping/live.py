"""Models that stay in memory and map images at once, for a service."""

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
from geoseg.domain.ports import NullProgress, Progress
from geoseg.domain.windows import Window
from geoseg.geodata.outputs.class_maps import class_map_writer, confidence_writer
from geoseg.geodata.outputs.cogs import BandWriter
from geoseg.geodata.outputs.minimum_mapping_unit import MappingUnit, mapping_unit, sieved
from geoseg.geodata.outputs.polygons_geojson import class_polygons_geojson
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.pixel_areas import pixel_areas_m2
from geoseg.geodata.reading.rasters import describe_raster, open_raster
from geoseg.networks.models.model_file import ModelRecord, read_model
from geoseg.pictures.class_png import class_png, confidence_png, ids_png
from geoseg.settings import PredictSettings
from geoseg.settings.maps import MapPrecision
from geoseg.workflows.inputs import validity_for
from geoseg.workflows.mapping.engines import build_engine
from geoseg.workflows.mapping.predict import check_bands, plan_for
from geoseg.workflows.value_check import check_values

_PROOF_PX = 64


@dataclass(frozen=True)
class Sharing:
    """How windows share passes of the network.

    Attributes:
        most: Windows in a pass at most.
        wait_s: How long a window waits for others.
        watch: Told of every pass.
    """

    most: int = 1
    wait_s: float = 0.0
    watch: JobProgress | None = None


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory.

    Attributes:
        record: What its file says of it.
        sha256: Of its file.
        plan: How images are cut.
        batcher: Computes for all threads.
        computing: Device, precision and backend.
    """

    record: ModelRecord
    sha256: str
    plan: WindowPlan
    batcher: Batcher
    computing: dict[str, str]

    def close(self) -> None:
        """Answer what waits, then stop its thread."""
        self.batcher.close()


@dataclass(frozen=True)
class ImageMap:
    """What became of an image.

    Attributes:
        class_ids: Class (H, W), uint8; 255 where the image is not valid.
        predicted_ids: Most probable class likewise, before small regions were merged.
        unit: The minimum mapping unit.
        confidence: Probability of the most probable class in steps of 1/254 (H, W), uint8; 255 for none. A pixel that was
            merged into a neighbour keeps it in the map; in a map for polygons it has none.
        info: The image's grid.
        legend: The classes.
        areas: What each class covers: id, name, pixels, hectares, share.
        warnings: What may spoil the map, as sentences.
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
        """Mean over the mapped pixels, 0..1; None where nothing is mapped."""
        mapped = self.class_ids != UNLABELLED
        return float(self.confidence[mapped].mean() / STEPS) if mapped.any() else None


def load_into_memory(
    path: Path, *, device: str, precision: MapPrecision, backend: str, sharing: Sharing
) -> LoadedModel:
    """Read a model and let it answer once, so that what cannot compute is found out here.

    Raises:
        ModelFileError: The file cannot be used.
        SettingsError: Device, precision and backend do not go together.
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
    batcher = Batcher(predictor, max_windows=sharing.most, wait_s=sharing.wait_s, on_pass=sharing.watch)
    shape = (len(model.record.bands), _PROOF_PX, _PROOF_PX)
    try:
        batcher.probabilities(np.zeros((1, *shape), np.float32), np.ones((1, *shape[1:]), np.bool_))
    except BaseException:
        batcher.close()
        raise
    computing = {name: str(engine.identity[name]) for name in ("device", "precision", "backend")}
    return LoadedModel(model.record, model.sha256, plan, batcher, computing)


def check_live_bands(path: Path, live: LoadedModel) -> None:
    """Make sure that an image has the bands that a model was trained on.

    Raises:
        RasterError: It has not.
    """
    check_bands(describe_raster(path), live.record, path)


@dataclass(frozen=True)
class Reading:
    """How an image is read.

    Attributes:
        nodata: A pixel value that stands for no data, in addition to the one that the image declares.
        strict_nodata: Whether nodata in one of the bands makes a pixel invalid; None: as at the model's training.
        any_values: Whether values on another scale than the training's are mapped too.
    """

    nodata: float | None = None
    strict_nodata: bool | None = None
    any_values: bool = False


AS_TRAINED = Reading()


def map_image(
    path: Path,
    live: LoadedModel,
    *,
    tta: bool = False,
    reading: Reading = AS_TRAINED,
    min_area: float | None = None,
    progress: Progress | None = None,
) -> ImageMap:
    """Map an image whole, in memory, by the engine that maps rasters.

    Args:
        path: The image.
        live: The model.
        tta: Whether to take the mean over windows turned and flipped in every way.
        reading: How to read the image.
        min_area: Minimum mapping unit in square metres; None or 0 merges nothing in the map.
        progress: Advanced once a window; what it raises ends the work.

    Raises:
        PixelValuesError: The image's values are on another scale than the training's.
        RasterError: The image is damaged, has no such bands, or no known ground area while ``min_area`` is given.
    """
    progress, record = progress or NullProgress(), live.record
    predictor = AugmentedPredictor(live.batcher) if tta else live.batcher
    strips = list[Strip]()
    validity = validity_for(reading, record)
    with open_raster(path, bands=record.bands, validity=validity) as source, live.batcher.active():
        warnings = check_values(source, record, any_values=reading.any_values)
        unit = mapping_unit(min_area, source.info)
        progress.start("Predicting", count_windows(source, live.plan))
        with closing(predict_strips(source, predictor, live.plan, progress=progress)) as found:
            strips.extend(found)
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


def _areas(class_ids: NDArray[np.uint8], info: RasterInfo, windows: list[Window]) -> ClassAreas:
    areas = ClassAreas()
    for window in windows:
        rows = slice(window.row, window.row + window.height)
        areas.add(class_ids[rows], pixel_areas_m2(info, window))
    return areas


def for_polygons(found: ImageMap) -> ImageMap:
    """Return a map as its polygons show it: with small regions merged, and no confidence where they were."""
    class_ids = found.class_ids if found.unit.is_of_map else sieved(found.class_ids, found.unit.min_px)
    is_merged = class_ids != found.predicted_ids
    return replace(found, class_ids=class_ids, confidence=np.where(is_merged, UNLABELLED, found.confidence))


def as_png(found: ImageMap) -> bytes:
    """Return a map as PNG in the colours of its legend."""
    return class_png(found.class_ids, found.legend)


def as_ids_png(found: ImageMap) -> bytes:
    """Return a map as grey PNG of class ids; 255 is nodata."""
    return ids_png(found.class_ids)


def as_confidence_png(found: ImageMap) -> bytes:
    """Return the confidence as grey PNG, in steps of 1/254; 255 is nodata."""
    return confidence_png(found.confidence)


def count_polygons(found: ImageMap) -> int:
    """Return how many polygons a map has: regions of 4-connected pixels of one class. Cheap."""
    present = np.unique(found.class_ids[found.class_ids != UNLABELLED])
    return sum(int(ndimage.label(found.class_ids == class_id)[1]) for class_id in present)


def as_geojson(found: ImageMap) -> str:
    """Return the polygons of a map, as ``for_polygons`` gives it, in longitude and latitude.

    Raises:
        RasterError: The image has no CRS.
    """
    return class_polygons_geojson(found.class_ids, found.confidence, found.info, found.legend)


def as_geotiff(found: ImageMap, folder: Path) -> bytes:
    """Return a map as Cloud Optimized GeoTIFF, made in a folder that is the caller's to remove."""
    path = folder / "map.tif"
    return _written(path, class_map_writer(path, found.info, found.legend, overwrite=True), found.class_ids)


def as_confidence_geotiff(found: ImageMap, folder: Path) -> bytes:
    """Return the confidence likewise, in steps of 1/254."""
    path = folder / "confidence.tif"
    return _written(path, confidence_writer(path, found.info, overwrite=True), found.confidence)


def _written(path: Path, writing: AbstractContextManager[BandWriter], values: NDArray[np.uint8]) -> bytes:
    with writing as writer:
        writer.write(Window(0, 0, *values.shape), values)
    return path.read_bytes()
