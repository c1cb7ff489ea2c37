"""The recipes that cross-validate, and the prior, through the train verb."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import load
from tests.workflows.watching import Watcher, assert_same_weights

from geoseg.domain.points import make_points
from geoseg.errors import GeoSegWarning, PointsError, SettingsError, StoppedError
from geoseg.learning.model_file import read_model, read_record
from geoseg.networks.models.hypercolumns import LAYERS
from geoseg.settings import EvaluateSettings, PredictSettings, TrainSettings
from geoseg.workflows.assessment.evaluate import evaluate
from geoseg.workflows.mapping.predict import predict
from geoseg.workflows.training.deep import absent_classes
from geoseg.workflows.training.train import train

pytestmark = pytest.mark.filterwarnings("ignore:The loss rose:geoseg.errors.GeoSegWarning")


@pytest.fixture
def settings(dataset, points, light, cheap, tmp_path):
    def make(recipe="quick", **options):
        own = {"data": dataset, "points": points, "output": tmp_path / "m.geoseg", "recipe": recipe}
        is_light = recipe in {"quick", "forest", "auto"} and "weights" not in options
        return TrainSettings(**{**(light if is_light else cheap), **own, **options})

    return make


@pytest.mark.slow
def test_quick_makes_a_model_file_that_every_verb_takes(settings, dataset, tmp_path):
    result = train(settings())

    record = read_record(result.model)
    assert (record.recipe, record.architecture.head, record.architecture.scales) == (
        "quick",
        "linear",
        (1, 2),
    )
    assert result.curves is None
    assert result.summary.startswith("loss 0.")
    assert json.loads((tmp_path / "m.run" / "run.json").read_text())["recipe"] == "quick"
    scores = evaluate(EvaluateSettings(subject=result.model, data=dataset))
    assert scores.accuracy.miou > 0.5
    raster = dataset / "images" / "north.tif"
    [mapped] = predict(PredictSettings(model=result.model, rasters=(raster,), output=tmp_path / "map.tif"))
    with rasterio.open(mapped.class_map) as file:
        assert set(np.unique(file.read(1))) <= {0, 1, 2, 255}


@pytest.mark.parametrize(
    ("options", "is_read"),
    [
        ({"bands": (1, 2, 3, 1)}, True),
        pytest.param(*({"bands": (1, 2, 3)}, False), marks=pytest.mark.slow),
        pytest.param(*({"bands": (1, 2, 3, 1), "texture": False}, False), marks=pytest.mark.slow),
        pytest.param(*({"bands": (1, 2, 3, 1), "weights": "none"}, False), marks=pytest.mark.slow),
        pytest.param(*({"bands": (1, 2), "texture": True}, True), marks=pytest.mark.slow),
        ({"bands": (1, 2), "indices": ((1, 2), (2, 1))}, True),
        pytest.param(*({"bands": (1, 2, 3, 1), "recipe": "deep", "epochs": 1}, True), marks=pytest.mark.slow),
    ],
)
def test_bands_that_pretrained_backbones_do_not_know_join_by_their_texture(
    settings, dataset, trained, options, is_read
):
    watcher = Watcher()
    result = train(settings(**{"weights": str(trained), **options}), watcher)

    architecture = read_record(result.model).architecture
    assert architecture.has_texture == is_read
    assert architecture.backbone_bands == (min(3, len(options["bands"])) if is_read else architecture.bands)
    said = [text for text in watcher.said if "are added as separate features" in text]
    assert len(said) == (is_read and (len(options["bands"]) > 3 or "indices" in options))
    assert evaluate(EvaluateSettings(subject=result.model, data=dataset)).accuracy.miou > 0.5


@pytest.mark.slow
def test_a_second_training_reads_nothing_and_gives_the_same_model(settings, tmp_path):
    counts = []

    class Counting(Watcher):
        def start(self, what, total):
            if what == "Reading features":
                counts.append(total)

    kept = {"cache": tmp_path / "features", "overwrite": True}
    models = [train(settings(**kept, **more), Counting()).model.read_bytes() for more in ({}, {})]
    assert len(counts) == 1  # The second time nothing is read.
    train(settings(keep_features=False, overwrite=True), Counting())
    assert len(counts) == 2
    weights = [load(model) for model in (*models, (tmp_path / "m.geoseg").read_bytes())]
    for other in weights[1:]:
        assert all(torch.equal(tensor, other[name]) for name, tensor in weights[0].items())


# The backbone of the fixture cheap, also for the quick that deep is compared with.
NETWORK = {"backbone": "mobilenet_v3_large", "weights": "none"}
DEEP = {"recipe": "deep", "epochs": 2, "patches": 4, "batch": 2, "backbone_rate": 1e-9}


@pytest.mark.slow
def test_deep_starts_from_the_map_of_quick(settings, dataset, tmp_path):
    """At a rate of next to nothing it ends there too."""
    quick = train(settings(**NETWORK)).model
    with pytest.warns(GeoSegWarning, match="Fewer than 30 points .* so it keeps the temperature of quick"):
        deep = train(settings(**{**DEEP, "epochs": 1}, output=tmp_path / "d.geoseg"))

    record = read_record(deep.model)
    assert (record.recipe, record.architecture) == ("deep", read_record(quick).architecture)
    assert record.calibration == read_record(quick).calibration
    assert [epoch["epoch"] for epoch in record.training["history"]] == [1]
    assert deep.curves.exists()
    confusions = [
        evaluate(EvaluateSettings(subject=model, data=dataset)).accuracy.confusion
        for model in (quick, deep.model)
    ]
    assert np.abs(confusions[0] - confusions[1]).sum() <= 0.001 * confusions[0].sum()


@pytest.mark.slow
@pytest.mark.parametrize(
    "losses",
    [
        (),
        ("self-training",),
        ("mean-teacher", "rotations", "cutmix", "class-thresholds", "region-growing", "affinity"),
    ],
)
@pytest.mark.filterwarnings("ignore:Fewer than 30 points can be held out to calibrate deep")
def test_losses_of_deep_change_its_late_stages_alone(settings, tmp_path, losses):
    models = [
        train(settings(**NETWORK)).model,
        train(settings(**DEEP, losses=losses, output=tmp_path / "d.geoseg")).model,
    ]
    states = [read_model(model).network.tensors for model in models]
    changed = {
        name.split(".")[1] for name in states[0] if not np.array_equal(states[0][name], states[1][name])
    }
    stages = LAYERS["mobilenet_v3_large"]
    assert changed
    assert not changed & {*map(str, range(int(stages[1]) + 1))}


@pytest.mark.slow
def test_a_deep_training_goes_on_where_it_was_stopped(settings, tmp_path, monkeypatch):
    whole = train(settings(**DEEP)).model
    from geoseg.workflows.training.run_folder import RunFolder

    keep = RunFolder.after_epoch

    def stop_after_one(folder, record, pack):
        keep(folder, record, pack)
        raise KeyboardInterrupt

    again = settings(**DEEP, output=tmp_path / "d.geoseg")
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "after_epoch", stop_after_one)
        with pytest.raises(StoppedError):
            train(again)
    resumed = train(again.model_copy(update={"resume": True})).model
    assert_same_weights(whole, resumed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("losses", "is_kept"),
    [((1.0, 2.0), False), ((0.9, 1.0, 1.0, 0.95), False), ((1.0, 1.0, 0.5, 1.1), True), ((1.0,), True)],
)
def test_deep_keeps_the_network_of_quick_where_the_loss_rises_over_the_epochs(
    settings, tmp_path, monkeypatch, losses, is_kept
):
    from geoseg.workflows.training import deep

    def fit_so(*arguments, **options):
        fitted = fit(*arguments, **options)
        history = [replace(fitted.history[0], epoch=e + 1, loss=loss) for e, loss in enumerate(losses)]
        return replace(fitted, history=tuple(history))

    fit = deep.fit
    monkeypatch.setattr(deep, "fit", fit_so)
    watcher = Watcher()
    quick = train(settings(**NETWORK)).model
    own = train(settings(**{**DEEP, "backbone_rate": 1e-4}, output=tmp_path / "d.geoseg"), watcher).model
    assert any(text.startswith("The loss rose from ") for text in watcher.said) != is_kept
    assert (read_record(own).training["epoch"] > 0) == is_kept
    assert read_record(own).recipe == ("deep" if is_kept else "quick")
    if is_kept:
        with pytest.raises(AssertionError):
            assert_same_weights(quick, own)
    else:
        assert_same_weights(quick, own)


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (("self-training", "mean-teacher"), "only one teacher"),
        (("rotations", "region-growing"), "rotations needs self-training or mean-teacher"),
        (("magic",), "^losses: .*'self-training'.*; got magic"),
    ],
)
def test_losses_that_do_not_fit_together_are_refused(settings, losses, said):
    with pytest.raises(SettingsError, match=said):
        settings(recipe="deep", losses=losses)


@pytest.fixture
def weighed(tmp_path, dataset):
    """Write points from west to east, field, wood and water, in two images: so many that count, and those after them."""

    def write(name, weightless=()):
        rows = [
            f"{image},{row},{col},{label},1"
            for image in ("east", "west")
            for row in (25, 40, 55, 70, 85)
            for col, label in ((10, "field"), (48, "wood"), (85, "water"))
        ]
        (tmp_path / name).write_text("\n".join(["image,row,col,class,weight", *rows, *weightless]))
        return {"points": tmp_path / name, "legend": dataset / "legend.json"}

    return write


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["quick", "forest", "auto"])
def test_points_without_weight_change_nothing(settings, weighed, tmp_path, recipe):
    wrong = [f"east,{row},85,field,0" for row in (62, 64, 66)]
    models = [
        train(settings(recipe=recipe, minutes=0, output=tmp_path / f"{name}.geoseg", **points)).model
        for name, points in (("one", weighed("a.csv")), ("other", weighed("b.csv", wrong)))
    ]
    assert_same_weights(*models)
    records = [read_record(model) for model in models]
    assert records[0].calibration == records[1].calibration


@pytest.mark.parametrize("recipe", ["quick", "forest", "auto", "deep", "pfce"])
@pytest.mark.filterwarnings("ignore:No point is held out")
def test_points_that_all_weigh_nothing_are_refused(settings, dataset, tmp_path, recipe):
    rows = "\n".join(f"east,40,{col},{label},0" for col, label in ((10, "field"), (48, "wood")))
    (tmp_path / "none.csv").write_text("image,row,col,class,weight\n" + rows)
    with pytest.raises(PointsError, match=r"no training point is left; expected .* weight above 0"):
        train(settings(recipe=recipe, points=tmp_path / "none.csv"))


@pytest.mark.parametrize("recipe", ["quick", "forest"])
def test_what_cross_validates_fits_to_all_points(settings, recipe):
    assert train(settings(recipe=recipe)).record.training["points_held_out"] == 0


def test_a_forest_is_a_model_as_any_other(settings, dataset, all_trees):
    result = train(settings(recipe="forest"))

    record = read_record(result.model)
    assert (record.recipe, record.architecture.head) == ("forest", "forest")
    assert result.summary.startswith("100 trees, loss 0.")
    assert result.validation.statement.startswith("Validation by place: overall accuracy ")
    told = record.training["validation"]
    assert told == result.validation.to_record()
    assert np.sum(told["at_points"]["confusion"]) == told["points"] == sum(told["points_by_class"].values())
    assert evaluate(EvaluateSettings(subject=result.model, data=dataset)).accuracy.miou > 0.5


def test_the_same_points_give_the_same_model(settings, tmp_path):
    one, other = train(settings()).model, train(settings(output=tmp_path / "n.geoseg")).model
    assert read_record(one).calibration == read_record(other).calibration
    states = [read_model(path).network.tensors for path in (one, other)]
    assert all((states[0][name] == states[1][name]).all() for name in states[0])


def test_the_record_tells_what_was_done_with_the_prior(settings):
    watcher = Watcher()
    record = train(settings(), watcher).record

    prior = record.training["prior"]
    assert prior["source"] == "em"
    assert sum(prior["land_shares"]) == pytest.approx(1)
    assert any(text.startswith("Class proportions") for text in watcher.said)
    ratio = prior["trust"] * np.log(np.array(prior["land_shares"]) / prior["point_shares"])
    np.testing.assert_allclose(record.calibration.shift, prior["strength"] * ratio, atol=1e-3)


def test_stated_shares_are_taken_as_they_are(settings):
    record = train(settings(prior="field=2, wood=1, water=1")).record
    assert record.training["prior"]["land_shares"] == (0.5, 0.25, 0.25)


def test_shares_come_from_a_random_sample_of_points(settings, points):
    record = train(settings(prior=str(points))).record
    np.testing.assert_allclose(record.training["prior"]["land_shares"], [1 / 3] * 3)
    assert record.calibration.shift == pytest.approx((0, 0, 0))


def test_without_a_prior_the_odds_stay_those_of_the_points(settings):
    watcher = Watcher()
    record = train(settings(prior="none"), watcher).record
    assert record.calibration.shift is None
    assert record.calibration.temperature != 1
    assert "Class proportions are not corrected (prior: none)." in watcher.said


@pytest.mark.parametrize(
    "prior", ["field=1", "field=1,wood=1,lake=1", "field=a,wood=1,water=1", "field=-1,wood=1,water=1"]
)
def test_shares_of_other_classes_or_none_are_refused(settings, prior):
    with pytest.raises(SettingsError, match=r"--prior: invalid class proportions; expected .*field=0\.2"):
        train(settings(prior=prior))


def test_pfce_corrects_its_prior_by_the_points_held_out(settings):
    record = train(settings(recipe="pfce", check_share=0.4)).record
    assert record.training["prior"]["source"] == "em"
    assert len(record.calibration.shift) == 3


def test_pfce_says_when_nothing_was_held_out_to_correct_by(settings):
    watcher = Watcher()
    record = train(settings(recipe="pfce", check_share=0), watcher).record
    assert record.calibration.shift is None
    assert any("no point was held out for calibration" in text for text in watcher.said)


def test_the_prior_changes_the_odds_and_nothing_else(settings, dataset, tmp_path):
    plain = train(settings(prior="none")).model
    stated = train(settings(prior="field=8,wood=1,water=1", output=tmp_path / "n.geoseg")).model
    shares = []
    for model in (plain, stated):
        output = tmp_path / f"{model.stem}.tif"
        predict(PredictSettings(model=model, rasters=(dataset / "images" / "north.tif",), output=output))
        with rasterio.open(output) as file:
            shares.append((file.read(1) == 0).mean())
    assert shares[1] >= shares[0]


def test_a_wrong_prior_is_named_before_anything_is_fitted(settings, tmp_path):
    watcher = Watcher()
    with pytest.raises(PointsError, match="emm"):
        train(settings(recipe="pfce", prior="emm"), watcher)
    assert not any("Weights" in text for text in watcher.said)


def test_land_without_a_valid_pixel_leaves_the_odds_alone(settings, dataset, monkeypatch):
    watcher = Watcher()
    from geoseg.learning.features import reading

    monkeypatch.setattr(reading, "UNLABELLED_PER_SQUARE", 0)
    for recipe in ("quick", "forest"):
        record = train(settings(recipe=recipe, overwrite=True), watcher).record
        assert record.calibration.shift is None
    assert any("no valid pixel was found" in text for text in watcher.said)


def test_quick_takes_a_backbone_of_timm_and_its_model_file_goes_everywhere(settings, dataset, tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(1)
    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "w.pth")
    model = train(settings(backbone="resnet18", weights=str(tmp_path / "w.pth"))).model

    assert read_record(model).architecture.backbone == "resnet18"
    assert evaluate(EvaluateSettings(subject=model, data=dataset)).accuracy.miou > 0.5


def test_pfce_takes_backbones_of_its_own_alone(settings):
    with pytest.raises(SettingsError, match="recipe pfce takes a backbone of resnet50, resnet101"):
        settings(recipe="pfce", backbone="convnext_tiny")


def test_a_class_without_a_point_in_an_image_can_be_declared_absent_there():
    names = np.array(["east", "east", "west"])
    points = make_points(names, np.zeros(3), np.zeros(3), np.array([0, 2, 1]))
    assert absent_classes(points, 3) == {"east": (False, True, False), "west": (True, False, True)}


@pytest.mark.slow
def test_deep_learns_with_classes_declared_absent(settings, tmp_path):
    plain = train(settings(**DEEP)).model
    absent = train(settings(**DEEP, absent_classes=True, output=tmp_path / "a.geoseg")).model
    assert read_record(absent).training["settings"]["absent_classes"]
    assert read_model(plain).network.tensors.keys() == read_model(absent).network.tensors.keys()
