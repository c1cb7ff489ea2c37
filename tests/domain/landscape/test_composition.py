from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from geoseg.domain.landscape.composition import LANDSCAPE_CLASSES, Landscape, generate_landscape
from geoseg.domain.landscape.day import Day, Sun, choose_day
from geoseg.domain.landscape.light import cast_shadows
from geoseg.domain.landscape.noise import Grid, smooth_noise

FIELD, WOODLAND, BUILDING, ROAD, WATER, BARE_SOIL = range(6)
LEAST = {BUILDING: 0.015, ROAD: 0.02, WATER: 0.02, BARE_SOIL: 0.04}


@pytest.fixture(scope="module", params=[0, 1, 2, 3])
def scene(request: pytest.FixtureRequest) -> Landscape:
    return generate_landscape(request.param, 768, 768)


def shares(mask: np.ndarray) -> np.ndarray:
    return np.bincount(mask.ravel(), minlength=len(LANDSCAPE_CLASSES)) / mask.size


def test_the_classes_have_distinct_names_and_colours():
    assert [name for name, _ in LANDSCAPE_CLASSES] == [
        "field",
        "woodland",
        "building",
        "road",
        "water",
        "bare soil",
    ]
    assert len({color for _, color in LANDSCAPE_CLASSES}) == 6


def test_the_same_arguments_give_the_same_landscape():
    first, second = (generate_landscape(7, 128, 96, 0.5) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.mask, second.mask)


def test_another_seed_gives_another_landscape():
    first, second = (generate_landscape(seed, 256, 256) for seed in (1, 2))
    assert (first.mask != second.mask).mean() > 0.3
    assert (first.image != second.image).mean() > 0.9


@pytest.mark.parametrize(
    ("height", "width", "resolution_m"),
    [(64, 64, 0.25), (64, 301, 0.25), (257, 65, 0.5), (97, 131, 0.1), (80, 70, 2.0), (64, 64, 30.0)],
)
def test_any_size_and_resolution_gives_an_image_with_a_mask(height, width, resolution_m):
    scene = generate_landscape(3, height, width, resolution_m)
    assert scene.image.shape == (3, height, width)
    assert scene.mask.shape == (height, width)
    assert scene.image.dtype == scene.mask.dtype == np.uint8
    assert scene.mask.max() < len(LANDSCAPE_CLASSES)


@pytest.mark.parametrize(("height", "width"), [(63, 64), (64, 63), (0, 100), (-5, 100)])
def test_a_scene_below_64_px_is_refused(height, width):
    with pytest.raises(ValueError, match="64"):
        generate_landscape(0, height, width)


@pytest.mark.parametrize("resolution_m", [0.0, -1.0, float("nan"), float("inf")])
def test_a_resolution_that_is_no_length_is_refused(resolution_m):
    with pytest.raises(ValueError, match="resolution_m"):
        generate_landscape(0, 64, 64, resolution_m)


def test_a_landscape_cannot_be_changed_to_other_arrays(scene):
    with pytest.raises(dataclasses.FrozenInstanceError):
        scene.mask = scene.mask.copy()


def test_every_class_has_a_useful_share(scene):
    share = shares(scene.mask)
    assert {number: share[number] for number, least in LEAST.items() if share[number] < least} == {}


def test_fields_and_woodland_dominate(scene):
    share = shares(scene.mask)
    assert share[[FIELD, WOODLAND]].sum() > 0.5
    assert share[[FIELD, WOODLAND]].min() > 0.1


def test_roads_are_one_network_that_reaches_the_border(scene):
    parts, _ = ndimage.label(scene.mask == ROAD, structure=np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    assert sizes.max() > 0.8 * sizes.sum()
    network = parts == 1 + sizes.argmax()
    assert sum(edge.any() for edge in (network[0], network[-1], network[:, 0], network[:, -1])) >= 2


def test_buildings_stand_near_roads(scene):
    from_road = ndimage.distance_transform_edt(scene.mask != ROAD)
    assert np.median(from_road[scene.mask == BUILDING]) * 0.25 < 20.0


def test_sizes_are_in_metres():
    fine, coarse = (generate_landscape(5, 512, 512, resolution_m) for resolution_m in (0.25, 1.0))
    count = [ndimage.label(scene.mask == BUILDING)[1] for scene in (fine, coarse)]
    assert count[1] > 5 * count[0]


def test_single_pixel_colours_of_classes_overlap(scene):
    """Dark water, shaded crowns and dark fields cannot be told apart by their brightness."""
    brightness = scene.image.mean(axis=0)
    low, high = np.percentile(brightness[scene.mask == WATER], [10, 90])
    woodland = brightness[scene.mask == WOODLAND]
    assert ((woodland > low) & (woodland < high)).mean() > 0.05


def test_a_wall_shades_the_ground_behind_it_as_far_as_the_sun_is_low():
    surface = np.zeros((9, 9), dtype=np.float32)
    surface[6, :] = 3.0
    south_at_45_degrees = Sun(0.0, np.sqrt(0.5), np.sqrt(0.5))
    shadow = cast_shadows(surface, south_at_45_degrees, 1.0)
    # 1, 2 px behind the wall the light passes 2 and 1 m above the ground, at 3 px it touches it
    assert shadow.all(axis=1).tolist() == [False, False, False, False, True, True, False, False, False]
    assert not shadow[[0, 1, 2, 3, 6, 7, 8]].any()


def test_level_ground_has_no_shadow():
    assert not cast_shadows(np.zeros((5, 7), dtype=np.float32), Sun(0.6, 0.0, 0.8), 0.25).any()


def test_smooth_noise_has_zero_mean_and_unit_variance():
    noise = smooth_noise(np.random.default_rng(0), Grid(400, 300, 0.5), 2.0)
    assert noise.shape == (400, 300)
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05


def test_the_grid_is_centred_and_its_boxes_end_at_the_border():
    grid = Grid(3, 4, 2.0)
    assert grid.x.tolist() == [[-3.0, -1.0, 1.0, 3.0]]
    assert grid.y.tolist() == [[-2.0], [0.0], [2.0]]
    assert grid.box(-3.0, 0.0, 2.0) == (slice(0, 3), slice(0, 2))
    rows, cols = grid.box(100.0, 0.0, 2.0)
    assert (rows, cols.stop - cols.start) == (slice(0, 3), 0)


def test_scenes_of_one_day_share_its_water_and_those_of_others_do_not():
    bright, dark = (
        dataclasses.replace(choose_day(np.random.default_rng(0)), water=(value,) * 3)
        for value in (90.0, 30.0)
    )

    def water(seed: int, day: Day) -> float:
        scene = generate_landscape(seed, 512, 512, day=day)
        return float(np.median(scene.image[:, scene.mask == WATER]))

    first, second = water(1, bright), water(2, bright)
    assert abs(first - second) < 12
    assert first - water(1, dark) > 25
