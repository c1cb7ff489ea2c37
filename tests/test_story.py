"""The whole story from the terminal: a raster and its truth, points, a model, a map, a score."""

from __future__ import annotations

import json

import numpy as np
import rasterio


def test_points_become_a_map_that_is_scored(geoseg, dataset, raster, classes, lightly, tmp_path):
    points, model, class_map = (tmp_path / name for name in ("points.gpkg", "model.geoseg", "map.tif"))
    per_class = ["--split", "train", "--per-class", 10, "--tile", 48]
    sampled = geoseg("points", "sample", dataset, *per_class, "--seed", 1, "-o", points)
    trained = geoseg("train", dataset, "--points", points, *lightly, "-o", model)
    predicted = geoseg("predict", model, raster, "-o", class_map)
    truth = dataset / "masks" / "north.tif"
    scores = geoseg("evaluate", class_map, "--truth", truth, "--json")
    alike = geoseg("evaluate", model, dataset, "--split", "test", "--json")

    assert [o.code for o in (sampled, trained, predicted, scores, alike)] == [0] * 5
    check_map(class_map, raster, classes)
    of_map, of_model = json.loads(scores.out), json.loads(alike.out)
    for record, name in ((of_map, "map"), (of_model, "north")):
        said = {key: record.pop(key) for key in ("is_accuracy", "statement", "points", "notes", "warnings")}
        assert said == {"is_accuracy": True, "statement": None, "points": None, "notes": [], "warnings": []}
        assert record.pop("images")[name] == record
    assert of_map == of_model
    assert of_map["pixels"] == 96 * 96 - 12 * 20
    assert {"miou", "iou", "overall_accuracy", "confusion"} <= of_map.keys()
    assert of_map["iou"].keys() == set(classes.names)


def check_map(path, raster, classes):
    """The map is a COG on the raster's grid that shows the legend's colours, and nothing where there is none."""
    with rasterio.open(path) as made, rasterio.open(raster) as given:
        assert made.dtypes == ("uint8",)
        assert made.nodata == 255
        assert (made.crs, made.transform, made.shape) == (given.crs, given.transform, given.shape)
        assert made.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert [made.colormap(1)[k][:3] for k in range(3)] == [tuple(rgb) for rgb in classes.rgb.tolist()]
        values = made.read(1)
        np.testing.assert_array_equal(values == 255, given.read_masks(1) == 0)
    assert set(np.unique(values)) <= {0, 1, 2, 255}
