"""Maps of rasters of any size by any torch module or function."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from geoseg.domain.legend import Legend, legend_from_names
from geoseg.domain.mapping.prediction import WindowPlan, plan_windows
from geoseg.domain.ports import Predictor, Progress
from geoseg.errors import SettingsError
from geoseg.geodata.reading.rasters import Validity, describe_raster, open_raster
from geoseg.learning.features.context import measure_context_anywhere
from geoseg.learning.stac_description import mlm_properties
from geoseg.settings import PredictSettings
from geoseg.settings.maps import Product
from geoseg.workflows.devices import require_torch
from geoseg.workflows.inputs import validity_for
from geoseg.workflows.library.legends import LegendLike, as_legend
from geoseg.workflows.library.rasters import RasterLike, raster_file
from geoseg.workflows.library.segmenter import PointSegmenter
from geoseg.workflows.library.wording import PythonProgress, library_call, python_words
from geoseg.workflows.mapping.predict import Prediction, as_prediction, check_bands, make_task, plan_for
from geoseg.workflows.mapping.raster_map import Engine, MapJob, map_raster
from geoseg.workflows.value_check import check_values


@library_call
def predict_raster(  # noqa: PLR0913 -- a module says nothing of itself, so its user says it
    module: Callable[[Any], Any],
    raster: RasterLike,
    output: str | PathLike[str],
    *,
    legend: LegendLike = None,
    prepare: Callable[[Any], Any] | None = None,
    bands: Sequence[int] | None = None,
    context: int | None = None,
    window: int | None = None,
    batch: int = 1,
    confidence: str | PathLike[str] | None = None,
    also: Sequence[Product] = (),
    nodata: float | None = None,
    strict_nodata: bool | None = None,
    device: str | None = None,
    version: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Prediction:
    """Map a raster of any size with a torch module, a function or a PointSegmenter, in bounded memory.

    The raster is read in windows with context around them; the probabilities of neighbouring windows are blended. The map
    is a cloud-optimised GeoTIFF (uint8, nodata 255) with the raster's CRS and transform, the colours and names of the
    legend, and a QGIS style. Memory grows with the width of the raster, not with its height. A call that was stopped
    continues from its finished strips when it is repeated.

    Args:
        module: A ``torch.nn.Module`` or a function, from images (N, B, H, W), a float32 tensor in the raster's own values,
            to logits (N, C, H, W) or a dict with them under "out". One channel means two classes. Logits of a lower
            resolution are upsampled. H and W are multiples of 32. Or a fitted PointSegmenter. The module is set to
            evaluate meanwhile.
        raster: The path of a raster; arrays and DataArrays are accepted too.
        output: Class map to write (.tif).
        legend: Class names in the order of their ids; None: "0", "1" ...
        prepare: Applied to the images first, such as a normalisation. Pixels without data are 0 before it.
        bands: Bands to read, from 1; None reads all but alpha.
        context: Pixels around a window that the module needs to see; None measures how much changes its answers, on
            six places of the raster.
        window: Side of the windows in pixels, 32 to 8192; None chooses by the context.
        batch: Windows predicted together.
        confidence: Raster of the probability of the mapped class to write too (.tif).
        also: What else to write next to the map: "probabilities", "polygons", "areas", "stac".
        nodata: Pixel value that stands for no data, in addition to the one that the raster declares.
        strict_nodata: Whether nodata in one band makes a pixel invalid; else it must be in all of them. None: as a
            PointSegmenter was trained, else False.
        device: Where to compute, such as "cuda"; None: where the module is.
        version: Text that changes when the module's function or ``prepare`` changes. A stopped map continues only if
            it, the module's weights and the windows are the same; without it, a function or a module with ``prepare``
            starts anew.
        overwrite: Whether existing files may be replaced.
        progress: Advanced once a window; None shows warnings alone.

    Returns:
        The files, the area of each class, and the warnings.

    Raises:
        SettingsError: An argument cannot be used, or the module gives no logits; the message names it.
        NotFittedError: The PointSegmenter is not fitted.
        RasterError: The raster cannot be read, or breaks midway.
        OutputError: A file exists, cannot be written, or is an unfinished map of something else.
        StoppedError: The user stopped it; finished strips are kept.

    Example:
        >>> import numpy, tempfile, pathlib
        >>> def brightness(images):  # one channel: class 1 where a pixel is brighter than 100
        ...     return images.mean(dim=1, keepdim=True) - 100
        >>> image = numpy.repeat([[50, 150]], 64, axis=0).astype("uint8").repeat(32, axis=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "map.tif")
        ...     made = predict_raster(brightness, image, path, legend=["dark", "bright"], context=32)
        >>> [(area["name"], area["pixels"]) for area in made.areas if area["pixels"]]
        [('dark', 2048), ('bright', 2048)]
    """
    settings = PredictSettings(
        model=Path("module"),
        rasters=(Path("raster"),),
        output=Path(output),
        confidence=None if confidence is None else Path(confidence),
        also=tuple(also),
        window=window,
        batch=batch,
        nodata=nodata,
        strict_nodata=strict_nodata,
        overwrite=overwrite,
    )
    options = _ModuleOptions(as_legend(legend), prepare, bands, context, device, version)
    with TemporaryDirectory(prefix="geoseg-") as name, python_words(Path(name)), _evaluating(module):
        path = raster_file(raster, Path(name), "raster", nodata=nodata).path
        given = settings.model_copy(update={"rasters": (path,)})
        return _map(module, given, options, progress=PythonProgress(progress))


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Set a torch module to evaluate meanwhile; a PointSegmenter needs no torch.

    Raises:
        SettingsError: torch is not installed.
    """
    if isinstance(module, PointSegmenter):
        yield
        return
    require_torch("a module or a function of tensors", "module")
    from geoseg.networks.prediction.module_predictor import evaluating

    with evaluating(module):
        yield


@dataclass(frozen=True)
class _ModuleOptions:
    """Arguments that describe a module."""

    legend: Legend | None
    prepare: Callable[[Any], Any] | None
    bands: Sequence[int] | None
    context: int | None
    device: str | None
    version: str | None


class _Ready(NamedTuple):
    """A predictor, how it maps, and what may spoil the map."""

    predictor: Predictor
    engine: Engine
    warnings: tuple[str, ...] = ()


def _map(
    module: Any, settings: PredictSettings, options: _ModuleOptions, *, progress: Progress
) -> Prediction:
    task = make_task(describe_raster(settings.rasters[0]), settings, progress)
    if isinstance(module, PointSegmenter):
        ready = _of_segmenter(module, settings, options)
    else:
        ready = _of_module(module, settings, options)
    for warning in ready.warnings:
        progress.warn(warning)
    task = replace(task, warnings=(*task.warnings, *ready.warnings))
    job = MapJob(task, ready.engine, settings)
    if not ready.engine.identity["version"]:
        job.store.clear()
    records = map_raster(job, ready.predictor, progress)
    job.store.clear()
    return as_prediction(task, records, progress)


def _of_module(module: Callable[[Any], Any], settings: PredictSettings, options: _ModuleOptions) -> _Ready:
    from geoseg.networks.prediction.module_predictor import ModulePredictor, digest_of

    path, validity = settings.rasters[0], Validity(settings.nodata, bool(settings.strict_nodata))
    with open_raster(path, bands=options.bands, validity=validity) as source:
        predictor = ModulePredictor(module, source.bands, device=options.device, prepare=options.prepare)
        legend = options.legend or legend_from_names(map(str, range(predictor.classes)))
        _check_classes(legend, predictor)
        context = options.context
        if context is None:
            context = measure_context_anywhere(predictor, source)
        bands = tuple(options.bands or range(1, source.bands + 1))
    digest = digest_of(module)
    # What a function computes cannot be told from its name.
    version = options.version or (digest if options.prepare is None else None)
    identity = {"module": digest, "version": version, "bands": list(bands)}
    plan = plan_windows(settings.window, context, batch=settings.batch)
    return _Ready(predictor, _engine(plan, legend, bands, validity=validity, identity=identity))


def _of_segmenter(segmenter: PointSegmenter, settings: PredictSettings, options: _ModuleOptions) -> _Ready:
    unused = [
        name for name in ("legend", "prepare", "bands", "context") if getattr(options, name) is not None
    ]
    if unused:
        raise SettingsError("a PointSegmenter has its own", where=unused[0], hint="Leave it out.")
    model, path = segmenter.fitted_model(), settings.rasters[0]
    record = model.record
    check_bands(describe_raster(path), record, Path("the model"))
    if settings.nodata is None:
        settings = settings.model_copy(update={"nodata": segmenter.nodata})
    validity = validity_for(settings, record)
    with open_raster(path, bands=record.bands, validity=validity) as source:
        warnings = check_values(source, record, any_values=segmenter.any_values)
    plan = plan_for(record, settings.window, settings.batch)
    identity = {"module": hashlib.sha256(model.onnx).hexdigest(), "version": options.version or "fitted"}
    engine = _engine(plan, record.legend, record.bands, validity=validity, identity=identity)
    return _Ready(segmenter.predictor(), replace(engine, description=mlm_properties(model)), warnings)


def _engine(
    plan: WindowPlan,
    legend: Legend,
    bands: tuple[int, ...],
    *,
    validity: Validity,
    identity: Mapping[str, Any],
) -> Engine:
    rule = {"nodata": validity.nodata, "strict_nodata": validity.is_strict}
    return Engine(
        plan=plan,
        legend=legend,
        bands=bands,
        resolution_m=None,
        validity=validity,
        identity={**identity, **rule},
        description={},
    )


def _check_classes(legend: Legend, predictor: Predictor) -> None:
    if len(legend) != predictor.classes:
        raise SettingsError(
            "the legend does not fit the module",
            where="legend",
            expected=f"{predictor.classes} classes",
            got=len(legend),
        )
