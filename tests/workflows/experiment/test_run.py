"""Experiment: a grid of runs, each done once, and a summary from their files alone."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from tests.workflows.watching import Watcher

from geoseg.errors import DatasetError, LegendError, OutputError, RasterError, SettingsError, StoppedError
from geoseg.geodata.reading.masks import read_mask
from geoseg.learning.model_file import read_model
from geoseg.settings import ExperimentSettings, Protocol, SampleSettings, TrainingOptions, TrainSettings
from geoseg.workflows.experiment.grid import runs
from geoseg.workflows.experiment.run import experiment
from geoseg.workflows.sample import sample
from geoseg.workflows.training.train import train

# Few points: this warning is not the subject.
pytestmark = pytest.mark.filterwarnings("ignore:The forest has")


class StopsInEpoch(Watcher):
    """A watcher who presses Ctrl-C in an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def advance(self, steps=1, note=""):
        if note.startswith(f"epoch {self.epoch}/"):
            raise KeyboardInterrupt


def _settings(dataset, light, folder, **options):
    own = {"recipes": ("forest", "quick"), "per_class": (4, 8), "seeds": 2, "background": "field"}
    return ExperimentSettings(
        data=dataset, output=folder, training=TrainingOptions(**light), **(own | options)
    )


@pytest.fixture(scope="module")
def done(dataset, light, tmp_path_factory):
    """The folder of a finished experiment, and its summary."""
    folder = tmp_path_factory.mktemp("experiment") / "results"
    return folder, experiment(_settings(dataset, light, folder, protocol=Protocol(scope="total")))


@pytest.fixture
def folder(done, tmp_path):
    """A copy of the finished experiment, to spoil."""
    return shutil.copytree(done[0], tmp_path / "results")


@pytest.fixture(scope="module")
def forests(dataset, cheap, tmp_path_factory):
    """The folder of a finished experiment of forests, with a network for further recipes."""
    folder = tmp_path_factory.mktemp("forests") / "results"
    experiment(_settings(dataset, cheap, folder, protocol=Protocol(scope="total"), recipes=("forest",)))
    return folder


@pytest.fixture
def forest_folder(forests, tmp_path):
    """A copy of the experiment of forests, to spoil."""
    return shutil.copytree(forests, tmp_path / "results")


@pytest.mark.slow
def test_every_recipe_meets_the_same_stored_points(done):
    folder, _ = done
    results = [json.loads(path.read_text()) for path in sorted((folder / "runs").glob("*.json"))]
    assert len(results) == 8
    by_draw = {}
    for result in results:
        by_draw.setdefault((result["per_class"], result["seed"]), set()).add(result["drawn_sha256"])
    assert all(len(hashes) == 1 for hashes in by_draw.values())
    assert len(set.union(*by_draw.values())) == 4
    assert {r["points_total"] for r in results} == {12, 24}
    assert sorted(p.name for p in (folder / "points").iterdir()) == [
        f"{n}-seed{seed}.gpkg" for n in (4, 8) for seed in (0, 1)
    ]


def test_the_summary_gives_means_spreads_and_intervals_and_of_other_data_nothing_published(done):
    folder, summary = done
    assert [(e["recipe"], e["per_class"]) for e in summary.record["results"]] == [
        ("forest", 4),
        ("quick", 4),
        ("forest", 8),
        ("quick", 8),
    ]
    for entry in summary.record["results"]:
        # One image was scored, which says nothing of others.
        assert entry["miou_interval"] == [None, None]
        assert entry["draws"] == 2
        assert entry["miou_deviation"] >= 0
        assert 0 < entry["miou_without_background"] <= 1
    text = (folder / "summary.md").read_text()
    assert "as published" not in text
    assert summary.record["as_published"] == []
    assert "points per class, in total" in text
    assert json.loads((folder / "summary.json").read_text()) == json.loads(json.dumps(summary.record))


def test_the_figures_are_drawn_and_the_models_removed(done):
    folder, _ = done
    pictures = {path.name for path in folder.glob("*.png")}
    assert pictures == {"miou.png", "classes.png", "comparison-4.png", "comparison-8.png"}
    assert not list((folder / "work").iterdir())


def test_finished_runs_are_not_done_again(dataset, light, folder):
    times = {path: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()}
    lost = folder / "runs" / "forest-4-seed1.json"
    before = json.loads(lost.read_text())
    lost.unlink()

    experiment(_settings(dataset, light, folder, protocol=Protocol(scope="total")))

    changed = {path for path in (folder / "runs").iterdir() if path.stat().st_mtime_ns != times[path]}
    assert changed == {lost}
    after = json.loads(lost.read_text())
    assert (after["miou"], after["points_sha256"]) == (before["miou"], before["points_sha256"])


def _size(path):
    with Image.open(path) as picture:
        return picture.size


@pytest.mark.slow
def test_the_grid_can_grow(dataset, cheap, forest_folder):
    wider = _settings(
        dataset, cheap, forest_folder, protocol=Protocol(scope="total"), recipes=("full",), per_class=(4,)
    )
    before = _size(forest_folder / "comparison-4.png")
    summary = experiment(wider)
    assert summary.record["results"][-1]["recipe"] == "full"
    # One more map beside those of the earlier commands.
    assert _size(forest_folder / "comparison-4.png") != before
    assert (forest_folder / "curves-full.png").exists()
    assert [r.name for r in runs(wider)] == ["full"]


def test_results_of_other_settings_are_not_mixed(dataset, light, folder):
    with pytest.raises(
        OutputError,
        match=r"with other settings; they differ in scope; expected scope = total; got scope = tile",
    ):
        experiment(_settings(dataset, light, folder, protocol=Protocol(scope="tile")))


def test_a_broken_result_is_named(dataset, light, folder):
    (folder / "runs" / "quick-4-seed0.json").write_text("{")
    with pytest.raises(
        OutputError, match=r"quick-4-seed0\.json: this result file cannot be read.*repeat its run"
    ):
        experiment(_settings(dataset, light, folder, protocol=Protocol(scope="total")))


def test_an_image_without_a_mask_is_named_before_anything_runs(dataset, light, tmp_path):
    data = shutil.copytree(dataset, tmp_path / "data")
    (data / "masks" / "north.tif").unlink()
    with pytest.raises(DatasetError, match=r"images have no mask.*none for north"):
        experiment(_settings(data, light, tmp_path / "results"))
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_nothing_dense_reaches_a_method_that_learns_from_points(
    dataset, light, cheap, tmp_path, write_tiff, classes
):
    """Masks that are redrawn everywhere but under the points, with other shares of the classes, give the same weights."""
    points = tmp_path / "points.gpkg"
    drawn = sample(SampleSettings(data=dataset, split="train", per_class=5, output=points)).points
    redrawn = shutil.copytree(dataset, tmp_path / "redrawn")
    rng = np.random.default_rng(0)
    for path in (redrawn / "masks").iterdir():
        mask = read_mask(path, classes)
        # Not only shuffled: that would leave a method the shares of the classes to weight by.
        other = rng.choice(np.array([0, 1, 2, 255], np.uint8), mask.shape, p=[0.7, 0.1, 0.15, 0.05])
        own = drawn.on_image(path.stem)
        at = own.row.astype(int), own.col.astype(int)
        other[at] = mask[at]
        write_tiff(path, other)
    methods = {"forest": {}, "quick": {}, "pfce": {}, "partial-ce": {"recipe": "pfce", "gamma": 0.0}}
    for recipe, own_options in methods.items():
        states = []
        for data in (dataset, redrawn):
            output = tmp_path / f"{recipe}-{data.name}.geoseg"
            base = light if recipe in {"forest", "quick"} else cheap
            options = base | {"recipe": recipe, "check_share": 0.4} | own_options
            train(TrainSettings(data=data, points=points, output=output, **options))
            model = read_model(output)
            states.append({**model.network.tensors, "calibration": model.record.calibration})
        assert states[0].keys() == states[1].keys()
        for name, value in states[0].items():
            assert (value == states[1][name]) is True or (value == states[1][name]).all(), name


def test_masks_that_do_not_fit_are_named_before_anything_is_trained(dataset, light, tmp_path, write_tiff):
    data = shutil.copytree(dataset, tmp_path / "data")
    (name,) = (data / "test.txt").read_text().split()
    path = data / "masks" / f"{name}.tif"
    with rasterio.open(path, "r+") as mask:
        mask.write(np.full((1, 5, 5), 77, np.uint8), window=((50, 55), (50, 55)))
    with pytest.raises(LegendError, match=rf"{name}\.tif.*77"):
        experiment(_settings(data, light, tmp_path / "results"))
    write_tiff(path, np.zeros((5, 5), np.uint8))
    with pytest.raises(RasterError, match=rf"{name}\.tif.*5 x 5"):
        experiment(_settings(data, light, tmp_path / "results"))
    assert not (tmp_path / "results").exists()


def test_corrected_masks_are_another_experiment(dataset, light, folder, tmp_path):
    data = shutil.copytree(dataset, tmp_path / dataset.name)
    (name,) = (data / "test.txt").read_text().split()
    with rasterio.open(data / "masks" / f"{name}.tif", "r+") as mask:
        mask.write(np.zeros((1, 5, 5), np.uint8), window=((50, 55), (50, 55)))
    with pytest.raises(OutputError, match="differ in truth_sha256"):
        experiment(_settings(data, light, folder, protocol=Protocol(scope="total")))


def test_corrected_training_masks_are_another_experiment(dataset, light, folder, tmp_path):
    data = shutil.copytree(dataset, tmp_path / dataset.name)
    with rasterio.open(data / "masks" / "west.tif", "r+") as mask:
        mask.write(np.full((1, 5, 5), 2, np.uint8), window=((50, 55), (50, 55)))
    before = (folder / "experiment.json").read_bytes()

    with pytest.raises(
        OutputError, match="they differ in train_truth_sha256; expected train_truth_sha256 = "
    ):
        experiment(_settings(data, light, folder, protocol=Protocol(scope="total")))
    assert (folder / "experiment.json").read_bytes() == before


@pytest.mark.slow
def test_a_folder_begun_before_training_masks_were_hashed_goes_on(dataset, light, folder):
    path = folder / "experiment.json"
    record = json.loads(path.read_text())
    added = ("train_truth_sha256", "background")
    older = json.dumps({name: value for name, value in record.items() if name not in added})
    path.write_text(older)
    (folder / "runs" / "forest-4-seed1.json").unlink()

    assert len(experiment(_settings(dataset, light, folder, protocol=Protocol(scope="total"))).rows) == 4
    assert (folder / "runs" / "forest-4-seed1.json").exists()
    assert path.read_text() == older


def test_masks_are_read_with_progress(dataset, light, folder):
    class Counts(Watcher):
        started = ()

        def start(self, what, total):
            self.started += ((what, total),)

    watcher = Counts()
    experiment(_settings(dataset, light, folder, protocol=Protocol(scope="total")), watcher)
    # Two to train on, one to score on.
    assert watcher.started[0] == ("Reading masks", 3)


@pytest.mark.slow
def test_a_run_tells_the_time_that_is_left_for_the_grid(dataset, cheap, forest_folder):
    for path in (forest_folder / "runs").glob("forest-*.json"):
        result = json.loads(path.read_text())
        path.write_text(json.dumps({**result, "seconds": {"train": 50.0, "map": 10.0}}))
    for name in ("forest-4-seed1", "forest-8-seed0"):
        (forest_folder / "runs" / f"{name}.json").unlink()
    watcher = Watcher()

    only = _settings(
        dataset, cheap, forest_folder, protocol=Protocol(scope="total"), recipes=("forest", "full")
    )
    experiment(only, watcher)

    lines = [text for text in watcher.said if text.startswith("Run ")]
    left = "at least 2 min left (no run of full is finished yet)"
    assert lines[0] == "Run 1/5: forest, 4 points per class, seed 0; done already"
    assert lines[1] == f"Run 2/5: forest, 4 points per class, seed 1; {left}"
    assert lines[2].startswith("Run 3/5: forest, 8 points per class, seed 0; at least ")
    assert lines[3].endswith("; done already")
    assert lines[4] == "Run 5/5: full, all labels, seed 0"


def test_a_run_that_is_mapping_elsewhere_does_not_keep_the_summary_back(dataset, light, folder):
    (folder / "runs" / "quick-8-seed0.json").unlink()
    for path in (folder / "maps" / "quick-8-seed0").glob("*.tif"):
        path.unlink()
    only = _settings(dataset, light, folder, protocol=Protocol(scope="total"), recipes=("forest",))
    assert len(experiment(only).record["results"]) == 4


def test_budgets_per_image_count_every_image(done, dataset):
    summary = done[1]
    images = len((dataset / "train.txt").read_text().split())
    for entry in summary.record["results"]:
        assert entry["points_per_image"] == entry["points_total"] / images
        assert entry["points_used"] == entry["points_total"]
        assert entry["computed_in"] == ["float32 on cpu"]


def test_points_beyond_what_a_recipe_can_use_are_told_of(dataset, light, tmp_path, monkeypatch):
    monkeypatch.setattr("geoseg.learning.features.reading.MAX_POINTS", 9)
    few = _settings(dataset, light, tmp_path / "r", recipes=("forest",), per_class=(4,), seeds=1)
    summary = experiment(few)
    (entry,) = summary.record["results"]
    assert entry["points_used"] <= 9 < entry["points_total"]
    assert f"{entry['points_total']} ({entry['points_used']} used)" in (tmp_path / "r/summary.md").read_text()


@pytest.mark.slow
def test_a_run_that_cannot_be_gone_on_with_is_begun_anew(dataset, cheap, tmp_path):
    """Two methods on networks, one of them stopped by another machine's precision, a killed one by its epochs."""
    options = {**cheap, "epochs": 3, "check_share": 0.3}
    both = _settings(
        dataset, options, tmp_path / "r", recipes=("partial-ce", "pfce"), per_class=(4,), seeds=1
    )

    with pytest.raises(StoppedError):
        experiment(both, StopsInEpoch(3))
    identity = tmp_path / "r" / "work" / "partial-ce-4-seed0" / "model.run" / "run.json"
    begun = json.loads(identity.read_text())
    identity.write_text(json.dumps({**begun, "precision": "bf16"}))
    watcher = Watcher()
    summary = experiment(both, watcher)
    assert any(
        "differ in precision" in text and text.endswith("starts from the beginning.") for text in watcher.said
    )
    assert [e["recipe"] for e in summary.record["results"]] == ["partial-ce", "pfce"]
    assert all(len(e["epochs"]) == 1 and 1 <= e["epochs"][0] <= 3 for e in summary.record["results"])


@pytest.mark.slow
def test_the_seconds_of_a_run_count_its_earlier_tries(dataset, cheap, tmp_path):
    options = {**cheap, "epochs": 2, "check_share": 0.3}
    one = _settings(dataset, options, tmp_path / "r", recipes=("pfce",), per_class=(4,), seeds=1)

    with pytest.raises(StoppedError):
        experiment(one, StopsInEpoch(2))
    checkpoint = tmp_path / "r" / "work" / "pfce-4-seed0" / "model.run" / "checkpoint.pt"
    content = torch.load(checkpoint, weights_only=True)
    content["history"][0]["seconds"] = 5000.0
    torch.save(content, checkpoint)
    summary = experiment(one)
    assert summary.record["results"][0]["seconds"]["train"] > 5000


@pytest.mark.slow
def test_a_model_without_a_result_is_mapped_not_trained_again(dataset, light, folder):
    protocol = Protocol(scope="total")
    (folder / "runs" / "quick-8-seed1.json").unlink()
    experiment(_settings(dataset, light, folder, protocol=protocol, keep_models=True))
    (folder / "runs" / "quick-8-seed1.json").unlink()
    watcher = Watcher()
    experiment(_settings(dataset, light, folder, protocol=protocol), watcher)
    assert not any("Weights" in text for text in watcher.said)
    assert (folder / "runs" / "quick-8-seed1.json").exists()


def test_other_images_and_unknown_classes_are_refused(dataset, light, folder, tmp_path):
    data = shutil.copytree(dataset, tmp_path / dataset.name)
    (data / "train.txt").write_text("east\n")
    with pytest.raises(OutputError, match="differ in train_images"):
        experiment(_settings(data, light, folder, protocol=Protocol(scope="total")))
    with pytest.raises(SettingsError, match="--background: no such class"):
        experiment(_settings(dataset, light, folder, background="sky"))
    with pytest.raises(SettingsError, match="tile needs scope tile"):
        Protocol(scope="image", tile=512)
