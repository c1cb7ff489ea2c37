"""Models of six classes that nothing real was learnt from; they take as long as trained ones."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from invented.rasters import write_raster

from geoseg.domain.legend import legend_from_names
from geoseg.domain.points import Points, make_points
from geoseg.domain.ports import NullProgress
from geoseg.domain.windows import Window
from geoseg.geodata.reading.rasters import Raster, open_raster
from geoseg.inference.graphs.builder import IMAGES, GraphBuilder, add_upsampling
from geoseg.inference.graphs.layers import LayerPlan, linear_graph
from geoseg.inference.graphs.trees import forest_graph
from geoseg.learning.architecture import LIGHT_BACKBONE, Architecture
from geoseg.learning.features.reading import FitData, Reader, context_around
from geoseg.learning.heads.forest import fit_forest
from geoseg.learning.model_file import InferenceGraph, Model, ModelRecord, inference_graph
from geoseg.learning.normalisation import Normalisation

LEGEND = legend_from_names(["background", "building", "road", "bare land", "forest", "water"])
CLASSES, BANDS, PATCH_PX = len(LEGEND), 3, 256
CONTEXT_PX = 64
"""Measured context of models of the recipe quick."""
NORMALISATION = Normalisation((120.0,) * BANDS, (50.0,) * BANDS)
FOREST_SIDE_PX = 1024
FOREST_POINTS = 4000
WRONG_SHARE = 0.2
"""Share of the forest's points with a random class; without them, its trees would be small."""


def quick() -> Model:
    """Return a model of the recipe quick with its default settings: bundled backbone, two scales, random head."""
    plan = LayerPlan(channels=BANDS, backbone_bands=BANDS, scales=(1, 2), has_texture=False)
    weight = np.random.default_rng(0).normal(0, 0.05, (CLASSES, sum(plan.counts))).astype(np.float32)
    graph = linear_graph(plan, weight, np.zeros(CLASSES, np.float32))
    architecture = Architecture(LIGHT_BACKBONE, BANDS, CLASSES, head="linear", scales=plan.scales)
    return as_model("quick", inference_graph(graph), architecture)


def forest() -> Model:
    """Return a model of the recipe forest, fitted to points on an invented raster."""
    with TemporaryDirectory() as folder:
        raster = write_raster(Path(folder) / "raster.tif", FOREST_SIDE_PX)
        with open_raster(raster) as source:
            data = FitData({"raster": source}, _points_by_color(source), NORMALISATION, CLASSES)
            reader = Reader(PATCH_PX, context_around(PATCH_PX), batch=1)
            fitted = fit_forest(data, reader, seed=0, progress=NullProgress())
    graph = inference_graph(forest_graph(fitted.trees, BANDS))
    return as_model("forest", graph, Architecture(LIGHT_BACKBONE, BANDS, CLASSES, head="forest"))


def resnet50(*, output_stride: int = 8) -> Model:
    """Return DeepLabV3-ResNet50 with random weights. It needs torch."""
    import torch

    from geoseg.networks.models.deeplab import build_network
    from geoseg.networks.prediction.exporting import to_inference_graph

    torch.manual_seed(0)
    architecture = resnet50_architecture(output_stride)
    return as_model("pfce", to_inference_graph(build_network(architecture), BANDS), architecture)


def resnet50_architecture(output_stride: int) -> Architecture:
    """Return the architecture of :func:`resnet50`."""
    return Architecture("resnet50", BANDS, CLASSES, PATCH_PX, output_stride)


def one_convolution() -> Model:
    """Return the cheapest model that has logits: one convolution at an eighth of the resolution."""
    builder = GraphBuilder()
    weight = np.random.default_rng(0).normal(size=(CLASSES, BANDS, 1, 1)).astype(np.float32)
    coarse = builder.add("AveragePool", IMAGES, kernel_shape=(8, 8), strides=(8, 8))
    scores = builder.add("Conv", coarse, builder.tensor("weight", weight), kernel_shape=(1, 1))
    graph = builder.build({"logits": add_upsampling(builder, scores, IMAGES)}, channels=BANDS)
    return as_model(
        "quick", inference_graph(graph), Architecture(LIGHT_BACKBONE, BANDS, CLASSES, head="linear")
    )


def as_model(recipe: str, network: InferenceGraph, architecture: Architecture) -> Model:
    """Return a network with a record, as training leaves it."""
    record = ModelRecord(
        recipe,
        architecture,
        LEGEND,
        bands=(1, 2, 3),
        dtype="uint8",
        normalisation=NORMALISATION,
        resolution_m=0.5,
        training={},
        context_px=CONTEXT_PX,
    )
    return Model(network, record)


def _points_by_color(source: Raster) -> Points:
    """Return random points: their class is the brightest band and whether the pixel is bright, but for some."""
    pixels, _ = source.read(Window(0, 0, source.height, source.width))
    rng = np.random.default_rng(0)
    row, col = rng.integers(source.height, size=(2, FOREST_POINTS))
    colors = pixels[:, row, col]
    is_bright = colors.sum(axis=0) > np.median(colors.sum(axis=0))
    labels = colors.argmax(axis=0) + BANDS * is_bright
    is_wrong = rng.random(FOREST_POINTS) < WRONG_SHARE
    labels[is_wrong] = rng.integers(CLASSES, size=is_wrong.sum())
    return make_points("raster", row.astype(np.float64), col.astype(np.float64), labels)
