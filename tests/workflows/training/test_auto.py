"""The recipe that chooses among recipes."""

from __future__ import annotations

import re

import pytest
from tests.workflows.watching import Watcher, assert_same_weights

from geoseg.errors import ResumeError, StoppedError, TrainingError
from geoseg.learning.model_file import read_record
from geoseg.learning.recipe_choice import Choice, Score, choose
from geoseg.settings import SampleSettings, TrainSettings
from geoseg.workflows.sample import sample
from geoseg.workflows.training import auto, deep
from geoseg.workflows.training.run_folder import RunFolder
from geoseg.workflows.training.train import train

DEEP = {"epochs": 2, "patches": 4, "batch": 2}


@pytest.fixture
def settings(dataset, points, light, tmp_path):
    def make(**options):
        own = {"data": dataset, "points": points, "output": tmp_path / "m.geoseg", "recipe": "auto"}
        return TrainSettings(**{**light, **own, **options})

    return make


def test_auto_keeps_the_recipe_that_does_better_at_points_left_out_and_says_why(settings, tmp_path):
    watcher = Watcher()
    record = train(settings(minutes=0), watcher).record

    found = record.training["auto"]
    assert set(found["scores"]) == {"quick", "forest"}
    scores = {name: Score(**one) for name, one in found["scores"].items()}
    assert record.recipe == found["chosen"] == choose(scores).best
    kept = "Preferring quick to forest" if record.recipe == "quick" else "Keeping forest"
    assert any(text.startswith(f"{kept}: mean IoU at points of held-out blocks") for text in watcher.said)
    alone = train(settings(recipe=record.recipe, output=tmp_path / "alone.geoseg")).record
    assert alone.calibration == record.calibration


def test_auto_keeps_quick_where_points_are_too_few_to_compare(settings, dataset, raster, tmp_path):
    (tmp_path / "two.csv").write_text("image,row,col,class\nnorth,20,10,field\nnorth,20,80,water\n")
    watcher = Watcher()
    few = settings(data=raster, points=tmp_path / "two.csv", legend=dataset / "legend.json")
    record = train(few, watcher).record

    assert record.recipe == "quick"
    assert "Keeping quick: there are too few points to hold some out for a comparison." in watcher.said


@pytest.fixture(scope="module")
def many(dataset, shared):
    """Forty points per class and training image: enough for some to judge by."""
    path = shared / "many.gpkg"
    return sample(SampleSettings(data=dataset, output=path, split="train", per_class=40)).output


@pytest.fixture
def deep_is_best(monkeypatch):
    """Quick is better than the forest, and deep than quick."""

    def choose(scores):
        return Choice(*["deep" if "deep" in scores else "quick"] * 2, ())

    monkeypatch.setattr(auto, "choose", choose)


@pytest.fixture
def quick_is_ahead(monkeypatch):
    """Quick is better than the forest; it and deep are compared by their scores."""

    def choose_(scores):
        return choose(scores) if "deep" in scores else Choice("quick", "quick", ())

    monkeypatch.setattr(auto, "choose", choose_)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"minutes": 0}, r"the time limit \(--minutes 0\) is reached"),
        ({"epochs": 10**6}, r"which takes about \d{3,} more minutes\. Use --minutes \d{3,} to allow it"),
    ],
)
def test_auto_does_not_try_deep_without_time(settings, many, quick_is_ahead, options, reason):
    watcher = Watcher()
    record = train(settings(points=many, **{**DEEP, **options}), watcher).record

    assert record.recipe == record.training["auto"]["chosen"] == "quick"
    assert record.training["auto"]["deep"]["scores"] == {}
    [said] = [text for text in watcher.said if text.startswith("Not trying deep")]
    assert re.search(reason, said)


def test_auto_does_not_try_deep_where_few_points_would_judge_it(settings, quick_is_ahead):
    watcher = Watcher()
    train(settings(**DEEP), watcher)
    assert "Not trying deep: fewer than 30 points can be held out to score it." in watcher.said


@pytest.mark.slow
def test_auto_keeps_quick_as_it_is_where_deep_is_no_gain(settings, many, quick_is_ahead, tmp_path):
    watcher = Watcher()
    still = {**DEEP, "points": many, "backbone_rate": 1e-9}
    kept = train(settings(**still, minutes=60), watcher)
    alone = train(settings(**still, recipe="quick", output=tmp_path / "q.geoseg"))

    assert "Keeping quick." in watcher.said
    scores = kept.record.training["auto"]["deep"]["scores"]
    assert scores["quick"]["miou"] == pytest.approx(scores["deep"]["miou"], abs=0.05)
    assert kept.record.calibration == alone.record.calibration
    assert_same_weights(kept.model, alone.model)


@pytest.mark.filterwarnings("ignore:The loss rose")
@pytest.mark.slow
def test_auto_judges_deep_at_points_of_places_that_taught_neither(settings, many, deep_is_best, monkeypatch):
    taught, judged = [], []

    def places(points):
        return {
            (str(i), r // 64, c // 64) for i, r, c in zip(points.image, points.row, points.col, strict=True)
        }

    def fine_tune(job, started, **options):
        taught.append(places(job.training_data.data.points))
        return real_tune(job, started, **options)

    def read_logits(network, points, *more, **options):
        judged.append(places(points))
        return real_read(network, points, *more, **options)

    real_tune, real_read = deep.fine_tune, deep.read_logits
    monkeypatch.setattr(deep, "fine_tune", fine_tune)
    monkeypatch.setattr(deep, "read_logits", read_logits)
    record = train(settings(**DEEP, points=many, patch=64, minutes=60)).record

    on_part, on_all = taught
    assert judged[0] == judged[1]
    assert not on_part & judged[0]
    assert on_part | judged[0] == on_all
    assert set(record.training["auto"]["deep"]["scores"]) == {"quick", "deep"}


@pytest.mark.slow
def test_auto_keeps_quick_where_deep_fails(settings, many, deep_is_best, monkeypatch):
    def fail(*_, **__):
        raise TrainingError("the loss is no longer finite")

    monkeypatch.setattr(deep, "fine_tune", fail)
    watcher = Watcher()
    record = train(settings(**DEEP, points=many, minutes=60), watcher).record
    assert record.recipe == record.training["auto"]["chosen"] == "quick"
    [said] = [text for text in watcher.said if text.startswith("Keeping quick, because deep failed")]
    assert "the loss is no longer finite" in said


@pytest.mark.filterwarnings("ignore:The loss rose")
@pytest.mark.slow
def test_auto_that_was_stopped_at_deep_goes_on_and_gives_what_deep_gives(
    settings, many, deep_is_best, tmp_path, monkeypatch
):
    alone = train(settings(**DEEP, points=many, recipe="deep")).model
    keep = RunFolder.after_epoch

    def stop_after_one(folder, record, pack):
        keep(folder, record, pack)
        raise KeyboardInterrupt

    again = settings(**DEEP, points=many, minutes=60, output=tmp_path / "d.geoseg")
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "after_epoch", stop_after_one)
        with pytest.raises(StoppedError):
            train(again)
    with pytest.raises(ResumeError, match="recipe"):
        train(again.model_copy(update={"resume": True, "recipe": "deep"}))
    resumed = train(again.model_copy(update={"resume": True, "minutes": 0.0})).model
    assert_same_weights(alone, resumed)
    records = [read_record(model) for model in (alone, resumed)]
    assert records[0].calibration == records[1].calibration
    # Both end with the network of quick if its loss is the lowest.
    assert records[1].training["auto"]["chosen"] == records[0].recipe
