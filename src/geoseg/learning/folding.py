"""Batch norms written into the convolutions before them, for networks that no longer learn."""

from __future__ import annotations

import copy
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Return the network with each batch norm folded into the convolution before it; its answers stay the same.

    A batch norm that keeps its statistics is a scale and a shift for each channel, which a convolution can give as well
    (Jacob et al., 2018, section 3.2). That saves a pass over the features and a copy of them.

    Args:
        network: A network whose batch norms follow, in the order of their modules, the convolutions that feed them;
            what may stand between the two in the computation is averaging. It stays as it is, wherever the folded one
            is moved to; weights that do not change share their memory.
    """
    shared: dict[int, Tensor] = {id(p): nn.Parameter(p.detach(), False) for p in network.parameters()}
    shared |= {id(buffer): buffer.detach() for buffer in network.buffers()}
    folded = copy.deepcopy(network, shared)
    for parent in list(folded.modules()):
        for (_, convolution), (name, norm) in pairwise(parent.named_children()):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                _fold(convolution, norm)
                setattr(parent, name, nn.Identity())
    return folded.eval()


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
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
