"""Points in any coordinate system and order give the same model."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.settings import PredictSettings, TrainSettings
from geoseg.workflows.mapping.predict import predict
from geoseg.workflows.training.train import train

pytestmark = pytest.mark.filterwarnings("ignore::geoseg.errors.GeoSegWarning")

SYSTEMS = (
    *("EPSG:32617", "EPSG:4326", "EPSG:4267", "EPSG:26717", "EPSG:3857"),
    # Above: NAD27, with a shift of datum. Below: UTM across a zone border, and national and polar grids.
    *("EPSG:32616", "EPSG:5070", "EPSG:3347", "EPSG:6933", "EPSG:3995"),
)
WEST, NORTH = 500_000, 4_000_000
_MAPS = {}


@pytest.mark.slow
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(system=st.sampled_from(SYSTEMS), seed=st.integers(0, 1000))
def test_reprojected_and_shuffled_points_give_the_same_map(
    write_tiff, light, tmp_path_factory, system: str, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("equal")
    rng = np.random.default_rng(0)
    values = rng.integers(20, 60, (3, 96, 96)).astype(np.uint8)
    values[:, :, 48:] += 120
    raster = write_tiff(folder / "r.tif", values)
    pixels = rng.permutation(96 * 96)[:40]
    row, col = pixels // 96, pixels % 96
    to = pyproj.Transformer.from_crs("EPSG:32617", system, always_xy=True)
    x, y = to.transform(WEST + col + 0.5, NORTH - row - 0.5)
    order = np.random.default_rng(seed).permutation(40)
    names = np.where(col < 48, "water", "sand")
    rows = [f"{float(x[k])!r},{float(y[k])!r},{names[k]}" for k in order]
    (folder / "p.csv").write_text("\n".join(["x,y,class", *rows]))
    options = {name: light[name] for name in ("patch", "device", "precision")}
    train(
        TrainSettings(
            data=raster,
            points=folder / "p.csv",
            crs=system,
            recipe="forest",
            output=folder / "m.geoseg",
            **options,
        )
    )
    predict(PredictSettings(model=folder / "m.geoseg", rasters=(raster,), output=folder / "map.tif"))
    with rasterio.open(folder / "map.tif") as file:
        found = file.read(1)
    assert np.array_equal(found, _MAPS.setdefault("first", found))
