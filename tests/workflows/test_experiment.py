"""Experiment: a grid of runs, each done once, and a summary from their files alone."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from geoseg.errors import DatasetError, OutputError, SettingsError
from geoseg.geodata.masks import read_mask
from geoseg.learning.model_file import read_model
from geoseg.settings import ExperimentSettings, Protocol, SampleSettings, TrainingOptions, TrainSettings
from geoseg.workflows.experiment import experiment, runs
from geoseg.workflows.sample import sample
from geoseg.workflows.train import train


class Watcher:
    def __init__(self):
        self.said = []

    def start(self, what, total):
        pass

    def advance(self, steps=1, note=""):
        pass

    def say(self, text):
        self.said.append(text)

    warn = say


def _settings(dataset, cheap, folder, **options):
    own = {"recipes": ("forest", "quick"), "per_class": (4, 8), "seeds": 2, "background": "field"}
    return ExperimentSettings(
        data=dataset, output=folder, training=TrainingOptions(**cheap), **(own | options)
    )


@pytest.fixture(scope="module")
def done(dataset, cheap, tmp_path_factory):
    """The folder of a finished experiment, and its summary."""
    folder = tmp_path_factory.mktemp("experiment") / "results"
    return folder, experiment(_settings(dataset, cheap, folder, protocol=Protocol(scope="total")))


@pytest.fixture
def folder(done, tmp_path):
    """A copy of the finished experiment, to spoil."""
    return shutil.copytree(done[0], tmp_path / "results")


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


def test_the_summary_gives_means_spreads_intervals_and_what_was_published(done):
    folder, summary = done
    assert [(e["recipe"], e["per_class"]) for e in summary.record["results"]] == [
        ("forest", 4),
        ("quick", 4),
        ("forest", 8),
        ("quick", 8),
    ]
    for entry in summary.record["results"]:
        low, high = entry["miou_interval"]
        assert 0 <= low <= high <= 1
        assert entry["draws"] == 2
        assert entry["miou_deviation"] >= 0
        assert 0 < entry["miou_without_background"] <= 1
    text = (folder / "summary.md").read_text()
    assert "| as published | 10 | not known |" in text
    assert "points per class, in total" in text
    assert json.loads((folder / "summary.json").read_text()) == json.loads(json.dumps(summary.record))


def test_the_figures_are_drawn_and_the_models_removed(done):
    folder, _ = done
    pictures = {path.name for path in folder.glob("*.png")}
    assert pictures == {"miou.png", "classes.png", "comparison-4.png", "comparison-8.png"}
    assert not list((folder / "work").iterdir())


def test_finished_runs_are_not_done_again(dataset, cheap, folder):
    times = {path: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()}
    lost = folder / "runs" / "forest-4-seed1.json"
    before = json.loads(lost.read_text())
    lost.unlink()

    experiment(_settings(dataset, cheap, folder, protocol=Protocol(scope="total")))

    changed = {path for path in (folder / "runs").iterdir() if path.stat().st_mtime_ns != times[path]}
    assert changed == {lost}
    after = json.loads(lost.read_text())
    assert (after["miou"], after["points_sha256"]) == (before["miou"], before["points_sha256"])


def _size(path):
    with Image.open(path) as picture:
        return picture.size


def test_the_grid_can_grow(dataset, cheap, folder):
    wider = _settings(
        dataset, cheap, folder, protocol=Protocol(scope="total"), recipes=("full",), per_class=(4,)
    )
    before = _size(folder / "comparison-4.png")
    summary = experiment(wider)
    assert summary.record["results"][-1]["recipe"] == "full"
    # One more map beside those of the earlier commands.
    assert _size(folder / "comparison-4.png") != before
    assert (folder / "curves-full.png").exists()
    assert [r.name for r in runs(wider)] == ["full"]


def test_results_of_other_settings_are_not_mixed(dataset, cheap, folder):
    with pytest.raises(
        OutputError,
        match=r"of other settings; they differ in scope; expected scope = total; got scope = tile",
    ):
        experiment(_settings(dataset, cheap, folder, protocol=Protocol(scope="tile")))


def test_a_broken_result_is_named(dataset, cheap, folder):
    (folder / "runs" / "quick-4-seed0.json").write_text("{")
    with pytest.raises(OutputError, match=r"quick-4-seed0\.json: this result cannot be read.*done again"):
        experiment(_settings(dataset, cheap, folder, protocol=Protocol(scope="total")))


def test_an_image_without_a_mask_is_named_before_anything_runs(dataset, cheap, tmp_path):
    data = shutil.copytree(dataset, tmp_path / "data")
    (data / "masks" / "north.tif").unlink()
    with pytest.raises(DatasetError, match=r"images have no mask.*none for north"):
        experiment(_settings(data, cheap, tmp_path / "results"))
    assert not (tmp_path / "results").exists()


def test_nothing_dense_reaches_a_method_that_learns_from_points(dataset, cheap, tmp_path, write_tiff):
    """Masks that are shuffled everywhere but under the points give the same weights."""
    points = tmp_path / "points.gpkg"
    drawn = sample(SampleSettings(data=dataset, split="train", per_class=5, output=points)).points
    shuffled = shutil.copytree(dataset, tmp_path / "shuffled")
    rng = np.random.default_rng(0)
    for path in (shuffled / "masks").iterdir():
        mask = read_mask(path, None)
        other = rng.permutation(mask.ravel()).reshape(mask.shape)
        own = drawn.on_image(path.stem)
        at = own.row.astype(int), own.col.astype(int)
        other[at] = mask[at]
        assert not np.array_equal(other, mask)
        write_tiff(path, other)
    for recipe in ("forest", "quick", "pfce"):
        states = []
        for data in (dataset, shuffled):
            output = tmp_path / f"{recipe}-{data.name}.geoseg"
            options = cheap | {"recipe": recipe, "check_share": 0.4}
            train(TrainSettings(data=data, points=points, output=output, **options))
            model = read_model(output)
            states.append({**model.network.state_dict(), "calibration": model.record.calibration})
        assert states[0].keys() == states[1].keys()
        for name, value in states[0].items():
            assert (value == states[1][name]) is True or (value == states[1][name]).all(), name


def test_a_model_without_a_result_is_mapped_not_trained_again(dataset, cheap, folder):
    protocol = Protocol(scope="total")
    (folder / "runs" / "quick-8-seed1.json").unlink()
    experiment(_settings(dataset, cheap, folder, protocol=protocol, keep_models=True))
    (folder / "runs" / "quick-8-seed1.json").unlink()
    watcher = Watcher()
    experiment(_settings(dataset, cheap, folder, protocol=protocol), watcher)
    assert not any("Weights" in text for text in watcher.said)
    assert (folder / "runs" / "quick-8-seed1.json").exists()


def test_other_images_and_unknown_classes_are_refused(dataset, cheap, folder, tmp_path):
    data = shutil.copytree(dataset, tmp_path / dataset.name)
    (data / "train.txt").write_text("east\n")
    with pytest.raises(OutputError, match="differ in train_images"):
        experiment(_settings(data, cheap, folder, protocol=Protocol(scope="total")))
    with pytest.raises(SettingsError, match="--background: there is no such class"):
        experiment(_settings(dataset, cheap, folder, background="sky"))
    with pytest.raises(ValueError, match="--tile goes with --scope tile"):
        Protocol(scope="image", tile=512)
