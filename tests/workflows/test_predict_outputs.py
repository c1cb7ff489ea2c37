"""Where predict writes, what it may replace, and the style that it leaves beside each map."""

from __future__ import annotations

import shutil

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from geoseg.errors import OutputError, SettingsError
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.learning.model_record import read_record
from geoseg.settings import PredictSettings
from geoseg.workflows.mapping.predict import predict


class Listener:
    """Progress that keeps warnings."""

    def __init__(self):
        self.warned = []

    def start(self, what, total):
        pass

    def advance(self, steps=1, note=""):
        pass

    def say(self, text):
        pass

    def warn(self, text):
        self.warned.append(text)


@pytest.fixture
def run(model, raster):
    """Map the raster on one thread, as cheaply as can be."""

    def predicted(output, progress=None, **options):
        wanted = {"rasters": (raster,), "device": "cpu", "precision": "float32", **options}
        return predict(PredictSettings(model=model, output=output, **wanted), progress)

    return predicted


def test_the_style_lies_beside_map_and_confidence_unless_it_is_left_out(run, tmp_path):
    (result,) = run(tmp_path / "a.b.tif", confidence=tmp_path / "sure.tif")

    assert result.files["style"] == tmp_path / "a.b.qml"
    assert result.files["confidence_style"] == tmp_path / "sure.qml"
    assert "wood" in (tmp_path / "a.b.qml").read_text()
    (tmp_path / "a.b.qml").unlink()
    run(tmp_path / "a.b.tif", style=False, overwrite=True)
    assert not (tmp_path / "a.b.qml").exists()


def test_a_style_of_the_users_own_stays_and_is_said(run, tmp_path):
    (tmp_path / "map.qml").write_text("<qgis><!-- mine --></qgis>")
    listener = Listener()

    (result,) = run(tmp_path / "map.tif", listener, overwrite=True)

    assert (tmp_path / "map.qml").read_text() == "<qgis><!-- mine --></qgis>"
    assert "style" not in result.files
    assert [text for text in listener.warned if "map.qml is not a style from GeoSeg-PointAI" in text]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("map.gpkg", {"also": ("polygons",)}),
        ("map.areas.csv", {"also": ("areas",)}),
        ("map.areas.json", {"also": ("areas",)}),
        ("map.stac.json", {"also": ("stac",)}),
        ("map.probabilities.tif", {"also": ("probabilities",)}),
        ("map.tif", {}),
        ("sure.tif", {"confidence": "sure.tif"}),
    ],
)
def test_files_of_the_users_own_stay_whatever_is_asked(run, raster, tmp_path, name, options):
    shutil.copy(raster, tmp_path / name)
    if "confidence" in options:
        options = {"confidence": tmp_path / options["confidence"]}

    with pytest.raises(OutputError, match=rf"{name}: this file exists.*not replaced"):
        run(tmp_path / "map.tif", overwrite=True, **options)
    assert (tmp_path / name).read_bytes() == raster.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_every_file_of_an_earlier_call_is_replaced_with_overwrite(run, tmp_path):
    options = {"also": ("probabilities", "polygons", "areas", "stac"), "confidence": tmp_path / "sure.tif"}
    run(tmp_path / "map.tif", **options)
    files = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}

    with pytest.raises(OutputError, match="--overwrite"):
        run(tmp_path / "map.tif", **options)
    run(tmp_path / "map.tif", overwrite=True, **options)

    now = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    assert now.keys() == files.keys()
    assert not now.items() & files.items()


def test_a_confidence_raster_does_not_take_the_place_of_a_map(run, tmp_path):
    run(tmp_path / "map.tif")

    with pytest.raises(OutputError, match=r"map\.tif.*is not a confidence"):
        run(tmp_path / "other.tif", confidence=tmp_path / "map.tif", overwrite=True)


def test_a_folder_is_made_when_its_name_ends_in_a_slash(run, raster, tmp_path):
    (result,) = run(f"{tmp_path}/maps/", confidence=tmp_path / "sure", also=("areas",))

    assert result.class_map == tmp_path / "maps" / "north.tif"
    assert result.confidence == tmp_path / "sure" / "north.tif"
    assert (tmp_path / "maps" / "north.areas.csv").exists()


def test_names_with_dots_keep_all_of_them(run, raster, tmp_path):
    rasters = [tmp_path / "a.2023.tif", tmp_path / "a.2024.tif"]
    for path in rasters:
        shutil.copy(raster, path)

    results = run(tmp_path / "maps", rasters=tuple(rasters), also=("polygons", "areas"))

    assert [sorted(path.name for path in result.files.values()) for result in results] == [
        ["a.2023.areas.csv", "a.2023.areas.json", "a.2023.gpkg", "a.2023.qml", "a.2023.tif"],
        ["a.2024.areas.csv", "a.2024.areas.json", "a.2024.gpkg", "a.2024.qml", "a.2024.tif"],
    ]


@pytest.mark.parametrize("name", ["map", "map.jpg", "map.tif.bak", "map.gpkg"])
def test_a_map_has_the_name_of_a_geotiff(run, tmp_path, name):
    with pytest.raises(OutputError, match=r"does not fit a class map; expected a name that ends in \.tif"):
        run(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_several_rasters_need_a_folder_and_so_does_their_confidence(run, raster, tmp_path):
    with pytest.raises(OutputError, match=r"maps\.tif: the output for several maps must be a folder"):
        run(tmp_path / "maps.tif", rasters=(raster, raster))
    with pytest.raises(OutputError, match=r"sure\.tif: the output for several maps must be a folder"):
        run(f"{tmp_path}/maps/", confidence=tmp_path / "sure.tif")


def test_a_raster_is_not_replaced_by_its_map_through_a_link(run, raster, tmp_path):
    image = tmp_path / "image.tif"
    shutil.copy(raster, image)
    (tmp_path / "soft.tif").symlink_to(image)
    (tmp_path / "hard.tif").hardlink_to(image)

    for name in ("image.tif", "soft.tif", "hard.tif"):
        with pytest.raises(OutputError, match=f"{name}: this file is an input of the same command"):
            run(tmp_path / name, rasters=(image,), overwrite=True)


def test_the_sources_of_a_mosaic_are_not_replaced(run, raster, tmp_path):
    shutil.copy(raster, tmp_path / "image.tif")
    text = """<VRTDataset rasterXSize="96" rasterYSize="96"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
    <SourceFilename relativeToVRT="1">image.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
    </VRTRasterBand></VRTDataset>"""
    bands = "".join(
        text[text.index("<VRTRasterBand") : text.index("</VRTDataset>")].replace('"1">', f'"{b}">', 1)
        for b in (1, 2, 3)
    )
    (tmp_path / "mosaic.vrt").write_text(text[: text.index("<VRTRasterBand")] + bands + "</VRTDataset>")

    with pytest.raises(OutputError, match="an input of the same command"):
        run(tmp_path / "image.tif", rasters=(tmp_path / "mosaic.vrt",), overwrite=True)


def test_a_folder_named_as_that_of_the_strips_stays(run, tmp_path):
    (tmp_path / "map.tif.parts").mkdir()
    (tmp_path / "map.tif.parts" / "thesis.odt").write_text("precious")

    with pytest.raises(OutputError, match=r"map\.tif\.parts: this folder is needed for .*thesis\.odt"):
        run(tmp_path / "map.tif", overwrite=True)
    assert (tmp_path / "map.tif.parts" / "thesis.odt").read_text() == "precious"


def test_settings_from_python_fail_as_everything_else_does(model, raster):
    with pytest.raises(SettingsError, match=r"window: invalid value; expected 32 or more; got 3\."):
        PredictSettings(model=model, rasters=(raster,), output="map.tif", window=3)
    with pytest.raises(SettingsError, match=r"output: a required setting is missing\."):
        PredictSettings(model=model, rasters=(raster,))
    with pytest.raises(SettingsError, match=r"colour: there is no such setting\."):
        PredictSettings(model=model, rasters=(raster,), output="map.tif", colour="red")


def test_unsure_pixels_have_a_code_and_an_area_of_their_own(run, tmp_path):
    (plain,) = run(tmp_path / "plain.tif", confidence=tmp_path / "sure.tif")
    (result,) = run(tmp_path / "map.tif", abstain=0.9, also=("polygons", "areas"))
    with rasterio.open(plain.class_map) as file, rasterio.open(plain.confidence) as sure:
        expected = np.where((file.read() != 255) & (sure.read() < round(0.9 * 254)), 254, file.read())
    with rasterio.open(result.class_map) as file:
        assert np.array_equal(file.read(), expected)
        assert file.colormap(1)[254] == (232, 232, 232, 255)
    unsure = next(area for area in result.areas if area["name"] == "unsure")
    assert unsure["pixels"] == (expected == 254).sum() > 0
    assert 'value="254" label="unsure"' in (tmp_path / "map.qml").read_text()
    class_ids, _, legend = read_class_map(result.class_map)
    assert np.array_equal(class_ids, np.where(expected == 254, 255, expected)[0])
    assert legend.names == ("field", "wood", "water")
    assert "unsure" not in set(gpd.read_file(tmp_path / "map.gpkg", layer="classes")["class"])


def test_a_conformal_layer_counts_the_classes_above_their_thresholds(run, model, tmp_path):
    record = read_record(model)
    if not record.conformal_thresholds:
        with pytest.raises(SettingsError, match="no conformal thresholds"):
            run(tmp_path / "map.tif", also=("conformal",))
        pytest.skip("the model of the tests has no thresholds")
    (result,) = run(tmp_path / "map.tif", also=("probabilities", "conformal"))
    with (
        rasterio.open(result.files["probabilities"]) as file,
        rasterio.open(result.files["conformal"]) as made,
    ):
        probabilities, sizes = file.read(), made.read(1)
    steps = np.floor(np.array(record.conformal_thresholds) * 254)[:, None, None]
    expected = np.where(probabilities[0] == 255, 255, (probabilities >= steps).sum(axis=0))
    assert np.array_equal(sizes, expected)
