"""The design of an assessment: what the sample file holds, and what is never drawn."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import numpy as np
import pyogrio
import pytest
import rasterio

from geoseg.domain.points import make_points
from geoseg.errors import LegendError, OutputError, RasterError, SettingsError
from geoseg.geodata.assessment import class_map_windows
from geoseg.geodata.outputs.class_maps import origin_tags
from geoseg.geodata.points.training_places import places_of
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.settings import AssessDesignSettings
from geoseg.workflows.assessment.design import assess_design


@pytest.fixture
def draw(finished_map, tmp_path):
    def run(class_map=None, name="sample.gpkg", **options):
        options = {"size": 120, **options}
        settings = AssessDesignSettings(
            class_map=class_map or finished_map(), output=tmp_path / name, **options
        )
        return assess_design(settings)

    return run


def layer(found, name):
    return pyogrio.read_dataframe(found.output, layer=name)


def value(found, key):
    table = layer(found, "design").set_index("key")["value"]
    return json.loads(table[key])


def test_a_sample_holds_an_empty_form_and_the_design(draw):
    found = draw()

    form = layer(found, "sample")
    assert list(form.columns) == [
        *("id", "reference", "unsure", "note", "stratum", "inclusion_probability", "geometry"),
    ]
    assert form["id"].tolist() == list(range(1, 121))
    assert form["reference"].isna().all()
    assert not form["unsure"].any()
    strata = layer(found, "strata").set_index("name")
    assert strata["pixels"].to_dict() == {"field": 3340, "wood": 3560, "water": 2400}
    assert strata["area_m2"].to_dict() == {"field": 3340.0, "wood": 3560.0, "water": 2400.0}
    assert strata["sampled"].sum() == 120
    probability = form.groupby("stratum")["inclusion_probability"].first()
    assert probability.tolist() == (strata["sampled"] / strata["pixels"]).tolist()


def test_drawn_pixels_have_the_class_of_the_map_and_never_nodata(draw, finished_map):
    found = draw(size=400)

    units, ids = layer(found, "units"), rasterio.open(finished_map()).read(1)
    classes = ids[units["row"], units["col"]]
    assert (classes != 255).all()
    assert [("field", "wood", "water")[k] for k in classes] == units["map_class"].tolist()
    assert len(units[["row", "col"]].drop_duplicates()) == 400


def test_the_points_lie_on_pixel_centres_in_the_crs_of_the_map(draw):
    found = draw()
    form, units = layer(found, "sample"), layer(found, "units")

    assert form.crs.to_epsg() == 32617
    assert form.geometry.x.tolist() == (500_000 + units["col"] + 0.5).tolist()
    assert form.geometry.y.tolist() == (4_000_000 - units["row"] - 0.5).tolist()


def test_the_map_class_is_shown_only_on_request(draw):
    assert "map_class" not in layer(draw(), "sample")
    shown = draw(name="shown.gpkg", show_map_class=True)
    assert layer(shown, "sample")["map_class"].tolist() == layer(shown, "units")["map_class"].tolist()


def test_the_order_of_the_points_tells_nothing_about_their_strata(draw):
    strata = layer(draw(), "sample")["stratum"].to_numpy()

    assert (np.diff(strata) != 0).sum() > 40


def test_the_form_offers_the_classes_of_the_map(draw):
    qml = layer(draw(), "layer_styles")["styleQML"][0]

    root = ET.fromstring(qml.partition("\n")[2])
    widgets = {f.get("name"): f.find("editWidget").get("type") for f in root.iter("field") if len(f)}
    assert widgets["reference"] == "ValueMap"
    assert widgets["stratum"] == widgets["inclusion_probability"] == "Hidden"
    entries = root.find(".//editWidget[@type='ValueMap']").iter("Option")
    assert [e.get("value") for e in entries if e.get("value")] == ["field", "wood", "water"]


def test_the_same_seed_draws_the_same_points_whatever_the_windows(draw, monkeypatch):
    def places(found):
        return set(zip(layer(found, "units")["row"], layer(found, "units")["col"], strict=True))

    first = places(draw())
    assert places(draw(name="again.gpkg")) == first
    assert places(draw(name="other.gpkg", seed=1)) != first
    monkeypatch.setattr(class_map_windows, "WINDOW_PX", 32)
    found = draw(name="windows.gpkg")
    assert len(places(found)) == 120
    assert [row.pixels for row in found.strata] == [3340, 3560, 2400]


def test_the_size_follows_from_the_standard_error(draw):
    found = draw(size=None, target_se=0.04, expected_users=("0.5",))

    # n = 0.5^2 / (0.04^2 + 0.5^2 / 9300) = 153.6.
    assert found.size == 154
    assert found.expected_standard_error == pytest.approx(0.04, abs=2e-4)


def test_an_expected_accuracy_may_be_given_for_one_class(draw):
    found = draw(allocation="neyman", expected_users=("0.99", "Wood=0.5"), min_per_stratum=2)

    sizes = {row.name: row.sampled for row in found.strata}
    assert sizes["wood"] > 5 * sizes["field"]


@pytest.mark.parametrize("design", ["simple", "systematic", "cluster"])
def test_other_designs_record_what_their_estimates_need(draw, design):
    found = draw(design=design)

    units = layer(found, "units")
    assert value(found, "design") == design
    assert 90 <= found.size <= 180
    assert sum(row.pixels for row in found.strata) == 9300
    if design == "cluster":
        assert units["cluster"].nunique() == value(found, "clusters_sampled")
    else:
        assert units["inclusion_probability"].nunique() == 1


def test_strata_may_come_from_another_raster(draw, write_tiff, tmp_path):
    zones = np.zeros((80, 120), np.uint8)
    zones[40:] = 7
    found = draw(strata=write_tiff(tmp_path / "zones.tif", zones))

    assert [(row.name, row.pixels) for row in found.strata] == [("0", 4500), ("7", 4800)]
    assert set(layer(found, "units")["map_class"]) == {"field", "wood", "water"}


def test_pixels_of_training_points_are_never_drawn(draw, finished_map):
    path = finished_map()
    info = describe_raster(path)
    rows, cols = np.meshgrid(np.arange(0, 80, 2), np.arange(0, 120, 2), indexing="ij")
    points = make_points("map", rows.ravel(), cols.ravel(), np.zeros(rows.size))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**origin_tags({}, places_of(points, {"map": info}, "0")))

    found = draw(path, size=600)

    units = layer(found, "units")
    assert found.training_pixels >= rows.size
    assert not ((units["row"] % 2 == 0) & (units["col"] % 2 == 0)).any()
    # The map that is assessed is still the whole map.
    assert sum(row.pixels for row in found.strata) == 9300


def test_a_map_in_degrees_has_the_area_of_its_pixels_on_the_ground(draw, finished_map):
    from affine import Affine

    path = finished_map("degrees.tif", transform=Affine(0.01, 0, 10, 0, -0.01, 60), crs="EPSG:4326")
    found = draw(path)

    units = layer(found, "units").sort_values("row")
    assert units["pixel_m2"].is_monotonic_increasing
    # A cell of 0.01 degrees at 59.6 degrees north: about 1114 m x 565 m.
    assert units["pixel_m2"].mean() == pytest.approx(1114 * 565, rel=0.02)
    assert sum(row.area_m2 for row in found.strata) == pytest.approx(9300 * 1114 * 565, rel=0.02)


def test_a_map_without_crs_and_names_has_its_values_as_classes_and_no_areas(draw, finished_map):
    found = draw(finished_map("plain.tif", crs=None, names=None))

    assert [row.name for row in found.strata] == ["0", "1", "2"]
    assert found.to_record()["strata"][0]["area_m2"] is None
    json.dumps(found.to_record(), allow_nan=False)


def test_a_sample_with_labels_is_never_replaced(draw, interpreter, tmp_path):
    draw()
    draw(overwrite=True)
    interpreter.label(tmp_path / "sample.gpkg", "done.gpkg")

    with pytest.raises(OutputError, match="not a sample without labels"):
        draw(name="done.gpkg", overwrite=True)


def test_what_cannot_be_drawn_is_refused(draw, finished_map, write_tiff, tmp_path):
    with pytest.raises(RasterError, match="no pixel can be drawn"):
        draw(finished_map("empty.tif", np.full((4, 4), 255, np.uint8)))
    with pytest.raises(SettingsError, match="too small for its strata"):
        draw(size=10, min_per_stratum=50)
    with pytest.raises(SettingsError, match="no such stratum"):
        draw(expected_users=("road=0.9",))
    with pytest.raises(SettingsError, match="from 0 to 1"):
        draw(expected_users=("high",))
    with pytest.raises(SettingsError, match="needs the design stratified"):
        draw(design="simple", strata=tmp_path / "zones.tif")
    with pytest.raises(RasterError, match="wrong size"):
        draw(strata=write_tiff(tmp_path / "zones.tif", np.zeros((5, 5), np.uint8)))
    with pytest.raises(LegendError, match="values without a class name"):
        draw(finished_map("unnamed.tif", names=("field", "wood")))
