"""Frozen features of torch networks, for the recipe quick."""

from __future__ import annotations

import torch

from geoseg.learning.architecture import Architecture
from geoseg.learning.heads.logistic import Probe
from geoseg.learning.model_file import InferenceGraph
from geoseg.networks.features.extractors import TorchExtractor, digest
from geoseg.networks.models.hypercolumns import build_layer_network
from geoseg.networks.prediction.exporting import to_inference_graph
from geoseg.workflows.training.initial_weights import load_initial_weights
from geoseg.workflows.training.job import Job, Layers


def load_network_layers(job: Job, architecture: Architecture) -> Layers:
    """Build the network of the recipe quick, load its weights, and return its layers."""
    torch.manual_seed(job.settings.seed)
    network = build_layer_network(architecture)
    report = load_initial_weights(network, architecture, job.settings.network, progress=job.progress)
    network.to(torch.device(job.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    is_bf16 = job.precision == "bf16"

    def to_network(probe: Probe) -> InferenceGraph:
        network.write(probe)
        return to_inference_graph(network, architecture.bands)

    return Layers(
        architecture,
        report.describe(),
        TorchExtractor(network.features, job.device, is_bf16),
        f"{digest(network.backbone)} {architecture} {is_bf16}",
        to_network,
    )
