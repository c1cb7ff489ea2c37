"""The values of masks are matched with classes by what says so, and refused where that leaves doubt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geoseg.domain.legend import LandClass, Legend, legend_from_names
from geoseg.domain.windows import Window
from geoseg.errors import LegendError, RasterError
from geoseg.geodata.outputs.class_maps import class_map_writer, read_class_map
from geoseg.geodata.reading.masks import MaskReader
from geoseg.geodata.reading.rasters import describe_raster

WATER = Legend((LandClass(0, "background", "#aaaaaa"), LandClass(1, "water", "#0000ff")))
NUMBERED = legend_from_names(["1", "2", "3"])


def read(path: Path, legend: Legend = WATER, *, codes: Legend | None = WATER, **options: object):
    """Return the class ids of a mask, and all that was said of it."""
    reader = MaskReader(legend, codes=codes, **options)
    return reader.read(path).tolist(), " ".join([*reader.describe_values(), *reader.warnings])


def test_a_mask_of_0_and_255_is_refused_with_its_values_and_the_legend(write_raster) -> None:
    path = write_raster([[0, 0, 0, 255]])

    with pytest.raises(
        LegendError,
        match=r"raster\.tif: 255 may be a class.*expected 0 = background, 1 = water, 255 = unlabelled; "
        r"got 0 \(3 pixels\), 255 \(1 pixels\).*--mask-values 0=CLASS,255=CLASS",
    ):
        read(path)


def test_what_the_user_says_of_the_values_comes_first(write_raster) -> None:
    path = write_raster([[0, 0, 0, 255]])

    ids, said = read(path, values={"255": "Water ", "0": "background"})
    assert ids == [[0, 0, 0, 1]]
    assert "0 = background, 255 = water" in said
    assert read(path, values={"255": "unlabelled", "0": "water"})[0] == [[1, 1, 1, 255]]
    with pytest.raises(LegendError, match=r"no class is given for values of the mask \(0\)"):
        read(path, values={"255": "water"})
    with pytest.raises(LegendError, match=r"'lake' that is not among .*background, water"):
        read(path, values={"255": "lake", "0": "background"})


def test_a_legend_states_the_value_of_each_class(write_raster) -> None:
    codes = Legend((LandClass(0, "background", "#aaaaaa", 0), LandClass(1, "water", "#0000ff", 255)))

    assert read(write_raster([[0, 255]]), codes=codes)[0] == [[0, 1]]
    assert read(write_raster([[0, 255]], nodata=0), codes=codes)[0] == [[0, 1]]  # also of the nodata value
    with pytest.raises(LegendError, match=r"values of the mask \(7\).*expected 0 = background, 255 = water"):
        read(write_raster([[0, 7]]), codes=codes)


def test_255_beside_other_classes_is_unlabelled_and_its_share_is_said(write_raster) -> None:
    ids, said = read(write_raster([[0, 1, 1, 255]]))

    assert ids == [[0, 1, 1, 255]]
    assert "255 in the masks is read as unlabelled: 25.0 % of their pixels" in said
    assert read(write_raster([[0, 1, 1, 255]], nodata=255)) == ([[0, 1, 1, 255]], "")


def test_other_masks_of_the_dataset_resolve_the_doubt_about_255(write_raster) -> None:
    one, other = write_raster([[0, 255]], "one.tif"), write_raster([[0, 1]], "other.tif")

    assert read(one, all_masks=[one, other])[0] == [[0, 255]]
    with pytest.raises(LegendError, match="255 may be a class"):
        read(one, all_masks=[one])


def test_a_mask_that_counts_from_1_is_refused_or_warned_of(write_raster, legend) -> None:
    names = legend_from_names(["field", "wood & heath", "water"])
    with pytest.raises(LegendError, match=r"not in the legend.*got 1 \(1 pixels\), 2 .*3 \(1 pixels\)"):
        read(write_raster([[1, 2, 3]]), names, codes=names)
    with pytest.raises(LegendError, match="the mask has no value 0, so its values may count from 1"):
        read(write_raster([[1, 2]]), names, codes=None)
    with pytest.raises(
        LegendError,
        match=r"0 is both the mask's nodata value and the id of the class 'field'.*0 \(nodata, 2 pix.*0=CLASS,1=CLASS",
    ):
        read(write_raster([[0, 0, 1, 2]], nodata=0), names, codes=names)
    assert "no pixel has the value 0, 'field'" in read(write_raster([[1, 2]]), names, codes=names)[1]


def test_classes_that_are_named_by_numbers_are_matched_by_these(write_raster) -> None:
    ids, said = read(write_raster([[0, 1, 2, 2]], nodata=0), NUMBERED, codes=None)

    assert ids == [[255, 0, 1, 1]]
    assert "which are numbers: 1 = 1, 2 = 2" in said
    assert read(write_raster([[1.0, 3.0]], dtype="float32"), NUMBERED, codes=None)[0] == [[0, 2]]
    with pytest.raises(LegendError, match="named by numbers, and the mask holds other numbers"):
        read(write_raster([[0, 1, 2]]), NUMBERED, codes=None)


def test_numbers_that_nothing_explains_are_taken_for_the_maps_with_a_warning(write_raster) -> None:
    ids, said = read(write_raster([[0, 1, 1]]), codes=None)

    assert ids == [[0, 1, 1]]
    assert (
        "does not name its classes, so its values are read as class ids of the map: 0 = background, 1 = water"
        in said
    )


def test_a_dataset_that_numbers_classes_otherwise_is_matched_by_name(write_raster) -> None:
    codes = legend_from_names([" Water", "BACKGROUND"])

    assert read(write_raster([[0, 1, 255]]), codes=codes)[0] == [[1, 0, 255]]


def test_class_names_in_the_mask_come_before_numbers(write_raster, tmp_path) -> None:
    own = legend_from_names(["water", "background"])
    info = describe_raster(write_raster(np.zeros((1, 2))))
    with class_map_writer(tmp_path / "mask.tif", info, own, overwrite=True) as writer:
        writer.write(Window(0, 0, 1, 2), np.array([[0, 1]], np.uint8))

    ids, said = read(tmp_path / "mask.tif", codes=None)

    assert ids == [[1, 0]]
    assert "by the class names in the file: 0 = water, 1 = background" in said


def test_category_names_of_gdal_and_tables_of_qgis_name_classes(write_raster) -> None:
    path = write_raster([[1, 2]])
    sidecar = path.with_name("raster.tif.aux.xml")
    sidecar.write_text(
        "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category></Category><Category>water</Category>"
        "<Category>Background</Category></CategoryNames></PAMRasterBand></PAMDataset>"
    )
    assert read(path)[0] == [[1, 0]]
    assert read_class_map(path)[0].tolist() == [[0, 1]]
    assert read_class_map(path)[2].names == ("water", "Background")

    columns = "".join(f"<FieldDefn><Usage>{usage}</Usage></FieldDefn>" for usage in (5, 2))
    rows = "<Row><F>1</F><F>water</F></Row><Row><F>2</F><F>background</F></Row>"
    sidecar.write_text(
        f"<PAMDataset><PAMRasterBand band='1'><GDALRasterAttributeTable>{columns}{rows}"
        "</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"
    )
    assert read(path)[0] == [[1, 0]]


def test_colours_are_matched_with_the_legends(tmp_path) -> None:
    picture = Image.new("RGB", (3, 1), (0, 0, 255))
    picture.putpixel((1, 0), (170, 170, 170))
    picture.save(tmp_path / "a.png")
    assert read(tmp_path / "a.png")[0] == [[1, 0, 1]]

    picture.putpixel((2, 0), (1, 0, 255))
    picture.save(tmp_path / "a.png")
    with pytest.raises(
        LegendError, match=r"colours of the mask are not .*1 = water #0000ff.*#0100ff \(1 pixels\)"
    ):
        read(tmp_path / "a.png")
    named = {"#0000ff": "water", "#0100ff": "unlabelled", "#aaaaaa": "background"}
    assert read(tmp_path / "a.png", values=named)[0] == [[1, 0, 255]]


def test_grey_in_three_bands_is_read_as_numbers(tmp_path) -> None:
    picture = Image.new("RGB", (2, 1))
    picture.putpixel((1, 0), (1, 1, 1))
    picture.save(tmp_path / "a.png")

    assert read(tmp_path / "a.png")[0] == [[0, 1]]


def test_a_grey_mask_among_coloured_ones_is_no_mask_of_numbers(tmp_path) -> None:
    Image.new("RGB", (2, 1)).save(tmp_path / "black.png")
    Image.new("RGB", (2, 1), (0, 0, 255)).save(tmp_path / "blue.png")
    Image.new("RGB", (2, 1), (170, 170, 170)).save(tmp_path / "grey.png")
    every = sorted(tmp_path.glob("*.png"))

    assert read(tmp_path / "grey.png", all_masks=every)[0] == [[0, 0]]
    with pytest.raises(LegendError, match="colours of the mask are not those of the legend"):
        read(tmp_path / "black.png", all_masks=every)
    named = {"#000000": "unlabelled", "#0000ff": "water", "#aaaaaa": "background"}
    assert read(tmp_path / "black.png", values=named, all_masks=every)[0] == [[255, 255]]


def test_a_colour_table_of_the_legends_colours_is_followed_and_another_is_not(write_raster) -> None:
    swapped = {0: (0, 0, 255, 255), 1: (170, 170, 170, 255)}
    foreign = {0: (9, 9, 9, 255), 1: (8, 8, 8, 255)}
    half = {0: (0, 0, 255, 255), 1: (8, 8, 8, 255)}

    ids, said = read(write_raster([[0, 1]], palette=swapped, photometric="PALETTE"))
    assert ids == [[1, 0]]
    assert "by colour: 0 = water, 1 = background" in said
    assert read(write_raster([[0, 1]], palette=foreign, photometric="PALETTE"))[0] == [[0, 1]]
    with pytest.raises(LegendError, match="only some of the mask's colours are in the legend"):
        read(write_raster([[0, 1]], palette=half, photometric="PALETTE"))


def test_masks_of_one_bit_are_read(tmp_path) -> None:
    picture = Image.new("1", (2, 1))
    picture.putpixel((1, 0), 1)
    for name in ("a.png", "a.tif"):
        picture.save(tmp_path / name)
        assert read(tmp_path / name)[0] == [[0, 1]]


def test_what_is_no_mask_is_refused(write_raster) -> None:
    with pytest.raises(
        RasterError, match="expected one band of numbers, or red, green and blue; got 4 bands"
    ):
        read(write_raster(np.zeros((4, 1, 1))))
    with pytest.raises(RasterError, match="got 3 bands of uint16"):
        read(write_raster(np.zeros((3, 1, 1)), dtype="uint16"))
