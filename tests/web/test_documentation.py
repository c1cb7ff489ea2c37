"""The commands, the program and the settings file of the guide to the service work as they stand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import rasterio
from PIL import Image

from geoseg.settings.serving import read_serve_settings

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "serve.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path, raster):
    for name in ("image.tif", "large.tif"):
        shutil.copy(raster, tmp_path / name)
    return tmp_path


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_for_images_and_jobs_work(serve, model, folder):
    server = serve(model)
    images, jobs = (b for b in blocks("sh") if "curl" in b)
    for line in images.strip().splitlines():
        said = run(["bash", "-c", line.replace(":5000", f":{server.port}")], folder)
    assert json.loads(said)["classes"][0]["name"] == "field"
    with Image.open(folder / "map.png") as picture:
        assert picture.size == (96, 96)
    assert json.loads((folder / "map.geojson").read_text())["type"] == "FeatureCollection"
    make, show, results, fetch, remove = (
        line.replace(":5000", f":{server.port}") for line in jobs.strip().splitlines()
    )
    said = run(["bash", "-c", make], folder)
    name = re.search(r"Location: /v1/jobs/(\S+)", said)[1]

    def state():
        return json.loads(run(["bash", "-c", show.replace("ID", name)], folder))["state"] == "done"

    server.wait_until(state, "the job")
    assert "map.tif" in run(["bash", "-c", results.replace("ID", name)], folder)
    run(["bash", "-c", fetch.replace("ID", name)], folder)
    with rasterio.open(folder / "map.tif") as dataset:
        assert dataset.shape == (96, 96)
    run(["bash", "-c", remove.replace("ID", name)], folder)
    assert server.get(f"/v1/jobs/{name}").status == 404


@pytest.mark.slow
def test_the_program_in_python_works(server, folder):
    (program,) = blocks("python")
    said = run([sys.executable, "-c", program.replace(":5000", f":{server.port}")], folder)
    assert said.split()[0] == "model"
    with rasterio.open(folder / "map.tif") as dataset:
        assert dataset.crs is not None


def test_the_settings_file_is_valid(tmp_path):
    (text,) = blocks("toml")
    (tmp_path / "service.toml").write_text(text)
    settings = read_serve_settings({}, tmp_path / "service.toml", environment={"GEOSEG_PORT": "8080"})
    assert (settings.host, settings.proxies, settings.port) == ("0.0.0.0", 1, 8080)


@pytest.mark.slow
def test_every_number_of_the_metrics_is_named(server):
    families = re.findall(r"^# TYPE (geoseg_\w+) ", server.get("/metrics").body.decode(), re.MULTILINE)
    for name in families:
        assert name in PAGE, name
