"""Check that a backbone and its pretrained weights are available, before any raster is read."""

from __future__ import annotations

from geoseg.networks.models.deeplab import BACKBONES, COLORS, Architecture
from geoseg.networks.models.timm_backbones import timm_stages
from geoseg.networks.models.weights import read_weights


def check_weights(weights: str, backbone: str) -> None:
    """Check that a backbone and its weights are available; named weights are downloaded.

    Args:
        weights: "imagenet", "coco", "none" or a path.
        backbone: One of ``BACKBONES`` or the name of a timm network.

    Raises:
        SettingsError: There is no such backbone, or the named weights cannot be downloaded.
        ModelFileError: The weights file is missing or cannot be read.
    """
    if backbone not in BACKBONES:
        timm_stages(Architecture(backbone, COLORS, head="linear"), weights)
    elif weights != "none":
        read_weights(weights, backbone)
