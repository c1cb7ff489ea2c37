"""Fold batch norms into the preceding convolutions, for inference."""

from __future__ import annotations

import copy
import logging

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from geoseg.networks.models.hypercolumns import LayerNetwork
from geoseg.networks.prediction.tracing import find_foldable_norms

LOG = logging.getLogger("geoseg.model")
_CHECK_PX = 64
_TOLERANCE = 1e-3


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Return a copy of the network with each batch norm folded into the convolution that feeds it.

    In evaluation mode a batch norm is a scale and a shift per channel, which the convolution can include (Jacob et
    al., 2018, section 3.2). Folding saves a pass over the features and a copy of them. The output of the copy is
    compared with that of the network on random input. If they differ, a warning is logged and nothing is folded.

    Args:
        network: The network, from images (N, B, H, W) to a tensor. It is not changed, even if the copy is moved to
            another device; unchanged weights share memory.
    """
    plain = _copy(network)
    if not {nn.Conv2d, nn.BatchNorm2d} <= {base for module in plain.modules() for base in type(module).mro()}:
        return plain
    images = torch.randn(1, _bands(plain), _CHECK_PX, _CHECK_PX, generator=torch.Generator().manual_seed(0))
    expected, pairs = find_foldable_norms(plain, images)
    if not pairs:
        return plain
    folded = _copy(network)
    names = {module: name for name, module in plain.named_modules()}
    for norm, convolution in pairs.items():
        _fold(folded, names[convolution], names[norm])
    with torch.no_grad():
        found = folded(images)
    if _is_same(found, expected):
        return folded
    LOG.warning("Batch norms were not folded into convolutions: the output would change. Mapping is slower.")
    return plain


def _bands(network: nn.Module) -> int:
    """Return the number of input bands of a network, if necessary from its first convolution."""
    if isinstance(network, LayerNetwork):
        return network.bands
    return next(m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d))


def _copy(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode that shares the weights' memory."""
    shared: dict[int, Tensor] = {id(p): nn.Parameter(p.detach(), False) for p in network.parameters()}
    shared |= {id(buffer): buffer.detach() for buffer in network.buffers()}
    return copy.deepcopy(network, shared).eval()


def _fold(network: nn.Module, convolution_name: str, norm_name: str) -> None:
    convolution, norm = network.get_submodule(convolution_name), network.get_submodule(norm_name)
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight,
        convolution.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    names = [name for name, module in network.named_modules(remove_duplicate=False) if module is norm]
    for name in names:
        network.set_submodule(name, _activation_after(norm))


def _activation_after(norm: nn.BatchNorm2d) -> nn.Module:
    """Return the layers that a batch norm applies after the normalisation: timm's norms include an activation."""
    inside = dict(norm.named_children())
    return nn.Sequential(*(inside[name] for name in ("drop", "act") if name in inside))


def _is_same(found: Tensor, expected: Tensor) -> bool:
    spread = (expected - expected.mean()).abs().max()
    return bool((found - expected).abs().max() <= _TOLERANCE * spread + 1e-5 * expected.abs().max())
