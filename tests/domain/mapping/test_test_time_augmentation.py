from __future__ import annotations

import numpy as np
import pytest

from geoseg.domain.mapping.test_time_augmentation import AugmentedPredictor


class Leaning:
    """Says class 1 as sure as a pixel is bright, and the more so the farther south and east it lies."""

    classes = 2

    def __init__(self, lean: float) -> None:
        self.lean, self.shapes = lean, []

    def probabilities(self, pixels, valid):
        self.shapes.append(pixels.shape)
        h, w = pixels.shape[-2:]
        rows, cols = np.mgrid[:h, :w]
        one = pixels[:, 0] + self.lean * (rows + cols) * valid
        return np.stack([1 - one, one], axis=1).astype(np.float32)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).random((2, 3, 4, 6), dtype=np.float32)


def test_a_predictor_that_knows_no_direction_says_the_same(pixels):
    plain, valid = Leaning(0.0), np.ones((2, 4, 6), bool)
    np.testing.assert_allclose(
        AugmentedPredictor(plain).probabilities(pixels, valid), plain.probabilities(pixels, valid), atol=1e-6
    )


def test_what_hangs_on_the_direction_cancels_out(pixels):
    found = AugmentedPredictor(Leaning(0.01)).probabilities(pixels, np.ones((2, 4, 6), bool))
    # A lean to the south east is on average the same everywhere: half of the way from corner to corner.
    np.testing.assert_allclose(found[:, 1], pixels[:, 0] + 0.01 * (3 + 5) / 2, atol=1e-6)


def test_validity_turns_with_the_pixels(pixels):
    valid = np.ones((2, 4, 6), bool)
    valid[:, :, :3] = False
    found = AugmentedPredictor(Leaning(0.01)).probabilities(pixels, valid)
    np.testing.assert_allclose(found[:, 1][~valid], pixels[:, 0][~valid], atol=1e-6)
    assert (found[:, 1][valid] > pixels[:, 0][valid]).all()


def test_each_symmetry_is_asked_once(pixels):
    leaning = Leaning(0.0)
    assert AugmentedPredictor(leaning).classes == 2
    AugmentedPredictor(leaning).probabilities(pixels, np.ones((2, 4, 6), bool))
    assert len(leaning.shapes) == 8
    assert leaning.shapes.count((2, 3, 6, 4)) == 4
