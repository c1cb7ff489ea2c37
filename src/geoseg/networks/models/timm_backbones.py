"""Backbones from timm: any of its convolutional networks by name, with its weights or weights from a file."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.errors import ModelFileError, SettingsError
from geoseg.learning.architecture import BACKBONES, Architecture
from geoseg.networks.models.locality import is_local
from geoseg.networks.models.weights import NO_WEIGHTS_HINT, WeightsReport, check_finite

MAX_STRIDE = 16
"""Stages with coarser strides are left out: the class of a pixel depends on its neighbourhood."""
_MIN_STAGES = 2
_OPTIONS = {"features_only": True}


class TimmStages(nn.Module):
    """The stages of a timm network up to stride 16."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the layers used (N, F_i, h_i, w_i) of images (N, B, H, W)."""
        return list(self.network(images))

    def late_parameters(self) -> list[nn.Parameter]:
        """Return the second half of the parameters, in the order of their layers."""
        parameters = list(self.network.parameters())
        return parameters[len(parameters) // 2 :]


def timm_stages(architecture: Architecture, weights: str = "none") -> TimmStages:
    """Build the stages of a timm network.

    Args:
        architecture: Backbone (a name in timm) and bands.
        weights: "none" (random), "imagenet" (timm's pretrained weights, downloaded) or a path.

    Raises:
        SettingsError: timm is not installed, has no such network or no weights for it; the weights cannot be
            downloaded; or the features would depend on the window.
        ModelFileError: The weights file cannot be read.
    """
    name = architecture.backbone
    timm = _timm(name)
    if not timm.is_model(name):
        near = ", ".join(get_close_matches(name, timm.list_models(), 4))
        raise SettingsError(
            "there is no such backbone",
            where="--backbone",
            expected=", ".join(BACKBONES)
            + " or the name of a timm network"
            + (f", such as {near}" if near else ""),
            got=name,
        )
    source: dict[str, Any] = {"pretrained": weights != "none"}
    if weights not in ("none", "imagenet"):
        if not Path(weights).is_file():
            raise ModelFileError("no such weights file", where=weights, hint=NO_WEIGHTS_HINT)
        source["pretrained_cfg_overlay"] = {"file": weights}
    options = {**_OPTIONS, "out_indices": _usable_stages(name), "in_chans": architecture.backbone_bands}
    try:
        return TimmStages(_with_fixed_padding(timm.create_model(name, **options, **source)).eval())
    except (OSError, RuntimeError, ValueError) as error:
        if weights not in ("none", "imagenet"):
            raise ModelFileError(
                f"these weights do not fit the timm network {name}",
                where=weights,
                got=str(error).splitlines()[0],
            ) from error
        raise SettingsError(
            f"the timm weights of {name} are not on this machine and cannot be downloaded",
            where="--weights",
            got=str(error).splitlines()[0],
            hint=NO_WEIGHTS_HINT,
        ) from error


@cache
def _usable_stages(name: str) -> tuple[int, ...]:
    """Return the indices of the stages of a timm network that are used.

    Raises:
        SettingsError: The network cannot map windows.
    """
    timm = _timm(name)
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            strides = timm.create_model(name, **_OPTIONS).feature_info.reduction()
            chosen = tuple(n for n, stride in enumerate(strides) if stride <= MAX_STRIDE)
            network = timm.create_model(name, **_OPTIONS, out_indices=chosen)
        except (
            AttributeError,
            AssertionError,
            IndexError,
            KeyError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            raise _unusable_backbone_error(name, "it does not return intermediate stages") from error
        if len(chosen) < _MIN_STAGES:
            raise _unusable_backbone_error(name, f"its stages have strides {', '.join(map(str, strides))}")
        try:
            is_usable = is_local(network)
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            raise _unusable_backbone_error(name, "it does not accept windows of every size") from error
    if not is_usable:
        why = "its output would depend on the window size (global attention, pooling or normalisation)"
        raise _unusable_backbone_error(name, why)
    return chosen


class SamePadding(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding for image sides that are multiples of the stride.

    Windows start and end at multiples of 32 px. Padding computed from the image size would make exports take many
    minutes, and would shift the features of images of other sizes.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__(
            convolution.in_channels,
            convolution.out_channels,
            cast(tuple[int, int], convolution.kernel_size),
            stride=cast(tuple[int, int], convolution.stride),
            dilation=cast(tuple[int, int], convolution.dilation),
            groups=convolution.groups,
            bias=convolution.bias is not None,
        )
        self.weight, self.bias = convolution.weight, convolution.bias

    def forward(self, images: Tensor) -> Tensor:
        """Return the convolution of images padded with zeros."""
        sides = zip(self.kernel_size, self.stride, self.dilation, strict=True)
        sums = [max((kernel - 1) * dilation + 1 - stride, 0) for kernel, stride, dilation in sides]
        around = [side for total in reversed(sums) for side in (total // 2, total - total // 2)]
        return super().forward(functional.pad(images, around))


def _with_fixed_padding(network: nn.Module) -> nn.Module:
    """Replace timm's size-dependent "same" padding by a fixed padding, in place; return the network."""
    for name, module in list(network.named_modules()):
        if type(module).__name__ == "Conv2dSame":
            network.set_submodule(name, SamePadding(cast(nn.Conv2d, module)))
    return network


def load_timm_weights(network: nn.Module, architecture: Architecture, weights: str) -> WeightsReport:
    """Load weights into the timm ``backbone`` of a network; the heads are unchanged.

    Raises:
        SettingsError: As :func:`timm_stages`.
        ModelFileError: The file cannot be read, no tensor in it fits, or it holds values that are not finite.
    """
    # timm silently ignores tensors that do not fit: a convolution that changes with the seed was not found.
    # Statistics and biases start with constants, so only convolutions are compared.
    found, again = (_state_with_fixed_seed(architecture, weights, seed) for seed in (0, 1))
    kernels = [name for name, tensor in found.items() if tensor.dim() > 1]
    missing = [name for name in kernels if not torch.equal(found[name], again[name])]
    if len(missing) == len(kernels):
        raise ModelFileError(
            f"no tensor in these weights fits the timm network {architecture.backbone}", where=weights
        )
    check_finite(found, weights)
    network.get_submodule("backbone").load_state_dict(found)
    heads = [name for name in network.state_dict() if not name.startswith("backbone.")]
    return WeightsReport(
        source=weights,
        loaded=len(found) - len(missing),
        missing=(*heads, *(f"backbone.{name}" for name in missing)),
        unused=(),
    )


def _state_with_fixed_seed(architecture: Architecture, weights: str, seed: int) -> dict[str, Tensor]:
    """Return the state dict of a backbone whose tensors without weights start from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return timm_stages(architecture, weights).state_dict()


def _timm(name: str) -> Any:
    if find_spec("timm") is None:
        raise SettingsError(
            "unknown backbone; more backbones are available with timm, which is not installed",
            where="--backbone",
            expected=", ".join(BACKBONES),
            got=name,
            hint="pip install 'geoseg-pointai[timm]'",
        )
    import timm

    return cast(Any, timm)


def _unusable_backbone_error(name: str, why: str) -> SettingsError:
    return SettingsError(
        f"the backbone {name} cannot be used: {why}",
        where="--backbone",
        expected="a convolutional network, such as resnet18, convnext_tiny or regnetx_016",
        got=name,
    )
