"""Load the weights that a training starts from."""

from __future__ import annotations

from torch import nn

from geoseg.domain.ports import Progress
from geoseg.learning.architecture import BACKBONES, LIGHT_BACKBONE, Architecture
from geoseg.networks.models.light_stages import load_bundled_weights
from geoseg.networks.models.stage_initialisation import init_identity_blocks
from geoseg.networks.models.stem_initialisation import init_stem
from geoseg.networks.models.timm_backbones import load_timm_weights
from geoseg.networks.models.weights import WeightsReport, load_weights
from geoseg.settings.training import Network


def load_initial_weights(
    network: nn.Module, architecture: Architecture, start: Network, *, progress: Progress
) -> WeightsReport:
    """Load the weights, and initialise layers without weights so that they change little at the start.

    Args:
        network: The network; changed in place.
        architecture: Its architecture.
        start: The backbone, and where its weights come from.
        progress: Told what was loaded.
    """
    backbone, weights = start
    if weights == "bundled":
        report = load_bundled_weights(network, architecture.backbone_bands)
    elif backbone in BACKBONES or weights == "none":
        report = load_weights(network, weights, backbone)
    else:
        report = load_timm_weights(network, architecture, weights)
    progress.say(report.describe())
    if backbone != LIGHT_BACKBONE:
        init_stem(network, report.missing)
        init_identity_blocks(network, report.missing)
    return report
