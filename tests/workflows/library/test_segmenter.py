"""The estimator: fit on points, predict rasters of any kind, save and load."""

import geopandas
import numpy as np
import pytest
import rasterio
from sklearn.base import clone
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.utils.validation import check_is_fitted

import geoseg
from geoseg import NotFittedError, PointSegmenter, SettingsError
from geoseg.settings import TrainSettings


def _share_right(found, truth):
    return (found == truth)[truth != 255].mean()


def test_arrays_in_arrays_out_with_no_data_where_there_is_none(fitted, scene):
    pixels, truth = scene

    found = fitted.predict(pixels)

    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.shape) == (np.uint8, truth.shape)
    np.testing.assert_array_equal(found == 255, (pixels == 0).all(axis=0))
    assert _share_right(found, truth) > 0.85
    assert fitted.classes_.tolist() == ["field", "wood", "water"]


def test_probabilities_add_up_to_1_and_agree_with_the_map(fitted, scene):
    pixels, _ = scene

    shares = fitted.predict_proba(pixels)

    assert (shares.dtype, shares.shape) == (np.float32, (3, 96, 96))
    is_mapped = ~np.isnan(shares).any(axis=0)
    np.testing.assert_array_equal(is_mapped, (pixels != 0).any(axis=0))
    np.testing.assert_allclose(shares.sum(axis=0)[is_mapped], 1, atol=1.5 / 254)
    best = shares[:, is_mapped].max(axis=0)
    mapped = np.take_along_axis(shares[:, is_mapped], fitted.predict(pixels)[is_mapped][None].astype(int), 0)
    np.testing.assert_allclose(mapped[0], best, atol=1 / 254)


def test_paths_and_point_files_go_in_too_and_give_the_same_as_the_command(dataset, points, raster, tmp_path):
    images = [dataset / "images" / f"{name}.tif" for name in ("east", "west")]
    own = {"patch": 64, "prior": "none", "device": "cpu"}

    segmenter = PointSegmenter("forest", **own).fit(images, points)
    geoseg.train(data=dataset, points=points, output=tmp_path / "m.geoseg", recipe="forest", **own)
    (made,) = geoseg.predict(model=tmp_path / "m.geoseg", rasters=raster, output=tmp_path / "map.tif")

    with rasterio.open(made.class_map) as written:
        np.testing.assert_array_equal(segmenter.predict(raster), written.read(1))


@pytest.mark.filterwarnings("ignore:The forest has 15 points for 27 features")
def test_a_geodataframe_gives_the_points_in_any_crs(dataset, points, raster):
    frame = geopandas.read_file(points, layer="points").to_crs("EPSG:4326")
    only = frame[frame["image"] == "east"][["class", "geometry"]]

    segmenter = PointSegmenter("forest", patch=64, prior="none").fit(dataset / "images" / "east.tif", only)

    assert set(np.unique(segmenter.predict(raster))) <= {0, 1, 2, 255}
    assert sorted(segmenter.classes_) == ["field", "water", "wood"]


def test_a_list_of_arrays_takes_a_list_of_points(scene, grid_points):
    pixels, truth = scene
    halves = [pixels[:, :, :64], pixels[:, :, 32:]]
    west = grid_points[grid_points[:, 1] < 64]
    east = grid_points[grid_points[:, 1] >= 32] - [0, 32, 0]

    segmenter = PointSegmenter("forest", patch=64, prior="none", nodata=0).fit(halves, [west, east])

    assert _share_right(segmenter.predict(pixels), truth) > 0.85


def test_a_saved_model_is_loaded_fitted_and_maps_alike(fitted, scene, tmp_path):
    fitted.save(tmp_path / "model.geoseg")

    loaded = geoseg.load_model(tmp_path / "model.geoseg", device="cpu")

    np.testing.assert_array_equal(loaded.predict(scene[0]), fitted.predict(scene[0]))
    assert loaded.get_params()["recipe"] == "forest"
    assert loaded.get_params()["nodata"] == 0
    with pytest.raises(geoseg.OutputError, match="overwrite"):
        fitted.save(tmp_path / "model.geoseg")
    fitted.save(tmp_path / "model.geoseg", overwrite=True)


def test_a_network_is_fitted_and_saved_likewise(scene, grid_points, tmp_path):
    cheap = {"backbone": "mobilenet_v3_large", "weights": "none", "patch": 64, "device": "cpu"}

    segmenter = PointSegmenter("quick", prior="none", nodata=0, **cheap).fit(scene[0], grid_points)
    segmenter.save(tmp_path / "model.geoseg")

    loaded = geoseg.load_model(tmp_path / "model.geoseg", device="cpu")
    np.testing.assert_array_equal(loaded.predict(scene[0]), segmenter.predict(scene[0]))


def test_it_is_an_estimator_of_scikit_learn(fitted):
    copy = clone(fitted)

    assert copy.get_params() == fitted.get_params()
    check_is_fitted(fitted)
    with pytest.raises(SklearnNotFittedError):
        check_is_fitted(copy)
    assert copy.set_params(recipe="quick").recipe == "quick"


def test_before_fit_it_says_so_in_an_error_of_both_trees(scene, tmp_path):
    segmenter = PointSegmenter()
    for use in (segmenter.predict, segmenter.predict_proba):
        with pytest.raises(NotFittedError, match=r"^PointSegmenter: this model is not fitted\. Call fit"):
            use(scene[0])
    with pytest.raises(geoseg.GeoSegError):
        segmenter.save(tmp_path / "model.geoseg")
    with pytest.raises(SklearnNotFittedError):
        _ = segmenter.classes_


def test_its_defaults_are_those_of_the_command():
    own = PointSegmenter().get_params()
    differ = {"recipe", "keep_features"}

    assert {n: v for n, v in own.items() if n not in differ} == {
        name: TrainSettings.model_fields[name].default for name in own if name not in differ
    }


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"recipe": "quik"}, r"^recipe: .* got quik\.$"),
        ({"patch": 50}, r"^patch: .* got 50\.$"),
        ({"seed": -1}, r"^seed: .* got -1\.$"),
    ],
)
def test_a_wrong_parameter_is_named_as_in_python(scene, grid_points, parameters, message):
    with pytest.raises(SettingsError, match=message):
        PointSegmenter(**parameters).fit(scene[0], grid_points)


def test_wrong_rasters_and_points_are_named_too(scene, grid_points):
    segmenter = PointSegmenter("forest", patch=64)
    with pytest.raises(SettingsError, match=r"^raster: this is no raster; .* got int\.$"):
        segmenter.fit(3, grid_points)
    with pytest.raises(SettingsError, match=r"^points: these are no points; .* got an array of shape"):
        segmenter.fit(scene[0], grid_points[:, :2])
    with pytest.raises(SettingsError, match=r"^rasters: there is no raster\.$"):
        segmenter.fit([], grid_points)
    with pytest.raises(geoseg.RasterError, match=r"this array is no raster; expected numbers of shape"):
        segmenter.fit(scene[0][0, 0], grid_points)
    with pytest.raises(geoseg.PointsError, match=r"^points: the table holds no points\.$"):
        segmenter.fit(scene[0], grid_points[:0])


def test_messages_name_no_temporary_file_and_no_option(scene, grid_points):
    outside = np.add(grid_points, [200, 0, 0])
    with pytest.raises(geoseg.PointsError) as fault:
        PointSegmenter("forest", patch=64).fit(scene[0], outside)
    assert "/tmp" not in str(fault.value)
    assert "--" not in str(fault.value)


def test_too_few_bands_are_refused(fitted, scene):
    with pytest.raises(geoseg.RasterError, match="lacks bands that the model was trained on"):
        fitted.predict(scene[0][:2])
