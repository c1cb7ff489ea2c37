"""Check that a backbone and its pretrained weights are available, before any raster is read."""

from __future__ import annotations

from geoseg.errors import SettingsError
from geoseg.learning.architecture import BACKBONES, COLORS, LIGHT_BACKBONE, Architecture
from geoseg.networks.models.timm_backbones import timm_stages
from geoseg.networks.models.weights import read_weights


def check_weights(weights: str, backbone: str) -> None:
    """Check that a backbone and its weights are available; named weights are downloaded.

    Args:
        weights: "bundled", "imagenet", "coco", "none" or a path.
        backbone: ``LIGHT_BACKBONE``, one of ``BACKBONES`` or the name of a timm network.

    Raises:
        SettingsError: There is no such backbone, or the named weights cannot be downloaded.
        ModelFileError: The weights file is missing or cannot be read.
    """
    if backbone == LIGHT_BACKBONE:
        _check_light(weights)
    elif weights == "bundled":
        raise SettingsError(
            f"the weights of {backbone} are not bundled",
            where="--weights",
            expected=f"imagenet, none or a file; bundled are those of {LIGHT_BACKBONE}",
            got=weights,
        )
    elif backbone not in BACKBONES:
        timm_stages(Architecture(backbone, COLORS, head="linear"), weights)
    elif weights != "none":
        read_weights(weights, backbone)


def _check_light(weights: str) -> None:
    if weights not in ("bundled", "none"):
        raise SettingsError(
            f"{LIGHT_BACKBONE} has the weights of this package",
            where="--weights",
            expected="bundled or none",
            got=weights,
            hint="For weights of a file, name their network with --backbone, such as resnet50.",
        )
