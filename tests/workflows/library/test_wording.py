"""Messages of the library name arguments as they are written in Python, never options of the command line."""

import re

import pytest

import geoseg
from geoseg.workflows.library.wording import in_python_words


@pytest.mark.parametrize(
    ("said", "in_python"),
    [
        ("points are required, except with --recipe full", 'points are required, except with recipe="full"'),
        ("give --truth MASK or --points FILE", "give truth=MASK or points=FILE"),
        ("start from random weights with --weights none.", 'start from random weights with weights="none".'),
        ("a model trained with --prior em", 'a model trained with prior="em"'),
        ("Leave out --prior raster", 'Leave out prior="raster"'),
        ("--backbone-rate may be higher", "backbone_rate may be higher"),
        ("Use --overwrite to replace it", "Use overwrite=True to replace it"),
        ("--no-texture the bands alone", "texture=False the bands alone"),
        ("--precision int8 needs points", 'precision="int8" needs points'),
        ("--backbone: there is no such", "backbone: there is no such"),
        ("the CRS with --crs EPSG:25832", "the CRS with crs=EPSG:25832"),
    ],
)
def test_an_option_and_its_value_become_an_argument(said, in_python):
    assert in_python_words(said) == in_python


@pytest.fixture
def calls(dataset, points, model, raster, tmp_path):
    """Return calls that cannot work, by the message that each should give."""
    own = {"data": dataset, "points": points, "output": tmp_path / "m.geoseg", "recipe": "quick"}
    maps = {"model": model, "rasters": raster, "output": tmp_path / "map.tif"}
    mask = dataset / "masks" / "north.tif"
    return {
        "points are required, except with recipe full": lambda: geoseg.train(**{**own, "points": None}),
        "patch_size: there is no such setting": lambda: geoseg.train(**own, patch_size=64),
        "patch: invalid value; expected a multiple of 32": lambda: geoseg.train(**own, patch=50),
        'weights="none"': lambda: geoseg.train(**own, weights="nowhere.pth"),
        "prior: invalid class proportions": lambda: geoseg.train(**{**own, "weights": "none"}, prior="mud=1"),
        "backbone: there is no such": lambda: geoseg.train(
            **{**own, "weights": "none"}, backbone="resnet_18"
        ),
        "List all used bands with bands": lambda: geoseg.train(
            **{**own, "recipe": "forest"}, indices=["9-1"]
        ),
        "also: invalid value": lambda: geoseg.predict(**maps, also="nothing"),
        "expected truth=MASK or points=FILE": lambda: geoseg.evaluate_files(
            subject=mask, legend=dataset / "legend.json"
        ),
        "as DATA and points=FILE": lambda: geoseg.evaluate_files(subject=model),
        "with output=FOLDER first": lambda: geoseg.picture(
            data=dataset, maps=[tmp_path], output=tmp_path / "p.png"
        ),
        "recipe: invalid value": lambda: geoseg.PointSegmenter("tree").fit(raster, points),
        "device: this device is not available": lambda: geoseg.PointSegmenter(
            "forest", patch=64, device="mps"
        ).fit([dataset / "images" / f"{name}.tif" for name in ("east", "west")], points),
        "overwrite=True": lambda: geoseg.sample(data=dataset, split="train", output=points),
        "per_class: invalid value": lambda: geoseg.sample_points(mask, per_class=0),
    }


def test_no_error_of_a_call_names_an_option(calls):
    said = {}
    for expected, call in calls.items():
        with pytest.raises(geoseg.GeoSegError) as error:
            call()
        said[expected] = str(error.value)
    assert {expected: text for expected, text in said.items() if expected not in text} == {}
    assert [text for text in said.values() if re.search(r"(?<![\w-])--?[a-z]", text)] == []
