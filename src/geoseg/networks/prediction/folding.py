"""Batch norms written into the convolutions before them, for networks that no longer learn."""

from __future__ import annotations

import copy
import logging

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from geoseg.networks.models.hypercolumns import LayerNetwork
from geoseg.networks.prediction.tracing import norms_fed_by_convolutions

LOG = logging.getLogger("geoseg.model")
_PROOF_PX = 64
_TOLERANCE = 1e-3


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Return a copy of the network with each batch norm folded into the convolution that feeds it.

    In evaluation a batch norm is a scale and a shift for each channel, which a convolution can give as well (Jacob et
    al., 2018, section 3.2). Folding saves a pass over the features and a copy of them. The copy is compared with the
    network on random input; if its output differs, the log says so and the copy keeps its batch norms.

    Args:
        network: The network, from images (N, B, H, W) to a tensor. It stays unchanged wherever the copy is moved to;
            weights that do not change share their memory.
    """
    plain = _copy(network)
    if not {nn.Conv2d, nn.BatchNorm2d} <= {base for module in plain.modules() for base in type(module).mro()}:
        return plain
    images = torch.randn(1, _bands(plain), _PROOF_PX, _PROOF_PX, generator=torch.Generator().manual_seed(0))
    expected, pairs = norms_fed_by_convolutions(plain, images)
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
    """Return how many bands a network takes: its own number, or that of its first convolution."""
    if isinstance(network, LayerNetwork):
        return network.bands
    return next(m.in_channels for m in network.modules() if isinstance(m, nn.Conv2d))


def _copy(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode that shares the memory of the weights."""
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
        network.set_submodule(name, _behind(norm))


def _behind(norm: nn.BatchNorm2d) -> nn.Module:
    """Return what a batch norm applies after it has normalised: timm's has an activation inside."""
    inside = dict(norm.named_children())
    return nn.Sequential(*(inside[name] for name in ("drop", "act") if name in inside))


def _is_same(found: Tensor, expected: Tensor) -> bool:
    spread = (expected - expected.mean()).abs().max()
    return bool((found - expected).abs().max() <= _TOLERANCE * spread + 1e-5 * expected.abs().max())
