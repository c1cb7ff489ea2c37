import torch
from torch.nn import functional

from geoseg.networks.losses.point_sampling import read_at_points


def test_reading_at_pixel_centres_equals_bilinear_upsampling():
    features = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    full = functional.interpolate(features, (33, 19), mode="bilinear", align_corners=False)
    index, row, col = (g.reshape(-1) for g in torch.meshgrid(*map(torch.arange, (2, 33, 19)), indexing="ij"))
    read = read_at_points(features, index=index, row=row, col=col, size=(33, 19))
    torch.testing.assert_close(read, full[index, :, row, col])


def test_reading_between_pixels_equals_grid_sample_with_border_padding():
    features = torch.randn(1, 2, 4, 6, dtype=torch.float64)
    row, col = torch.rand(50, dtype=torch.float64) * 20 - 0.5, torch.rand(50, dtype=torch.float64) * 30 - 0.5
    grid = torch.stack([(2 * col + 1) / 30 - 1, (2 * row + 1) / 20 - 1], dim=-1)[None, None]
    expected = functional.grid_sample(features, grid, align_corners=False, padding_mode="border")[0, :, 0].T
    read = read_at_points(features, index=torch.zeros(50, dtype=torch.long), row=row, col=col, size=(20, 30))
    torch.testing.assert_close(read, expected)


def test_a_value_between_four_cells_is_their_mean():
    features = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    middle = torch.tensor([1.5])
    assert (
        read_at_points(features, index=torch.tensor([0]), row=middle, col=middle, size=(4, 4)).item() == 3.0
    )


def test_the_memory_format_does_not_matter():
    features = torch.randn(2, 8, 4, 4)
    index, place = torch.tensor([0, 1, 1]), torch.tensor([0.0, 7.3, 15.0])
    plain = read_at_points(features, index=index, row=place, col=place, size=(16, 16))
    last = features.to(memory_format=torch.channels_last)
    assert torch.equal(read_at_points(last, index=index, row=place, col=place, size=(16, 16)), plain)
