from __future__ import annotations

import pytest

from geoseg.domain.legend import legend_from_names
from geoseg.errors import DatasetError, LegendError
from geoseg.geodata.datasets.folders import is_dataset, open_dataset
from geoseg.geodata.datasets.legend_files import write_legend

LEGEND = legend_from_names(["land", "water"])


@pytest.fixture
def folder(tmp_path):
    """Three images, masks of two of them, the lists train and test, and a legend."""
    for name in ("images/b.tif", "images/a.tif", "images/c.JPG", "masks/a.png", "masks/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "train.txt").write_text("# two of them\nb\n\n  a  \n")
    (tmp_path / "test.txt").write_text("c\n")
    write_legend(tmp_path / "legend.json", LEGEND, overwrite=False)
    return tmp_path


def test_a_dataset_without_a_split_has_every_image_by_name(folder):
    dataset = open_dataset(folder)

    assert dataset.folder == folder
    assert list(dataset.images.items()) == [
        ("a", folder / "images/a.tif"),
        ("b", folder / "images/b.tif"),
        ("c", folder / "images/c.JPG"),
    ]
    assert dict(dataset.masks) == {"a": folder / "masks/a.png", "b": folder / "masks/b.png"}
    assert dataset.legend == LEGEND


def test_a_split_has_the_images_of_its_list_in_the_order_of_their_names(folder):
    dataset = open_dataset(folder, split="train", masks_needed=True)

    assert list(dataset.images) == ["a", "b"]
    assert list(dataset.masks) == ["a", "b"]


def test_a_given_legend_comes_before_the_folders_own(folder):
    other = legend_from_names(["x"])

    assert open_dataset(folder, legend=other).legend == other


def test_masks_and_legend_may_be_missing(folder):
    for path in [*(folder / "masks").iterdir(), folder / "legend.json"]:
        path.unlink()
    (folder / "masks").rmdir()

    dataset = open_dataset(folder)

    assert not dataset.masks
    assert dataset.legend is None


def test_what_is_no_raster_is_passed_over(folder):
    for name in ("a.tif.aux.xml", "b.tfw", "notes.txt", ".hidden.tif"):
        (folder / "images" / name).touch()

    assert list(open_dataset(folder).images) == ["a", "b", "c"]


def test_a_folder_with_images_is_a_dataset(folder):
    assert is_dataset(folder)
    assert not is_dataset(folder / "images")
    assert not is_dataset(folder / "images/a.tif")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere: no such folder"):
        open_dataset(tmp_path / "nowhere")


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"no images; expected images/\*\{\.tif,"):
        open_dataset(tmp_path)


def test_a_split_that_is_not_there_is_refused_with_those_that_are(folder):
    with pytest.raises(DatasetError, match=r"no split 'val'; expected one of: test, train"):
        open_dataset(folder, split="val")


def test_an_empty_split_is_refused(folder):
    (folder / "test.txt").write_text("# later\n\n")

    with pytest.raises(DatasetError, match=r"test\.txt: the split lists no image"):
        open_dataset(folder, split="test")


def test_listed_images_that_are_not_there_are_named_up_to_five(folder):
    (folder / "test.txt").write_text("a\n" + "\n".join(f"x{i}" for i in range(7)))

    with pytest.raises(DatasetError, match=r"test\.txt: .*; got x0, x1, x2, x3, x4 and 2 more\."):
        open_dataset(folder, split="test")


def test_two_images_with_one_stem_are_refused(folder):
    (folder / "images/a.png").touch()

    with pytest.raises(DatasetError, match=r"the same stem; got a\.png and a\.tif"):
        open_dataset(folder)


def test_a_missing_mask_is_refused_where_masks_are_needed(folder):
    with pytest.raises(DatasetError, match=r"images have no mask; .*got none for c\.$"):
        open_dataset(folder, masks_needed=True)
    (folder / "masks/see.tif").touch()
    with pytest.raises(DatasetError, match=r"got none for c\. These have no image: see\."):
        open_dataset(folder, masks_needed=True)


def test_a_broken_legend_is_refused(folder):
    (folder / "legend.json").write_text("{}")

    with pytest.raises(LegendError, match=r"legend\.json"):
        open_dataset(folder)
