"""Commands that need no network load none of the libraries that take seconds to load."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "lightning_fabric", "sklearn", "onnxruntime", "openvino", "timm"}
_RUN = """
import json, sys
from geoseg.__main__ import main
codes = []
for command in json.loads(sys.argv[1]):
    sys.argv = ["geoseg", *command]
    try:
        main()
    except SystemExit as stop:
        codes.append(stop.code or 0)
sys.stdout.write("\\n" + json.dumps({"codes": codes, "modules": sorted(sys.modules)}))
"""


@pytest.fixture
def loaded_by():
    """Run commands one after another in a fresh process; return the top-level modules loaded at the end."""

    def run(*commands: list[str]) -> set[str]:
        texts = json.dumps([[str(word) for word in command] for command in commands])
        process = subprocess.run(
            [sys.executable, "-c", _RUN, texts], capture_output=True, text=True, check=True
        )
        outcome = json.loads(process.stdout.splitlines()[-1])
        assert outcome["codes"] == [0] * len(commands), process.stderr
        return {name.partition(".")[0] for name in outcome["modules"]}

    return run


def test_help_and_info_of_a_model_load_no_network_and_no_tables(loaded_by, model, raster):
    loaded = loaded_by(["--help"], ["evaluate", "--help"], ["info", model], ["info", raster])

    assert loaded & (HEAVY | {"geopandas", "pandas", "matplotlib", "scipy"}) == set()


def test_points_scores_of_maps_and_pictures_load_no_network(loaded_by, dataset, tmp_path):
    drawn = tmp_path / "points.gpkg"
    folder = dataset / "masks"

    loaded = loaded_by(
        ["points", "sample", dataset, "--split", "test", "--per-class", "2", "-o", drawn],
        ["evaluate", folder / "north.tif", "--legend", dataset / "legend.json", "--points", drawn],
        ["points", "audit", drawn, "--raster", dataset / "images" / "north.tif"],
        ["points", "split", drawn, "--no-by-place", "--check", "0.5", "-o", tmp_path / "split"],
        ["picture", dataset, folder, "--split", "test", "-o", tmp_path / "picture.png"],
    )

    assert loaded & HEAVY == set()


def test_an_assessment_loads_no_network(loaded_by, dataset, tmp_path):
    (tmp_path / "matrix.csv").write_text("map,field,pixels\nfield,9,100\n")

    loaded = loaded_by(
        ["assess", "design", dataset / "masks" / "north.tif", "--size", "20", "-o", tmp_path / "sample.gpkg"],
        ["assess", "estimate", "--matrix", tmp_path / "matrix.csv"],
    )

    assert loaded & HEAVY == set()
