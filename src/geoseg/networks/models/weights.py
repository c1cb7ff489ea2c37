"""Pretrained weights: download by name or read from a file without running code, and load into a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from geoseg.errors import ModelFileError, SettingsError
from geoseg.inference.graphs.light_backbone import adapt_first_convolution

_IMAGENET = {
    "resnet50": "ResNet50_Weights.IMAGENET1K_V2",
    "resnet101": "ResNet101_Weights.IMAGENET1K_V2",
    "mobilenet_v3_large": "MobileNet_V3_Large_Weights.IMAGENET1K_V2",
}
_COCO = {
    "resnet50": "DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
    "resnet101": "DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1",
    "mobilenet_v3_large": "DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1",
}
CHOICES = 'one of "bundled", "imagenet", "coco", "none", or the path of a .safetensors or .pth file'
NO_WEIGHTS_HINT = (
    "Leave out --backbone and --weights: quick, deep and auto then use the bundled weights. Or use --recipe forest, which "
    "needs none; or give a file with --weights FILE; or start from random weights "
    "with --weights none."
)
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.")


@dataclass(frozen=True)
class WeightsReport:
    """Result of loading weights.

    Attributes:
        source: "imagenet", "coco", "none" or a path.
        loaded: Number of tensors loaded.
        missing: Names of the network's tensors that keep random values.
        unused: Names of the file's tensors that the network lacks or has in another shape.
        overflowed: Number of float16 tensors with infinite values, which were set to the largest float16.
    """

    source: str
    loaded: int
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    overflowed: int = 0

    def describe(self) -> str:
        """Return a one-line summary for users."""
        if not self.loaded:
            return f"Weights: {self.source}; all parameters start at random."
        missing = [n for n in self.missing if n.startswith("backbone.")]
        text = f"Weights: {self.source}, {self.loaded} tensors"
        if missing:
            text += f"; {len(missing)} of the backbone not found, start at random: {_shorten(missing)}"
        if self.overflowed:
            text += f"; {self.overflowed} tensors had overflowed values"
        return text + (f"; {len(self.unused)} not used." if self.unused else ".")


def load_weights(network: nn.Module, weights: str, backbone: str) -> WeightsReport:
    """Load pretrained weights into ``network``; partial state dicts are accepted and reported.

    Args:
        network: The network; changed in place.
        weights: "imagenet", "coco", "none" or a path.
        backbone: Name of the network's backbone.

    Raises:
        SettingsError: The named weights cannot be downloaded.
        ModelFileError: The file cannot be read without running code, no tensor fits, or it holds values that are not
            finite.
    """
    if weights == "none":
        return WeightsReport("none", 0, tuple(network.state_dict()), ())
    state = {_canonical_name(n): t for n, t in read_weights(weights, backbone).items()}
    own = network.state_dict()
    overflowed = [n for n in state.keys() & own.keys() if _has_overflowed(state[n])]
    state |= {n: _clamp_overflow(state[n]) for n in overflowed}
    first = _first_convolution(network)
    if first in state and state[first].shape[2:] == own[first].shape[2:]:
        adapted = adapt_first_convolution(state[first].float().numpy(), own[first].shape[1])
        state[first] = torch.from_numpy(adapted)
    fitting = {n: t for n, t in state.items() if n in own and t.shape == own[n].shape}
    if not any(n.startswith("backbone.") for n in fitting):
        raise ModelFileError(
            f"no tensor in these weights fits a {backbone}",
            where=weights,
            expected="parameters named as torchvision names them",
            got=_shorten(list(state)),
        )
    check_finite(fitting, weights)
    network.load_state_dict({n: t.to(own[n].dtype) for n, t in fitting.items()}, strict=False)
    missing = tuple(n for n in own if n not in fitting and not n.endswith("num_batches_tracked"))
    return WeightsReport(
        source=weights,
        loaded=len(fitting),
        missing=missing,
        unused=tuple(n for n in state if n not in fitting),
        overflowed=len(overflowed),
    )


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a .safetensors or .pth file without unpickling code.

    Raises:
        ModelFileError: The file is missing, damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise ModelFileError("no such weights file", where=path, expected=CHOICES, hint=NO_WEIGHTS_HINT)
    try:
        if path.suffix in (".safetensors", ".geoseg"):
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelFileError("the weights file is damaged", where=path, got=_first_line(error)) from error
    except Exception as error:  # torch raises pickle.UnpicklingError, which would need an import of pickle
        raise ModelFileError(
            "the weights file holds more than tensors and was not unpickled",
            where=path,
            expected="a state dict",
            hint="Save it as .safetensors, or torch.save(model.state_dict()).",
        ) from error
    return _tensors(content, path)


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    found = (
        {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    if not found:
        raise ModelFileError("no tensors in the weights file", where=path, expected="a state dict")
    return found


def read_weights(weights: str, backbone: str) -> dict[str, Tensor]:
    """Return the tensors of named weights (downloaded if needed) or of a file.

    Raises:
        SettingsError: The named weights cannot be downloaded.
        ModelFileError: The file is missing or cannot be read without running code.
    """
    names = {"imagenet": _IMAGENET, "coco": _COCO}.get(weights)
    if names is None:
        return read_state_dict(Path(weights))
    from torchvision.models import get_weight  # takes seconds to import

    try:
        found = get_weight(names[backbone]).get_state_dict(progress=False, check_hash=True, weights_only=True)
        return cast(dict[str, Tensor], found)
    except (OSError, RuntimeError) as error:
        raise SettingsError(
            f"the weights {weights!r} are not on this machine and cannot be downloaded",
            where="--weights",
            expected=CHOICES,
            got=_first_line(error),
            hint=NO_WEIGHTS_HINT,
        ) from error


def _canonical_name(name: str) -> str:
    """Return a parameter name as ``backbone.*`` or ``classifier.*``, without the prefixes of wrappers."""
    while name.startswith(_PREFIXES):
        name = name.split(".", 1)[1]
    if name.startswith(("backbone.", "classifier.", "aux_classifier.")):
        return name
    return "backbone." + name.removeprefix("features.")


def _has_overflowed(tensor: Tensor) -> bool:
    """Return whether a value overflowed float16, as variances of He et al.'s weights do."""
    return tensor.dtype == torch.float16 and bool(tensor.isinf().any())


def _clamp_overflow(tensor: Tensor) -> Tensor:
    largest = torch.finfo(torch.float16).max
    return tensor.clamp(-largest, largest)


def check_finite(state: Mapping[str, Tensor], where: str) -> None:
    """Check that all weights are finite.

    Raises:
        ModelFileError: A weight is infinite or NaN.
    """
    bad = [n for n, t in state.items() if t.is_floating_point() and not bool(t.isfinite().all())]
    if bad:
        raise ModelFileError(
            "the weights hold values that are infinite or NaN",
            where=where,
            expected="finite values",
            got=_shorten(bad),
        )


def _first_convolution(network: nn.Module) -> str:
    return next(f"{n}.weight" for n, m in network.named_modules() if isinstance(m, nn.Conv2d))


def _shorten(names: list[str], count: int = 4) -> str:
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
