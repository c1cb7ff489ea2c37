"""PNGs of maps keep every id, every step and every colour."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geoseg.domain.legend import Legend, legend_from_names
from geoseg.pictures.class_png import class_png, confidence_png, ids_png

LEGEND = legend_from_names(["field", "wood", "water"])


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=["PNG"])


def seen(data: bytes) -> np.ndarray:
    return np.asarray(opened(data).convert("RGBA"))


def test_a_class_map_shows_the_colours_of_its_legend() -> None:
    class_ids = np.array([[0, 1, 2], [2, 255, 0]], np.uint8)
    shown = seen(class_png(class_ids, LEGEND))
    has_class = class_ids != 255
    assert np.array_equal(shown[has_class][:, :3], LEGEND.rgb[class_ids[has_class]])
    assert shown[..., 3].tolist() == [[255, 255, 255], [255, 0, 255]]


def test_a_class_map_is_a_palette_picture_whose_indices_are_the_ids() -> None:
    class_ids = np.array([[0, 1, 2, 255]], np.uint8)
    picture = opened(class_png(class_ids, LEGEND))
    assert picture.mode == "P"
    assert np.array_equal(np.asarray(picture), class_ids)


@given(seed=st.integers(0, 10_000), classes=st.sampled_from([1, 2, 3, 16, 17, 254, 255]))
def test_every_legend_keeps_its_colours(seed: int, classes: int) -> None:
    legend = legend_from_names([f"class {n}" for n in range(classes)])
    rng = np.random.default_rng(seed)
    class_ids = rng.choice([*range(classes), 255], (rng.integers(1, 20), rng.integers(1, 20))).astype(
        np.uint8
    )
    shown = seen(class_png(class_ids, legend))
    for class_id, color in zip(class_ids.ravel(), shown.reshape(-1, 4), strict=True):
        assert color[3] == (0 if class_id == 255 else 255)
        assert class_id == 255 or color[:3].tolist() == legend.rgb[class_id].tolist()


@pytest.mark.parametrize("missing", [3, 77, 254])
def test_an_id_that_the_legend_lacks_is_transparent(missing: int) -> None:
    shown = seen(class_png(np.array([[0, missing]], np.uint8), LEGEND))
    assert shown[0, :, 3].tolist() == [255, 0]


def test_a_map_of_nothing_is_transparent() -> None:
    assert not seen(class_png(np.full((5, 7), 255, np.uint8), LEGEND))[..., 3].any()


def test_a_map_of_one_class_is_its_colour() -> None:
    shown = seen(class_png(np.full((5, 7), 1, np.uint8), LEGEND))
    assert (shown == [*LEGEND.rgb[1], 255]).all()


@pytest.mark.parametrize("write", [ids_png, confidence_png])
def test_grey_pictures_hold_the_values_as_they_are(write) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(8, 32)
    picture = opened(write(values))
    assert picture.mode == "L"
    assert np.array_equal(np.asarray(picture), values)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1)])
def test_pictures_have_the_size_of_the_map(shape: tuple[int, int]) -> None:
    class_ids = np.zeros(shape, np.uint8)
    for data in (class_png(class_ids, LEGEND), ids_png(class_ids), confidence_png(class_ids)):
        assert opened(data).size == shape[::-1]


def test_arrays_that_are_views_are_written_as_they_look() -> None:
    class_ids = np.array([[0, 1, 2], [2, 1, 1]], np.uint8).T[::-1]
    legend: Legend = LEGEND
    assert np.array_equal(np.asarray(opened(class_png(class_ids, legend))), class_ids)
    assert np.array_equal(np.asarray(opened(ids_png(class_ids))), class_ids)
