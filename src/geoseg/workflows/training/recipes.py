"""Recipes that fit a head to frozen features, without torch where the bundled backbone computes them."""

from __future__ import annotations

from dataclasses import replace

from geoseg.domain.ports import Progress
from geoseg.geodata.reading.identity import raster_identity
from geoseg.inference.graphs.layers import LayerPlan, feature_graph, linear_graph
from geoseg.inference.graphs.trees import forest_graph
from geoseg.learning.architecture import COLORS, LIGHT_BACKBONE, Architecture
from geoseg.learning.cache_folder import GIB, MIB, default_cache
from geoseg.learning.features.extractors import GraphExtractor
from geoseg.learning.features.feature_cache import FeatureCache
from geoseg.learning.features.reading import subsample_points
from geoseg.learning.heads.bands import fit_bands, read_band_features
from geoseg.learning.heads.forest import fit_forest
from geoseg.learning.heads.quick import fit_quick
from geoseg.learning.model_file import inference_graph
from geoseg.workflows.devices import has_torch
from geoseg.workflows.training.holding_out import describe_blocks, report_blocks
from geoseg.workflows.training.job import Job, Layers, Trained, calibrate_logits, identity


def quick(job: Job) -> Trained:
    """Fit a linear head to hypercolumns of a frozen backbone at the points."""
    settings, layers = job.settings, load_layers(job)
    job.folder.begin(identity(job), resume=False, overwrite=settings.overwrite or settings.resume)
    return fit_heads(job, layers)


def load_layers(job: Job) -> Layers:
    """Return the features of :func:`quick`: of ONNX Runtime for the bundled backbone on a CPU, otherwise of torch."""
    architecture, start = layer_architecture(job), job.settings.network
    is_light = start.backbone == LIGHT_BACKBONE and start.weights == "bundled"
    if is_light and (job.device == "cpu" or not has_torch()):
        return _light_layers(job, architecture)
    from geoseg.workflows.training.network_layers import load_network_layers

    return load_network_layers(job, architecture)


def layer_architecture(job: Job) -> Architecture:
    """Return the architecture of :func:`quick` according to the settings and the bands."""
    settings = job.settings
    has_texture = settings.texture
    if has_texture is None:
        has_more = len(job.training_data.rasters.bands) > COLORS or bool(settings.indices)
        has_texture = has_more and settings.network.weights != "none"
    architecture = replace(
        job.architecture, head="linear", scales=settings.image_scales, has_texture=has_texture
    )
    if has_texture and architecture.backbone_bands < architecture.bands:
        job.progress.say(
            f"The backbone reads {architecture.backbone_bands} bands. Colour and texture of all {architecture.bands} bands and "
            "indices are added as separate features. With --no-texture the backbone reads all of them."
        )
    return architecture


def _light_layers(job: Job, architecture: Architecture) -> Layers:
    plan = LayerPlan(
        channels=architecture.bands,
        backbone_bands=architecture.backbone_bands,
        scales=architecture.scales,
        has_texture=architecture.has_texture,
    )
    margin = job.reader.margin_px
    extract = GraphExtractor(feature_graph(plan, margin), plan.insets_px(margin))
    weights = f"Weights: bundled, of {LIGHT_BACKBONE} trained on ImageNet."
    job.progress.say(weights)
    return Layers(
        architecture,
        weights,
        extract,
        extract.digest,
        lambda probe: inference_graph(linear_graph(plan, probe.weight, probe.bias)),
        has_small_field=True,
    )


def fit_heads(job: Job, layers: Layers) -> Trained:
    """Fit the heads of :func:`quick`. The run folder must be prepared."""
    settings, data = job.settings, job.fit_data
    cache = _feature_cache(job, layers) if settings.keep_features else None
    fitted = fit_quick(
        layers.extract,
        data,
        replace(job.reader, views=settings.views, has_flexible_cells=layers.has_small_field),
        seed=settings.seed,
        cache=cache,
        progress=job.progress,
    )
    if cache is not None:
        _report_cache(cache, job.progress)
    validation = fitted.validation
    report_blocks(fitted.blocks, job.progress)
    calibration, prior = calibrate_logits(job, validation.held_out, fitted.unlabelled)
    tried = {str(ridge): loss for ridge, loss in validation.losses.items()}
    left_out = tried.get(str(validation.inverse_ridge))
    return Trained(
        "quick",
        layers.to_network(fitted.probe),
        layers.architecture,
        calibration,
        f"loss {fitted.loss:.4f}" + (f", {left_out:.4f} at held-out points" if left_out else ""),
        {
            "final_loss": fitted.loss,
            "points_used": len(subsample_points(data.points)),
            "history": [],
            "inverse_ridge": validation.inverse_ridge,
            "left_out_losses": tried,
            "weights": layers.weights,
            "prior": prior,
            **describe_blocks(fitted.blocks),
        },
        held_out=validation.held_out,
    )


def forest(job: Job) -> Trained:
    """Fit a random forest to colour and texture at the points."""
    settings = job.settings
    job.folder.begin(identity(job), resume=False, overwrite=settings.overwrite or settings.resume)
    return fit_trees(job)


def fit_trees(job: Job) -> Trained:
    """Fit the trees of :func:`forest`. The run folder must be prepared."""
    settings, data = job.settings, job.fit_data
    fitted = fit_forest(
        data, replace(job.reader, has_flexible_cells=True), seed=settings.seed, progress=job.progress
    )
    calibration, prior = calibrate_logits(job, fitted.held_out, fitted.unlabelled)
    return Trained(
        "forest",
        inference_graph(forest_graph(fitted.trees, data.normalisation.channels)),
        replace(job.architecture, head="forest"),
        calibration,
        f"{len(fitted.trees)} trees, loss {fitted.loss:.4f}",
        {
            "final_loss": fitted.loss,
            "points_used": len(subsample_points(data.points)),
            "history": [],
            "prior": prior,
            **describe_blocks(fitted.blocks),
        },
        held_out=fitted.held_out,
    )


def bands(job: Job) -> Trained:
    """Fit the head that validation chooses to the bands of rasters of features, pixel by pixel."""
    settings = job.settings
    job.folder.begin(identity(job), resume=False, overwrite=settings.overwrite or settings.resume)
    return fit_bands_head(job)


def fit_bands_head(job: Job) -> Trained:
    """Fit the head of :func:`bands`. The run folder must be prepared."""
    settings, data, say = job.settings, job.fit_data, job.progress.say
    fitted = fit_bands(
        read_band_features(data, seed=settings.seed, progress=job.progress),
        head=settings.head,
        classes=data.classes,
        patch_px=settings.patch,
        seed=settings.seed,
        progress=job.progress,
    )
    report_blocks(fitted.blocks, job.progress)
    for name, (setting, loss) in fitted.losses.items():
        say(f"{name} ({setting}): cross-entropy {loss:.4f} at held-out points.")
    calibration, prior = calibrate_logits(job, fitted.held_out, fitted.unlabelled)
    name = fitted.chosen.head
    left_out = fitted.losses.get(name)
    return Trained(
        "bands",
        inference_graph(fitted.head.band_graph()),
        replace(job.architecture, head=name, extractor="bands"),
        calibration,
        f"head {name} ({fitted.chosen.setting}), loss {fitted.loss:.4f}"
        + (f", {left_out[1]:.4f} at held-out points" if left_out else ""),
        {
            "final_loss": fitted.loss,
            "points_used": len(subsample_points(data.points)),
            "history": [],
            "head": name,
            "head_setting": fitted.chosen.setting,
            "heads_tried": {
                k: {"setting": s, "cross_entropy": loss} for k, (s, loss) in fitted.losses.items()
            },
            "prior": prior,
            **describe_blocks(fitted.blocks),
        },
        held_out=fitted.held_out,
    )


def _feature_cache(job: Job, layers: Layers) -> FeatureCache:
    """Return the cache of these features of these rasters."""
    settings, rasters = job.settings, job.training_data.rasters
    how = f"{layers.key} {job.reader} {job.data.normalisation} {rasters.bands} {rasters.validity}"
    return FeatureCache(
        folder=settings.cache or default_cache(),
        rasters={name: repr(raster_identity(info.path)) for name, info in rasters.infos.items()},
        network=how,
        limit_bytes=int(settings.cache_gib * GIB),
    )


def _report_cache(cache: FeatureCache, progress: Progress) -> None:
    """Report the folder and size of the feature cache, unless it is empty."""
    used = cache.size_bytes()
    if used:
        progress.say(
            f"Features at the points are cached in {cache.folder} for the next training: {used / MIB:,.0f} MiB, "
            f"at most {cache.limit_bytes / GIB:g} GiB. To remove them, run: geoseg cache clear"
        )
