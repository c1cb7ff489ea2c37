"""A map that was stopped goes on from its finished strips, and every file beside it says the same."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.shutil

from geoseg.domain.mapping.prediction import plan_windows
from geoseg.errors import GeoSegError, OutputError, RasterError, StoppedError
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.settings import PredictSettings
from geoseg.workflows.mapping.engines import build_engine
from geoseg.workflows.mapping.predict import predict
from geoseg.workflows.mapping.raster_map import MapJob, MapTask, map_raster, missing_ranges

# Noise is mapped here, unlike the landscape that the model learnt.
pytestmark = pytest.mark.filterwarnings("ignore:.*many values lie outside the range")


def _write_tall(write_tiff, path):
    """Write a raster of nine strips at windows of 64 px."""
    rng = np.random.default_rng(4)
    blocks = rng.integers(1, 255, (3, 18, 4), np.uint8).repeat(32, axis=1).repeat(32, axis=2)
    noise = rng.integers(0, 20, blocks.shape, np.uint8)
    return write_tiff(path, np.clip(blocks.astype(int) + noise, 1, 255).astype(np.uint8))


@pytest.fixture
def tall(write_tiff, tmp_path):
    """A raster of nine strips at windows of 64 px."""
    return _write_tall(write_tiff, tmp_path / "in" / "tall.tif")


@pytest.fixture(scope="module")
def unbroken(model, write_tiff, tmp_path_factory):
    """The class map of that raster, made without a stop."""
    folder = tmp_path_factory.mktemp("unbroken")
    predict(settings(model, _write_tall(write_tiff, folder / "tall.tif"), folder / "map.tif"))
    return read_class_map(folder / "map.tif")[0]


def settings(model, raster, output, **options) -> PredictSettings:
    exact = {"device": "cpu", "precision": "float32", "window": 64}
    return PredictSettings(model=model, rasters=(raster,), output=output, **{**exact, **options})


class After:
    """Progress whose watcher stops the work after some windows, and remembers how many there were."""

    def __init__(self, windows: int, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.left, self.error, self.seen, self.said = windows, error, 0, list[str]()

    def start(self, what: str, total: int) -> None: ...

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.seen += steps
        self.left -= steps
        if self.left == 0:
            raise self.error

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say


def test_the_ranges_that_are_missing() -> None:
    assert list(missing_ranges(set(), range(3))) == [range(3)]
    assert list(missing_ranges({0, 1, 4}, range(7))) == [range(2, 4), range(5, 7)]
    assert list(missing_ranges({0, 1, 2}, range(3))) == []
    assert list(missing_ranges({0, 5}, range(4, 8))) == [range(4, 5), range(6, 8)]


@pytest.mark.parametrize("windows", [3, 9, 17])
def test_a_stopped_map_goes_on_and_is_the_same_to_the_pixel(model, tall, unbroken, tmp_path, windows) -> None:
    parts = tmp_path / "parts.tif"
    with pytest.raises((StoppedError, KeyboardInterrupt)):
        predict(settings(model, tall, parts), After(windows))
    finished = len(list((tmp_path / "parts.tif.parts").glob("*.npz")))
    again = After(-1)
    predict(settings(model, tall, parts), again)
    assert np.array_equal(unbroken, read_class_map(parts)[0])
    assert not (tmp_path / "parts.tif.parts").exists()
    if finished:
        assert any(f"resuming; {finished} of 9 strips are finished" in text for text in again.said)


def test_the_stop_says_how_far_it_came(model, tall, tmp_path) -> None:
    with pytest.raises(StoppedError, match=r"tall\.tif: stopped; [1-9] of 9 strips .*Repeat the command"):
        predict(settings(model, tall, tmp_path / "map.tif"), After(9))


def test_strips_of_other_settings_are_refused_until_they_may_go(model, tall, tmp_path) -> None:
    path = tmp_path / "map.tif"
    with pytest.raises(StoppedError):
        predict(settings(model, tall, path), After(9))
    with pytest.raises(OutputError, match=r"differ in core_px.*expected core_px = 64; got core_px = 128"):
        predict(settings(model, tall, path, window=128))
    predict(settings(model, tall, path, window=128, overwrite=True))
    assert path.exists()


def test_the_precision_it_was_begun_in_is_kept(model, tall, tmp_path, monkeypatch) -> None:
    path = tmp_path / "map.tif"
    with pytest.raises(StoppedError):
        predict(settings(model, tall, path), After(9))
    monkeypatch.setattr("geoseg.workflows.devices._cpu_multiplies_bf16", lambda: True)
    predict(settings(model, tall, path, precision="auto"))
    assert path.exists()


@pytest.mark.slow
def test_a_killed_process_loses_the_strip_under_way_at_most(model, tall, unbroken, tmp_path) -> None:
    path = tmp_path / "map.tif"
    slow = (
        "import sys, time\n"
        "import geoseg.geodata.outputs.strips as strips\n"
        "keep = strips.StripStore.write\n"
        "def write(self, strip):\n    keep(self, strip); time.sleep(0.3)\n"
        "strips.StripStore.write = write\n"
        "from geoseg.settings import PredictSettings\n"
        "from geoseg.workflows.mapping.predict import predict\n"
        "predict(PredictSettings(model=sys.argv[1], rasters=(sys.argv[2],), output=sys.argv[3],"
        " device='cpu', precision='float32', window=64))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", slow, str(model), str(tall), str(path)])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("map.tif.parts/[!.]*.npz"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not path.exists()
    finished = len(list(tmp_path.glob("map.tif.parts/[!.]*.npz")))
    assert 3 <= finished < 9
    again = After(-1)
    predict(settings(model, tall, path), again)
    assert np.array_equal(unbroken, read_class_map(path)[0])
    # One strip of two windows is computed again for its border with the first new one.
    assert any(f"{finished} of 9 strips" in text for text in again.said)


def test_a_raster_that_breaks_midway_is_named_and_the_others_are_mapped(
    model, tall, raster, tmp_path
) -> None:
    broken = tmp_path / "in" / "broken.tif"
    with rasterio.open(tall) as source:
        profile = {**source.profile, "tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
        with rasterio.open(broken, "w", **profile) as target:
            target.write(source.read())
    content = bytearray(broken.read_bytes())
    middle = len(content) * 3 // 4
    content[middle : middle + 2000] = b"\xff" * 2000
    broken.write_bytes(content)
    both = {"rasters": (broken, raster), "device": "cpu", "precision": "float32", "window": 64}
    messages = After(-1)
    with pytest.raises(
        RasterError, match=r"1 of 2 rasters could not be mapped; the others are mapped.*broken\.tif"
    ):
        predict(PredictSettings(model=model, output=tmp_path / "maps", **both), messages)
    assert (tmp_path / "maps" / f"{raster.stem}.tif").exists()
    assert any("broken.tif" in text for text in messages.said)
    assert list((tmp_path / "maps" / "broken.tif.parts").glob("*.npz"))


def test_maps_that_are_made_are_not_made_again_when_the_command_is_repeated(
    model, tall, raster, tmp_path
) -> None:
    options = {"device": "cpu", "precision": "float32", "window": 64, "also": ("areas",)}
    both = PredictSettings(model=model, rasters=(raster, tall), output=tmp_path / "maps", **options)
    first = tmp_path / "maps" / f"{raster.stem}.tif"
    # The raster has four windows and two strips to write; then comes the other one, of 18 windows.
    with pytest.raises(StoppedError):
        predict(both, After(4 + 2 + 9))
    written = first.stat().st_mtime_ns
    again = After(-1)
    results = predict(both, again)
    assert first.stat().st_mtime_ns == written
    assert any(f"{raster.name}: already mapped" in text for text in again.said)
    assert sum(results[0].pixels.values()) == 96 * 96
    assert [r.class_map.exists() for r in results] == [True, True]
    assert not list((tmp_path / "maps").glob("*.parts"))
    # Now that the command is through, its maps are as safe as any file.
    with pytest.raises(OutputError, match="the file exists"):
        predict(both)


def test_a_map_of_other_polygons_is_made_again(model, tall, raster, tmp_path) -> None:
    def command(simplify):
        options = {"device": "cpu", "precision": "float32", "window": 64, "also": ("polygons",)}
        return PredictSettings(
            model=model, rasters=(raster, tall), output=tmp_path / "maps", simplify=simplify, **options
        )

    first = tmp_path / "maps" / f"{raster.stem}.gpkg"
    with pytest.raises(StoppedError):
        predict(command(0), After(4 + 2 + 9))
    written = first.stat().st_mtime_ns
    predict(command(2.0))
    assert first.stat().st_mtime_ns > written


def test_a_mask_that_was_changed_is_another_raster(model, tall, tmp_path) -> None:
    with rasterio.open(tall) as dataset:
        shape = dataset.shape
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(tall, "r+") as dataset:
        dataset.write_mask(np.full(shape, 255, np.uint8))
    path = tmp_path / "map.tif"
    with pytest.raises(StoppedError):
        predict(settings(model, tall, path), After(9))
    mask = tall.with_name(tall.name + ".msk")
    os.utime(mask, ns=(0, 0))
    with pytest.raises(OutputError, match="differ in raster_files"):
        predict(settings(model, tall, path))


@pytest.mark.parametrize("area", ["no.gpkg", "folder.gdb"])
def test_an_area_that_cannot_be_read_is_named_before_the_work(model, tall, tmp_path, area) -> None:
    (tmp_path / "folder.gdb").mkdir()
    with pytest.raises(RasterError, match=re.escape(area)):
        predict(settings(model, tall, tmp_path / "map.tif", area=tmp_path / area))


@pytest.mark.parametrize("lost", [False, True])
def test_a_stop_between_the_files_of_a_map_is_gone_on_from(
    model, raster, tmp_path, monkeypatch, lost
) -> None:
    path, table = tmp_path / "map.tif", tmp_path / "map.areas.csv"
    with monkeypatch.context() as patched:
        # As a kill would when the map is in place, and its tables are not.
        patched.setattr(
            "geoseg.workflows.mapping.raster_map._write_tables", lambda *_: (_ for _ in ()).throw(MemoryError)
        )
        with pytest.raises(GeoSegError, match="not enough memory"):
            predict(settings(model, raster, path, also=("areas",)))
    assert path.exists()
    assert not table.exists()
    if lost:
        # The map is ours and may be replaced; a table that is not stays.
        table.write_text("of somebody else")
        with pytest.raises(OutputError, match="not replaced"):
            predict(settings(model, raster, path, also=("areas",)))
        assert table.read_text() == "of somebody else"
        return
    predict(settings(model, raster, path, also=("areas",)))
    assert table.read_text().startswith("id,name,")


def test_every_file_beside_the_map_says_the_same(model, raster, classes, tmp_path) -> None:
    also = ("probabilities", "polygons", "areas", "style", "stac")
    path = tmp_path / "map.tif"
    (result,) = predict(
        settings(model, raster, path, also=also, confidence=tmp_path / "sure.tif", min_area=0)
    )
    class_ids, info, _ = read_class_map(path)
    assert all(file.exists() for file in result.files.values())
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [*(f.name for f in result.files.values()), "map.tif.aux.xml"]
    )
    with (
        rasterio.open(tmp_path / "map.probabilities.tif") as dataset,
        rasterio.open(tmp_path / "sure.tif") as sure,
    ):
        assert dataset.descriptions == classes.names
        shares, confidence = dataset.read(), sure.read(1)
        inside = class_ids != 255
        assert np.array_equal(shares.max(axis=0)[inside], confidence[inside])
        assert (shares[:, ~inside] == 255).all()
        assert abs(shares[:, inside].astype(int).sum(axis=0) - 254).max() <= len(classes)
    table = geopandas.read_file(tmp_path / "map.gpkg", layer="classes")
    counts = {k: int((class_ids == k).sum()) for k in range(len(classes))}
    assert table.groupby("class_id")["pixels"].sum().to_dict() == {k: n for k, n in counts.items() if n}
    areas = json.loads((tmp_path / "map.areas.json").read_text())["classes"]
    assert [a["pixels"] for a in areas] == [*counts.values(), int((class_ids == 255).sum())]
    assert areas[0]["hectares"] == pytest.approx(counts[0] / 10_000)
    rows = list(csv.DictReader((tmp_path / "map.areas.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == [*classes.names, "nodata"]
    item = json.loads((tmp_path / "map.stac.json").read_text())
    assert item["properties"]["mlm:output"][0]["classification:classes"][0]["name"] == classes.names[0]
    assert info.crs is not None


def test_a_minimum_area_needs_a_place_on_the_ground(model, write_tiff, tmp_path) -> None:
    plain = write_tiff(tmp_path / "plain.tif", np.ones((3, 40, 40), np.uint8), crs=None)
    with pytest.raises(RasterError, match=r"plain\.tif.*without a CRS.*--min-area"):
        predict(settings(model, plain, tmp_path / "map.tif", also=("polygons",), min_area=10))


@pytest.mark.slow
def test_the_backend_it_was_begun_with_is_kept_and_gives_the_same_map(small, tall, tmp_path) -> None:
    def make(path, progress, **options):
        chosen = settings("", tall, path, **options)
        task = MapTask(describe_raster(tall), {"class_map": path}, replaces=False)
        engine, predictor = build_engine(chosen, small, [task], plan=plan_windows(64, 64), progress=progress)
        map_raster(MapJob(task, engine, chosen), predictor, progress)

    exact, path = tmp_path / "onnx.tif", tmp_path / "map.tif"
    make(exact, After(-1))
    with pytest.raises(StoppedError):
        make(path, After(9), backend="openvino")
    with pytest.raises(
        OutputError, match=r"differ in backend; expected backend = openvino; got backend = onnx"
    ):
        make(path, After(-1), backend="onnx")
    make(path, After(-1), backend="auto")
    assert (read_class_map(exact)[0] == read_class_map(path)[0]).mean() >= 0.999


def test_a_raster_made_of_one_in_an_archive_is_mapped(model, raster, tmp_path) -> None:
    archive, virtual = tmp_path / "in.zip", tmp_path / "in.vrt"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(raster, "raster.tif")
    with rasterio.open(f"/vsizip/{archive}/raster.tif") as source:
        rasterio.shutil.copy(source, virtual, driver="VRT")
    (made,) = predict(settings(model, virtual, tmp_path / "map.tif"))
    assert made.class_map.exists()
