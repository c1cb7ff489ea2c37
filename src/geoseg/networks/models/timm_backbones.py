"""Backbones of timm: any convolutional network that it has, by name, with its weights or those of a file."""

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
from geoseg.networks.models.deeplab import BACKBONES, Architecture
from geoseg.networks.models.locality import is_local
from geoseg.networks.models.weights import NO_WEIGHTS_HINT, WeightsReport, check_finite

MAX_STRIDE = 16
"""Stages of coarser strides are left out: a pixel's class depends on what lies near it."""
_MIN_STAGES = 2
_OPTIONS = {"features_only": True}


class TimmStages(nn.Module):
    """The stages of a network of timm's up to stride 16."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the layers read (N, F_i, h_i, w_i) of images (N, B, H, W)."""
        return list(self.network(images))

    def late_parameters(self) -> list[nn.Parameter]:
        """Return the second half of the parameters, in the order of their layers."""
        parameters = list(self.network.parameters())
        return parameters[len(parameters) // 2 :]


def timm_stages(architecture: Architecture, weights: str = "none") -> TimmStages:
    """Build the stages of a network of timm's.

    Args:
        architecture: The backbone's name as timm has it, and the bands.
        weights: "none" (random), "imagenet" (timm's own for the name, downloaded) or a path.

    Raises:
        SettingsError: timm is not installed, has no such network or no weights for it, they cannot be downloaded, or
            the network's features would depend on the window.
        ModelFileError: The weights' file cannot be read.
    """
    name = architecture.backbone
    timm = _timm(name)
    if not timm.is_model(name):
        near = ", ".join(get_close_matches(name, timm.list_models(), 4))
        raise SettingsError(
            "there is no such backbone",
            where="--backbone",
            expected=", ".join(BACKBONES) + " or a name of timm's" + (f", such as {near}" if near else ""),
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
                f"these weights do not fit timm's {name}", where=weights, got=str(error).splitlines()[0]
            ) from error
        raise SettingsError(
            f"timm's weights of {name} are not on this machine and cannot be downloaded",
            where="--weights",
            got=str(error).splitlines()[0],
            hint=NO_WEIGHTS_HINT,
        ) from error


@cache
def _usable_stages(name: str) -> tuple[int, ...]:
    """Return the positions of the stages that are read of a network of timm's.

    Raises:
        SettingsError: It cannot map windows.
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
            raise _unusable(name, "it has no stages to read") from error
        if len(chosen) < _MIN_STAGES:
            raise _unusable(name, f"its stages have strides {', '.join(map(str, strides))}")
        try:
            is_usable = is_local(network)
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            raise _unusable(name, "it does not give features for windows of every size") from error
    if not is_usable:
        why = "its output would depend on the window size (global attention, pooling or normalisation)"
        raise _unusable(name, why)
    return chosen


class SamePadding(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, as it is for images whose sides are multiples of the stride.

    Windows start and end at multiples of 32 px. A padding that is computed from the size of each image would cost
    exporters many minutes, and shift the features of other sizes.
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
    """Return a network of timm's whose convolutions pad every image alike; changed in place."""
    for name, module in list(network.named_modules()):
        if type(module).__name__ == "Conv2dSame":
            network.set_submodule(name, SamePadding(cast(nn.Conv2d, module)))
    return network


def load_timm_weights(network: nn.Module, architecture: Architecture, weights: str) -> WeightsReport:
    """Load weights into a network whose ``backbone`` is one of timm's; its heads stay as they are.

    Raises:
        SettingsError: As :func:`timm_stages`.
        ModelFileError: The file cannot be read, nothing in it fits, or it holds values that are not numbers.
    """
    # timm passes over what does not fit in silence: what is as at random was not found. Only convolutions tell, since
    # statistics and biases start alike.
    fresh, found = (_state_with_fixed_seed(architecture, source) for source in ("none", weights))
    kernels = [name for name, tensor in found.items() if tensor.dim() > 1]
    missing = [name for name in kernels if torch.equal(found[name], fresh[name])]
    if len(missing) == len(kernels):
        raise ModelFileError(f"no tensor in these weights fits timm's {architecture.backbone}", where=weights)
    check_finite(found, weights)
    network.get_submodule("backbone").load_state_dict(found)
    heads = [name for name in network.state_dict() if not name.startswith("backbone.")]
    return WeightsReport(
        source=weights,
        loaded=len(found) - len(missing),
        missing=(*heads, *(f"backbone.{name}" for name in missing)),
        unused=(),
    )


def _state_with_fixed_seed(architecture: Architecture, weights: str) -> dict[str, Tensor]:
    """Return the state of a backbone whose random weights are always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm_stages(architecture, weights).state_dict()


def _timm(name: str) -> Any:
    if find_spec("timm") is None:
        raise SettingsError(
            "there is no such backbone here; others come with timm, which is not installed",
            where="--backbone",
            expected=", ".join(BACKBONES),
            got=name,
            hint="pip install 'geoseg-pointai[timm]'",
        )
    import timm

    return cast(Any, timm)


def _unusable(name: str, why: str) -> SettingsError:
    return SettingsError(
        f"the backbone {name} cannot be used: {why}",
        where="--backbone",
        expected="a convolutional network, such as resnet18, convnext_tiny or regnetx_016",
        got=name,
    )
