"""Read a model file, optionally with another output stride."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from geoseg.learning.model_file import Model, read_model
from geoseg.workflows.devices import require_torch


def read_model_at_stride(path: Path, output_stride: int | None = None) -> Model:
    """Read a model file.

    Args:
        path: The file.
        output_stride: Output stride in pixels, if different from training: a ResNet trained at 16 can map at 8.

    Raises:
        ModelFileError: The file is missing, damaged, not a model file, or from another version.
        SettingsError: The model cannot map at this output stride, or torch is not installed.
    """
    model = read_model(path)
    architecture = model.record.architecture
    if output_stride is None:
        return model
    wanted = architecture.at_stride(output_stride)
    if wanted == architecture:
        return model
    require_torch("another output stride than that of the training", "--output-stride")
    from geoseg.networks.models.rebuilding import rebuild_network
    from geoseg.networks.prediction.exporting import to_inference_graph

    network = to_inference_graph(rebuild_network(wanted, model.network.tensors), wanted.bands)
    return replace(model, network=network, record=replace(model.record, architecture=wanted))
