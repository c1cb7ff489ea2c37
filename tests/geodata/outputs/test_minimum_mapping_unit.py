"""The minimum mapping unit."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.features import sieve
from scipy import ndimage

from geoseg.errors import RasterError
from geoseg.geodata.outputs.minimum_mapping_unit import pixels_of_area, sieve_blocks, sieved
from geoseg.geodata.reading.rasters import describe_raster


def ids(*rows: str) -> np.ndarray:
    """Return class ids of rows such as "001."; a dot is nodata."""
    return np.array([[255 if c == "." else int(c) for c in row] for row in rows], np.uint8)


def regions(class_ids: np.ndarray) -> list[int]:
    """Return the sizes of all regions."""
    found = [ndimage.label(class_ids == k)[0].ravel() for k in np.unique(class_ids[class_ids != 255])]
    return [int(size) for labels in found for size in np.bincount(labels)[1:]]


def landscape(seed: int, *, side: int = 120, smooth: float = 1.5) -> np.ndarray:
    """Return patches of three classes with a hole of nodata."""
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.normal(size=(side, side)), smooth) for _ in range(3)]
    found = np.argmax(fields, axis=0).astype(np.uint8)
    found[40:70, 30:80] = 255
    return found


def test_a_region_below_the_minimum_becomes_its_largest_neighbour() -> None:
    before = ids("000001", "002201", "000001")
    # 2 has two pixels; of its neighbours, 0 with 13 is the largest. 1 has three pixels and stays.
    assert sieved(before, 3).tolist() == ids("000001", "000001", "000001").tolist()


def test_a_region_of_exactly_the_minimum_stays() -> None:
    before = ids("0000", "0110", "0000")
    assert sieved(before, 2).tolist() == before.tolist()


def test_a_minimum_of_one_pixel_changes_nothing() -> None:
    before = ids("01", "23")
    assert sieved(before, 1).tolist() == before.tolist()


def test_pixels_that_touch_at_corners_only_are_two_regions() -> None:
    assert sieved(ids("1000", "0100", "0000"), 2).tolist() == ids("0000", "0000", "0000").tolist()


def test_a_hole_is_filled() -> None:
    assert sieved(ids("000", "010", "000"), 4).tolist() == ids("000", "000", "000").tolist()


def test_nodata_is_neither_filled_nor_grown() -> None:
    before = ids("0000", "0.10", "0000", "....", "...2")
    assert sieved(before, 3).tolist() == ids("0000", "0.00", "0000", "....", "...2").tolist()


def test_nodata_splits_regions() -> None:
    # Two pixels of class 1 on either side of nodata are two regions of one pixel.
    assert sieved(ids("001.100", "000.000"), 2).tolist() == ids("000.000", "000.000").tolist()


def test_nodata_alone_stays() -> None:
    assert sieved(ids("..", ".."), 9).tolist() == ids("..", "..").tolist()


def test_small_regions_in_a_chain_all_go() -> None:
    # 3 touches 2 alone, which is too small too; both end in 0.
    assert sieved(ids("00000", "02220", "02320", "02220", "00000"), 10).tolist() == [[0] * 5] * 5


def test_where_no_region_is_large_enough_the_smallest_go_first() -> None:
    # No region has 8 pixels. The single 2 goes into the 1s, then these (four) into the 0s (five).
    assert sieved(ids("0001", "0021", "2211"), 8).max() == 0


def test_of_regions_near_the_minimum_the_smaller_goes_into_the_larger() -> None:
    assert sieved(np.repeat([[0, 1]], [28, 31], axis=1).astype(np.uint8), 32).tolist() == [[1] * 59]


def test_valid_pixels_fewer_than_the_minimum_stay_as_they_are() -> None:
    before = ids("01", "22")
    assert sieved(before, 5).tolist() == before.tolist()


@pytest.mark.parametrize("min_px", [2, 10, 60])
def test_no_region_below_the_minimum_is_left_and_nodata_is_the_same(min_px) -> None:
    before = landscape(0)
    after = sieved(before, min_px)
    assert min(regions(before)) < min_px <= min(regions(after))
    assert ((after == 255) == (before == 255)).all()


def test_a_raster_that_fits_one_slab_is_sieved_as_by_gdal() -> None:
    before = landscape(1)
    assert (sieved(before, 10) == sieve(before, 10, mask=before != 255)).all()


@pytest.mark.parametrize("heights", [1, 7, 64])
@pytest.mark.parametrize("min_px", [3, 10, 25])
def test_cut_into_slabs_no_region_below_the_minimum_is_left(heights, min_px) -> None:
    before = landscape(2)
    blocks = [before[top : top + heights] for top in range(0, len(before), heights)]
    after = list(sieve_blocks(iter(blocks), min_px, slab_px=120 * 16))
    assert [len(block) for block in after] == [len(block) for block in blocks]
    whole = np.concatenate(after)
    assert min(regions(whole)) >= min_px
    assert ((whole == 255) == (before == 255)).all()
    # Only a choice between two large neighbours may differ.
    assert (whole != sieved(before, min_px)).mean() < 0.03


def test_slabs_do_not_depend_on_the_blocks() -> None:
    before = landscape(3)
    made = [
        np.concatenate(
            list(sieve_blocks((before[t : t + rows] for t in range(0, len(before), rows)), 10, slab_px=2_000))
        )
        for rows in (5, 32, 120)
    ]
    assert (made[0] == made[1]).all()
    assert (made[0] == made[2]).all()


def test_a_long_region_across_a_cut_is_counted_whole() -> None:
    before = np.zeros((40, 6), np.uint8)
    before[10:22, 2] = 1  # Twelve pixels, cut by slabs of 16 rows.
    after = np.concatenate(list(sieve_blocks(iter([before]), 12, slab_px=6 * 32)))
    assert (after == before).all()
    assert np.concatenate(list(sieve_blocks(iter([before]), 13, slab_px=6 * 32))).max() == 0


def test_memory_holds_one_slab() -> None:
    taken, most = 0, 0

    def blocks():
        nonlocal taken
        for k in range(100):
            taken += 1
            yield np.full((8, 50), k % 2, np.uint8)

    for given, _ in enumerate(sieve_blocks(blocks(), 4, slab_px=50 * 32)):
        most = max(most, taken - given)
    assert most <= 12


def test_an_area_in_pixels_rounds_up(write_tiff, tmp_path) -> None:
    info = describe_raster(write_tiff(tmp_path / "metres.tif", np.zeros((10, 10), np.uint8), pixel_m=0.5))
    assert [pixels_of_area(info, m2) for m2 in (0, 0.25, 0.3, 10)] == [1, 1, 2, 40]


def test_in_degrees_the_centre_of_the_raster_decides(write_tiff, tmp_path) -> None:
    # Pixels of 0.001 degrees: about 111.2 m x 55.6 m at 60 degrees north, where the centre lies.
    place = Affine(0.001, 0, 10, 0, -0.001, 60.01)
    zeros = np.zeros((20, 20), np.uint8)
    info = describe_raster(write_tiff(tmp_path / "degrees.tif", zeros, crs="EPSG:4326", transform=place))
    assert pixels_of_area(info, 6_200 * 10) == 10


def test_an_area_on_a_raster_without_a_crs_is_refused(write_tiff, tmp_path) -> None:
    info = describe_raster(write_tiff(tmp_path / "plain.tif", np.zeros((4, 4), np.uint8), crs=None))
    with pytest.raises(RasterError, match=r"plain\.tif"):
        pixels_of_area(info, 10)
