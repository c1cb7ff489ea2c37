import math

import pytest
import torch

from geoseg.networks.losses.affinity import gated_crf


def _row(*values):
    return torch.tensor(values)[None, None, None]


def _energy(first, colors, valid=None, **options):
    probabilities = torch.cat([first, 1 - first], dim=1)
    valid = torch.ones_like(first[:, 0], dtype=torch.bool) if valid is None else valid
    return gated_crf(probabilities, colors, valid, **options).item()


def test_two_neighbours_cost_what_their_probabilities_disagree():
    # Each of the two pixels has the other as its one neighbour; they disagree by 1 - (0.9 * 0.2 + 0.1 * 0.8).
    kernel = math.exp(-1 / 2 - 0.3**2 / 2)
    found = _energy(_row(0.9, 0.2), _row(0.0, 0.3), reach=1, place=1.0, color=1.0)
    assert found == pytest.approx(0.74 * kernel)


def test_pairs_weigh_by_distance_and_colour():
    far, last = math.exp(-4 / 2 - 1.0**2 / 2), math.exp(-1 / 2 - 0.5**2 / 2)
    # Of three pixels, 0 and 1 agree and 2 is of the other class: two pairs disagree, each seen from both its ends.
    found = _energy(_row(1.0, 1.0, 0.0), _row(0.0, 0.5, 1.0), reach=2, place=1.0, color=1.0)
    assert found == pytest.approx(2 * (far + last) / 3)


def test_pixels_that_differ_from_all_around_them_count_as_those_that_do_not():
    """The published energy is a mean over pixels of sums: it is not divided by the kernels."""
    colors, first = _row(0.0, 0.0, 2.0, 2.0), _row(1.0, 0.0, 1.0, 1.0)
    near, across = math.exp(-1 / 72), math.exp(-1 / 72 - 4 / (2 * 0.25**2))
    assert _energy(first, colors, reach=1) == pytest.approx(2 * (near + across) / 4)


def test_every_direction_counts_alike():
    generator = torch.Generator().manual_seed(0)
    first, colors = torch.rand(1, 1, 6, 6, generator=generator), torch.rand(1, 1, 6, 6, generator=generator)
    expected = _energy(first, colors, reach=2)
    for turned in (lambda m: m.flip(-1), lambda m: m.flip(-2), lambda m: torch.rot90(m, 1, (-2, -1))):
        assert _energy(turned(first), turned(colors), reach=2) == pytest.approx(expected, rel=1e-5)


def test_an_edge_costs_less_where_the_colour_changes_with_it():
    edge = _row(1.0, 1.0, 0.0, 0.0)
    assert _energy(edge, _row(0.0, 0.0, 2.0, 2.0)) < 0.01 < _energy(edge, _row(0.0, 2.0, 2.0, 2.0))


def test_pixels_without_an_image_have_no_neighbours():
    valid = torch.tensor([[[True, True, False]]])
    assert _energy(_row(1.0, 1.0, 0.0), _row(0.0, 0.0, 0.0), valid) == pytest.approx(0)
    alone = torch.tensor([[[True, False, False]]])
    assert _energy(_row(1.0, 0.0, 0.0), _row(0.0, 0.0, 0.0), alone) == 0
