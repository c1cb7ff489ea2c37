"""LandCover.ai from generated orthophotos of the same layout."""

import numpy as np
import pytest

from geoseg.domain.ports import NullProgress
from geoseg.errors import DatasetError
from geoseg.geodata.datasets.folders import keep_tiles, open_dataset
from geoseg.geodata.datasets.landcover_ai import Published, prepare, split_by_orthophoto
from geoseg.geodata.datasets.legend_files import read_legend

PUBLISHED = Published("", {0.25: 2, 0.5: 1}, {"train": 3, "val": 1, "test": 2}, 0.2475)


@pytest.fixture
def folder(tmp_path, write_tiff):
    """Three orthophotos of 600 x 1100 px: two whole tiles each, numbers 0 and 1 of a grid of 2 x 3 cells."""
    rng = np.random.default_rng(0)
    for place, (name, pixel_m) in enumerate([("M-1", 0.25), ("M-2", 0.25), ("N_3", 0.5)]):
        mask = np.zeros((600, 1100), np.uint8)
        mask[:, :550] = 2
        pixels = rng.integers(0, 255, (3, 600, 1100), dtype=np.uint8)
        options = {"crs": "EPSG:2180", "index": place, "pixel_m": pixel_m}
        write_tiff(tmp_path / "images" / f"{name}.tif", pixels, **options)
        write_tiff(tmp_path / "masks" / f"{name}.tif", mask, **options)
    (tmp_path / "train.txt").write_text("M-1_0\nM-1_1\nM-2_0\n")
    (tmp_path / "val.txt").write_text("M-2_1\n")
    (tmp_path / "test.txt").write_text("N_3_0\nN_3_1\n")
    return tmp_path


def test_what_was_unpacked_is_checked_and_measured(folder):
    report = prepare(folder, NullProgress(), PUBLISHED)
    assert report.images == 3
    assert report.area_km2 == pytest.approx(600 * 1100 * (2 * 0.25**2 + 0.5**2) / 1e6)
    assert report.shares == pytest.approx(
        {"background": 0.5, "building": 0, "woodland": 0.5, "water": 0, "road": 0}
    )
    assert read_legend(folder / "legend.json").names[2] == "woodland"
    assert "CC BY-NC-SA" in report.licence


def test_the_official_lists_give_tiles_and_ours_whole_orthophotos(folder):
    prepare(folder, NullProgress(), PUBLISHED)
    assert open_dataset(folder, split="train").tiles == {"M-1": [0, 1], "M-2": [0]}
    assert list(open_dataset(folder, split="test").images) == ["N_3"]
    ours = [open_dataset(folder, split=f"orthophoto-{split}") for split in ("train", "val", "test")]
    assert sorted(name for d in ours for name in d.images) == ["M-1", "M-2", "N_3"]
    assert not any(d.tiles for d in ours)


def test_a_split_by_orthophoto_is_15_percent_twice():
    parts = split_by_orthophoto([f"sheet-{n}" for n in range(41)])
    assert {split: len(names) for split, names in parts.items()} == {"train": 29, "val": 6, "test": 6}
    assert parts == split_by_orthophoto([f"sheet-{n}" for n in reversed(range(41))])


@pytest.mark.parametrize(
    ("published", "message"),
    [
        (
            Published("", {0.25: 3}, {}, 0.2475),
            r"images: the folder differs from the published LandCover\.ai v1; expected 3 at 0\.25 m; got 2 at 0\.25 m, 1 at 0\.5 m",
        ),
        (
            Published("", PUBLISHED.images, {"train": 4}, 0.2475),
            r"train\.txt: the folder differs .*expected 4 tiles; got 3 tiles",
        ),
        (
            Published("", PUBLISHED.images, PUBLISHED.tiles, 0.2502),
            r"images: the folder differs .*expected 0\.2502 km2, give or take 1%; got 0\.2475 km2",
        ),
    ],
)
def test_another_dataset_is_not_taken_for_it(folder, published, message):
    with pytest.raises(DatasetError, match=message):
        prepare(folder, NullProgress(), published)


def test_an_area_that_differs_by_less_than_a_percent_is_that_published(folder):
    published = Published("", PUBLISHED.images, PUBLISHED.tiles, 0.2497)
    assert prepare(folder, NullProgress(), published).area_km2 == pytest.approx(0.2475)


def test_another_crs_is_named(folder, write_tiff):
    for kind, bands in (("images", 3), ("masks", 1)):
        pixels = np.zeros((bands, 600, 1100), np.uint8)
        write_tiff(
            folder / kind / "M-1.tif", pixels if bands > 1 else pixels[0], crs="EPSG:32633", pixel_m=0.25
        )
    with pytest.raises(DatasetError, match=r"M-1\.tif.*expected EPSG:2180; got EPSG:32633"):
        prepare(folder, NullProgress(), PUBLISHED)


def test_tiles_are_numbered_over_the_whole_grid(tmp_path):
    mask = np.ones((1100, 1100), np.uint8)
    kept = keep_tiles(mask, [0, 4], where=tmp_path)
    assert (kept[:512, :512] == 1).all()
    assert (kept[512:1024, 512:1024] == 1).all()
    assert (kept == 1).sum() == 2 * 512 * 512
    for cut in (2, 6, 9):
        with pytest.raises(DatasetError, match=f"no such whole tile; got tile {cut}"):
            keep_tiles(mask, [cut], where=tmp_path)
