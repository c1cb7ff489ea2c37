"""Choose device, precision and backend for mapping. Options left to "auto" follow an unfinished map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, NamedTuple, cast, get_args

from geoseg.domain.mapping.prediction import WindowPlan
from geoseg.domain.mapping.test_time_augmentation import AugmentedPredictor
from geoseg.domain.ports import Predictor, Progress
from geoseg.geodata.outputs.strips import StripStore
from geoseg.geodata.reading.rasters import open_raster
from geoseg.geodata.reading.validity import AS_DECLARED
from geoseg.inference.quantisation import quantiser_versions
from geoseg.learning.model_file import Model
from geoseg.learning.stac_description import mlm_properties
from geoseg.settings import Precision, PredictSettings
from geoseg.settings.maps import MapPrecision
from geoseg.workflows.devices import choose_device, choose_precision
from geoseg.workflows.inputs import validity_for
from geoseg.workflows.mapping.backends import (
    Backend,
    ExactPrecision,
    Int8Backend,
    build_int8_predictor,
    build_predictor,
    check_int8,
    default_backend,
    default_precision,
    fastest_backend,
    fastest_int8,
)
from geoseg.workflows.mapping.quantisation import (
    Quantised,
    Sample,
    quantise_again,
    quantise_for,
    read_sample,
    report,
)
from geoseg.workflows.mapping.raster_map import Engine, MapTask
from geoseg.workflows.mapping.raster_prior import with_raster_prior

_AnyBackend = Backend | Literal["auto"] | None


class _Choice(NamedTuple):
    """A predictor, and the settings that determine its pixel values."""

    predictor: Predictor
    identity: Mapping[str, Any]


def build_engine(
    settings: PredictSettings, model: Model, tasks: Sequence[MapTask], *, plan: WindowPlan, progress: Progress
) -> tuple[Engine, Predictor]:
    """Return the engine for a model, and its predictor.

    Raises:
        SettingsError: Device, precision, backend and model are incompatible, or a package is not installed.
        RasterError: The first raster, on which int8 is calibrated, cannot be read.
        OutputError: The record of an unfinished map cannot be read.
    """
    unfinished, device = _unfinished_identity(tasks), choose_device(settings.device)
    backend = _pinned_backend(settings, unfinished)
    requested = _pinned_precision(settings, unfinished, backend)
    side_px = plan.core_px + 2 * plan.context_px
    validity = validity_for(settings, model.record)
    if requested == "int8":
        check_int8(model, backend, device)
        quantised, sample = _quantised(settings, model, tasks[0], unfinished=unfinished)
        choice = _choose_int8(model, backend, quantised, sample=sample, side_px=side_px, progress=progress)
    else:
        precision = _exact_precision(requested, model, backend=backend, device=device)
        choice = _choose(
            model, backend, device=device, precision=precision, side_px=side_px, progress=progress
        )
    engine = Engine(
        plan=plan,
        legend=model.record.legend,
        bands=model.record.bands,
        resolution_m=model.record.resolution_m if settings.resample else None,
        validity=validity,
        identity={
            "model_sha256": model.sha256,
            "device": device,
            "output_stride": model.record.architecture.output_stride,
            **choice.identity,
            **({"tta": True} if settings.tta else {}),
            **({} if validity == AS_DECLARED else asdict(validity)),
        },
        description=mlm_properties(model),
        conformal=model.record.conformal_thresholds,
    )
    return engine, AugmentedPredictor(choice.predictor) if settings.tta else choice.predictor


def rebuild_predictor(model: Model, identity: Mapping[str, Any], threads: int | None = None) -> Predictor:
    """Return a predictor that gives the same pixel values as the engine with this identity.

    Args:
        model: The model.
        identity: The identity of the engine.
        threads: Number of CPU threads; None takes all.

    Raises:
        SettingsError: This machine gives other values.
    """
    if identity["precision"] == "int8":
        network = quantise_again(model, identity).network
        predictor = build_int8_predictor(model, identity["backend"], network, threads=threads)
    else:
        predictor = build_predictor(
            model,
            identity["backend"],
            device=identity["device"],
            precision=identity["precision"],
            threads=threads,
        )
    return with_raster_prior(AugmentedPredictor(predictor) if identity.get("tta") else predictor, identity)


def _exact_precision(
    requested: Precision, model: Model, *, backend: _AnyBackend, device: str
) -> ExactPrecision:
    """Return the precision to compute in; for "auto" one that the backend has."""
    precision = choose_precision(requested, device)
    if requested != "auto":
        return precision
    return "float32" if backend == "onnx" else default_precision(precision, model, device)


def _choose(
    model: Model,
    backend: _AnyBackend,
    *,
    device: str,
    precision: ExactPrecision,
    side_px: int,
    progress: Progress,
) -> _Choice:
    if backend == "auto":
        backend, predictor, note = fastest_backend(model, device=device, precision=precision, side_px=side_px)
        progress.say(note)
    else:
        backend = backend or default_backend(model, device, precision)
        predictor = build_predictor(model, backend, device=device, precision=precision)
    return _Choice(predictor, {"backend": backend, "precision": precision})


def _choose_int8(
    model: Model,
    backend: _AnyBackend,
    quantised: Quantised,
    *,
    sample: Sample | None,
    side_px: int,
    progress: Progress,
) -> _Choice:
    if backend == "auto":
        backend, predictor, note = fastest_int8(model, quantised.network, side_px=side_px)
        progress.say(note)
    else:
        backend = cast(Int8Backend, backend or "onnx")
        predictor = build_int8_predictor(model, backend, quantised.network)
    if sample is not None:
        report(model, predictor, sample, progress=progress)
    return _Choice(predictor, {"backend": backend, "precision": "int8", **quantised.identity})


def _quantised(
    settings: PredictSettings, model: Model, task: MapTask, *, unfinished: Mapping[str, Any]
) -> tuple[Quantised, Sample | None]:
    """Quantise a model with the ranges of its unfinished map, or else with a sample of the raster."""
    is_of_model = unfinished.get("precision") == "int8" and unfinished.get("model_sha256") == model.sha256
    is_new_allowed = settings.overwrite and unfinished.get("quantised_by") != quantiser_versions()
    if is_of_model and not is_new_allowed:
        return quantise_again(model, unfinished), None
    record = model.record
    resolution_m = record.resolution_m if settings.resample else None
    validity = validity_for(settings, record)
    with open_raster(
        task.info.path, bands=record.bands, resolution_m=resolution_m, validity=validity
    ) as source:
        sample = read_sample(source)
    return quantise_for(model, sample), sample


def _unfinished_identity(tasks: Sequence[MapTask]) -> dict[str, Any]:
    """Return the identity of the first unfinished map; empty if there is none."""
    found = (StripStore(task.files["class_map"]).identity() for task in tasks)
    return next((identity for identity in found if identity is not None), {})


def _pinned_backend(settings: PredictSettings, unfinished: Mapping[str, Any]) -> _AnyBackend:
    """Return the backend of the unfinished map if the user chose none, or "auto"."""
    pinned: Any = unfinished.get("backend")
    if settings.backend in (None, "auto") and pinned in get_args(Backend):
        return cast(Backend, pinned)
    return settings.backend


def _pinned_precision(
    settings: PredictSettings, unfinished: Mapping[str, Any], backend: _AnyBackend
) -> MapPrecision:
    """Return the precision of the unfinished map if the user chose "auto"."""
    pinned: Any = unfinished.get("precision")
    if settings.precision != "auto" or pinned not in get_args(MapPrecision):
        return settings.precision
    # An int8 map of another backend: the store then reports the different backend, not a missing feature of it.
    is_foreign = pinned == "int8" and unfinished.get("backend") != backend
    return "auto" if is_foreign else cast(MapPrecision, pinned)
