"""Trainings keep features, say where, and read rasters anew whose content has changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from tests.geodata.test_remote import server as _server

from geoseg.learning.cache_folder import cache_size
from geoseg.settings import TrainSettings
from geoseg.workflows.training.train import train

server = _server


class Heard:
    """Progress that keeps what is said."""

    def __init__(self):
        self.said = []

    def start(self, what, total): ...
    def advance(self, steps=1, note=""): ...
    def say(self, text):
        self.said.append(text)

    warn = say


@pytest.fixture
def quick(points, tmp_path, light):
    """Train with the recipe quick, cheaply, and return what was said."""

    def run(data, **settings):
        heard = Heard()
        options = {
            **light,
            "augmentations": 1,
            "scales": 1,
            "recipe": "quick",
            "overwrite": True,
            "prior": "none",
        }
        settings = {"points": points, "output": tmp_path / "m.geoseg", "cache": tmp_path / "kept", **settings}
        train(TrainSettings(data=data, **options, **settings), heard)
        return heard.said

    return run


def test_a_raster_on_a_server_is_trained_on_and_where_its_features_lie_is_said(
    server, dataset, quick, tmp_path
):
    (tmp_path / "east.tif").write_bytes((dataset / "images" / "east.tif").read_bytes())
    url = Path(f"http://127.0.0.1:{server.server_address[1]}/east.tif")
    said = quick(url)
    assert cache_size(tmp_path / "kept")[0] == 1
    assert any(f"are cached in {tmp_path / 'kept'}" in text and "geoseg cache clear" in text for text in said)


def test_features_of_a_virtual_raster_whose_source_changed_are_read_anew(own_dataset, quick, tmp_path):
    source = own_dataset / "images" / "east.tif"
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{n}"><NoDataValue>0</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{source}</SourceFilename><SourceBand>{n}</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for n in (1, 2, 3)
    )
    with rasterio.open(source) as dataset:
        transform, values = dataset.transform, dataset.read()
        profile = dataset.profile
    place = ", ".join(map(str, transform.to_gdal()))
    path = tmp_path / "east.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="96" rasterYSize="96"><SRS>EPSG:32617</SRS><GeoTransform>{place}</GeoTransform>'
        f"{bands}</VRTDataset>"
    )
    quick(path)
    # The same statistics, so that the normalisation does not tell them apart.
    with rasterio.open(source, "w", **profile) as dataset:
        dataset.write(np.ascontiguousarray(values[:, :, ::-1]))
    quick(path)
    assert cache_size(tmp_path / "kept")[0] == 2
