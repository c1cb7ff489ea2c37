import pytest
import torch
from torch import nn

from geoseg.networks.models.locality import is_local


class _Stages(nn.Module):
    """A stride of 4, a convolution that is given, and a residual branch that starts at zero."""

    def __init__(self, part, kernel=3):
        super().__init__()
        self.start = nn.Conv2d(3, 8, 4, stride=4)
        self.part = part
        self.last = nn.Conv2d(8, 8, kernel, padding=kernel // 2)
        self.scale = nn.Parameter(torch.full((8, 1, 1), 1e-6))

    def forward(self, images):
        features = self.start(images)
        return [features, features + self.scale * self.last(self.part(features).relu())]


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, features):
        return self.function(features)


def _is_local(network):
    torch.manual_seed(0)
    return is_local(network)


@pytest.mark.parametrize(
    "part",
    [
        nn.BatchNorm2d(8),
        nn.Sequential(nn.Conv2d(8, 8, 3, padding=6, dilation=6), nn.BatchNorm2d(8)),
        _Function(lambda x: nn.functional.layer_norm(x.permute(0, 2, 3, 1), (8,)).permute(0, 3, 1, 2)),
        _Function(lambda x: nn.functional.avg_pool2d(x, 5, 1, 2)),
    ],
)
def test_features_of_convolutions_batch_norms_and_norms_over_channels_are_local(part):
    assert _is_local(_Stages(part))


@pytest.mark.parametrize(
    "part",
    [
        nn.GroupNorm(2, 8),
        nn.InstanceNorm2d(8),
        nn.BatchNorm2d(8, track_running_stats=False),
        _Function(lambda x: x * x.mean((2, 3), keepdim=True).sigmoid()),
        _Function(lambda x: x * x.amax((2, 3), keepdim=True)),
        _Function(lambda x: x / x.square().mean((2, 3), keepdim=True).add(1e-6).sqrt()),
        _Function(lambda x: x + torch.linspace(0, 1, x.shape[-1])),
        _Function(lambda x: x + (torch.arange(x.shape[-1]) // 6 % 2)),
    ],
)
def test_what_looks_at_the_whole_window_is_found_behind_a_branch_that_starts_at_zero(part):
    assert not _is_local(_Stages(part))


def test_a_network_may_see_further_than_the_distance_compared():
    # 20 kernels of 31 cells of 4 px see 1,200 px to each side, mostly the middle of that.
    far = nn.Sequential(*(nn.Conv2d(8, 8, 31, padding=15, groups=8) for _ in range(20)))
    assert _is_local(_Stages(far))


def test_features_that_are_not_aligned_with_the_pixels_are_refused():
    with pytest.raises(ValueError, match="not aligned"):
        _is_local(nn.Sequential(nn.Conv2d(3, 8, 3), _Function(lambda x: [x])))


def test_a_weak_look_at_the_window_is_found_although_its_kernels_start_near_zero():
    faint = nn.Sequential(nn.Conv2d(8, 8, 1), _Function(lambda x: x + x.mean((2, 3), keepdim=True) ** 2))
    nn.init.normal_(faint[0].weight, 0, 1e-4)
    assert not _is_local(_Stages(faint))
