"""Coarse copies of rasters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoseg.domain.pyramid import count_levels, level_step, tile_window
from geoseg.domain.windows import Window
from geoseg.geodata.reading.previews import Preview, RasterPool, mean_blocks


def test_means_count_valid_values_only() -> None:
    pixels = np.array([[[1, 3, 0, 0], [5, np.nan, 0, 8]]], np.float32)
    valid = np.array([[True, True, False, False], [True, True, False, True]])
    means, known = mean_blocks(pixels, valid, 2)
    assert means.tolist() == [[[3, 8]]]
    assert known.tolist() == [[True, True]]
    _, none = mean_blocks(pixels, np.zeros_like(valid), 2)
    assert not none.any()


def test_tiles_of_all_levels_cover_the_raster_from_its_corner() -> None:
    levels = count_levels(1000, 700)
    assert levels == 3
    assert [level_step(levels, z) for z in range(levels)] == [4, 2, 1]
    assert tile_window(levels, 2, col=2, row=3) == Window(768, 512, 256, 256)
    assert tile_window(levels, 0, col=0, row=0) == Window(0, 0, 1024, 1024)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_copies_are_means_and_a_rough_look_stands_in_for_them(tmp_path: Path, write_tiff, kind) -> None:  # type: ignore[no-untyped-def]
    values = np.tile(np.arange(2100) // 16, (500, 1))[None].astype(kind) + 1
    values[:, :, :16] = 0
    raster = write_tiff(tmp_path / "wide.tif", values, nodata=0)
    pool = RasterPool(raster)
    levels = count_levels(500, 2100)
    preview = Preview(pool, tmp_path / "copies", levels)
    window = Window(0, 0, 512, 2112)
    rough, rough_valid = preview.read(window, 16, [1])
    assert not preview.is_ready
    assert np.abs(rough - np.arange(1, 133))[:, rough_valid].max() < 10
    preview.build(lambda: False)
    assert preview.is_ready
    exact, valid = preview.read(window, 16, [1])
    assert exact[0, 3, 1:131].tolist() == list(range(2, 132))
    assert not valid[:, 0].any()
    assert valid[:31, 1:131].all()
    assert not valid[:, 132:].any()
    again = Preview(pool, tmp_path / "copies", levels)
    assert again.is_ready
    pool.close()


def test_a_stopped_build_leaves_nothing(tmp_path: Path, write_tiff) -> None:  # type: ignore[no-untyped-def]
    raster = write_tiff(tmp_path / "wide.tif", np.ones((1, 300, 2100), np.uint8))
    pool = RasterPool(raster)
    preview = Preview(pool, tmp_path / "copies" / "one", count_levels(300, 2100))
    preview.build(lambda: True)
    assert not preview.is_ready
    assert list((tmp_path / "copies").iterdir()) == []
    pool.close()
