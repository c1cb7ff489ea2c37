import matplotlib.image
import numpy as np
import pytest

from geoseg.domain.ports import NullProgress
from geoseg.domain.windows import Window
from geoseg.errors import OutputError, RasterError
from geoseg.geodata.datasets.landscapes import landscape_legend, write_landscapes
from geoseg.geodata.outputs.class_maps import class_map_writer
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.settings import PictureSettings
from geoseg.workflows.picture import picture


@pytest.fixture
def scenes(tmp_path):
    """Two landscapes with a folder of maps that say field everywhere."""
    data = tmp_path / "data"
    write_landscapes(data, {"test": [1, 2]}, size=96, resolution_m=1.0, progress=NullProgress())
    (tmp_path / "maps").mkdir()
    for name in ("scene-1", "scene-2"):
        info = describe_raster(data / "images" / f"{name}.tif")
        path = tmp_path / "maps" / f"{name}.tif"
        with class_map_writer(path, info, landscape_legend(), overwrite=False) as writer:
            writer.write(Window(0, 0, 96, 96), np.zeros((96, 96), np.uint8))
    return data


def test_maps_are_drawn_beside_their_images_and_the_truth(scenes, tmp_path):
    output = tmp_path / "picture.png"
    settings = PictureSettings(data=scenes, maps=(tmp_path / "maps",), output=output, split="test")
    assert picture(settings) == output
    height, width = matplotlib.image.imread(output).shape[:2]
    assert height > 600
    assert width > 1000


def test_a_missing_map_is_named(scenes, tmp_path):
    (tmp_path / "maps" / "scene-2.tif").unlink()
    with pytest.raises(RasterError, match=r"scene-2\.tif"):
        picture(PictureSettings(data=scenes, maps=(tmp_path / "maps",), output=tmp_path / "p.png"))


def test_an_existing_picture_is_kept(scenes, tmp_path):
    settings = PictureSettings(data=scenes, maps=(tmp_path / "maps",), output=tmp_path / "p.png")
    drawn = picture(settings).read_bytes()
    with pytest.raises(OutputError, match=r"p\.png: the file exists\. Use --overwrite to replace it\.$"):
        picture(settings)
    assert (tmp_path / "p.png").read_bytes() == drawn


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_of_the_user_is_never_replaced_by_a_picture(scenes, tmp_path, overwrite):
    (tmp_path / "p.png").write_bytes(b"mine")
    wanted = {"output": tmp_path / "p.png", "overwrite": overwrite}
    with pytest.raises(OutputError, match=r"p\.png: .* is not a picture .* not replaced"):
        picture(PictureSettings(data=scenes, maps=(tmp_path / "maps",), **wanted))
    assert (tmp_path / "p.png").read_bytes() == b"mine"
