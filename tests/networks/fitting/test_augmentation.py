import torch

from geoseg.networks.fitting.augmentation import jitter_colors

PATCHES = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(1))
ALL = torch.ones(6, 4, 4, dtype=torch.bool)


def _vary(patches, valid=ALL, strength=0.2, seed=0):
    return jitter_colors(patches, valid, strength=strength, generator=torch.Generator().manual_seed(seed))


def test_no_strength_changes_nothing():
    assert torch.equal(_vary(PATCHES, strength=0), PATCHES)


def test_pixels_that_are_not_valid_stay_the_mean():
    valid = ALL.clone()
    valid[:, 1:3] = False
    varied = _vary(torch.where(valid[:, None], PATCHES, 0.0), valid)
    assert not varied[:, :, 1:3].any()
    assert (varied[:, :, 0] != PATCHES[:, :, 0]).all()


def test_every_band_of_every_patch_is_scaled_and_shifted_within_the_strength():
    # Contrast 1 +- 0.2 * (0.75 + 0.25), brightness +- 0.2 * (1 + 0.5).
    shift = _vary(torch.zeros(6, 3, 4, 4))
    scale = _vary(torch.ones(6, 3, 4, 4)) - shift
    for change, limit in ((shift, 0.3), (scale - 1, 0.2)):
        assert change.abs().max() <= limit
        assert torch.equal(change, change[..., :1, :1].expand_as(change))
        assert len(change[..., 0, 0].unique()) == 18
    torch.testing.assert_close(_vary(PATCHES), PATCHES * scale + shift)


def test_a_seed_gives_the_same_colors_again():
    assert torch.equal(_vary(PATCHES), _vary(PATCHES))
    assert not torch.equal(_vary(PATCHES), _vary(PATCHES, seed=1))
