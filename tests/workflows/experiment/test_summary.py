"""The summary of an experiment: from its folder of results alone."""

from __future__ import annotations

import json
import shutil

import pytest

from geoseg.domain.ports import NullProgress
from geoseg.errors import OutputError, SettingsError
from geoseg.geodata.datasets.landcover_ai import LEGEND
from geoseg.settings import ExperimentSettings, Protocol, TrainingOptions
from geoseg.workflows.experiment.run import experiment
from geoseg.workflows.experiment.summary import HEADER, PUBLISHED, published_for, summarise


class Warned(NullProgress):
    def __init__(self):
        self.texts = []

    def warn(self, text):
        self.texts.append(text)


@pytest.fixture(scope="module")
def done(dataset, cheap, tmp_path_factory):
    """The folder of a finished experiment of two recipes, one of them on all labels."""
    folder = tmp_path_factory.mktemp("experiment") / "results"
    experiment(
        ExperimentSettings(
            data=dataset,
            output=folder,
            recipes=("forest", "full"),
            per_class=(4,),
            seeds=2,
            protocol=Protocol(scope="tile", tile=48, places="interior"),
            background="field",
            training=TrainingOptions(**cheap),
        )
    )
    return folder


@pytest.fixture
def folder(done, tmp_path):
    """A copy of it, to spoil."""
    return shutil.copytree(done, tmp_path / "results")


@pytest.fixture
def bare(done, tmp_path):
    """What must be kept of it: ``experiment.json`` and ``runs/``."""
    shutil.copytree(done / "runs", tmp_path / "bare" / "runs")
    shutil.copy(done / "experiment.json", tmp_path / "bare")
    return tmp_path / "bare"


def _files(folder):
    return {path.name for path in folder.iterdir()}


def test_results_alone_give_the_same_summary_and_figures(done, bare):
    progress = Warned()

    summary = summarise(bare, progress)

    for name in ("summary.json", "summary.md", "miou.png", "classes.png", "curves-full.png"):
        assert (bare / name).read_bytes() == (done / name).read_bytes(), name
    assert "points per class, per tile of 48 px" in (bare / "summary.md").read_text()
    assert '"places": "interior"' in (bare / "summary.md").read_text()
    assert summary.record["classes"] == ["field", "wood", "water"]
    assert progress.texts == ["Comparison pictures are left out: DATA is not given."]
    assert _files(done) - _files(bare) == {"comparison-4.png", "maps", "points", "work"}


def test_pictures_need_the_dataset_and_the_maps(done, bare, dataset, tmp_path):
    progress = Warned()

    summarise(bare, progress, data=tmp_path / "gone")
    summarise(bare, progress, data=dataset)

    assert progress.texts == [
        f"Comparison pictures are left out: {tmp_path / 'gone'} has no images/.",
        "Comparison pictures leave out what has no maps here: forest-4-seed0, full.",
    ]
    assert not (bare / "comparison-4.png").exists()

    shutil.copytree(done / "maps", bare / "maps")
    progress.texts.clear()
    summarise(bare, progress, data=dataset)
    assert progress.texts == []
    assert (bare / "comparison-4.png").read_bytes() == (done / "comparison-4.png").read_bytes()


def test_a_method_without_maps_is_left_out_of_the_pictures_and_named(folder, dataset):
    shutil.rmtree(folder / "maps" / "full")
    before = (folder / "comparison-4.png").read_bytes()
    progress = Warned()

    summarise(folder, progress, data=dataset)

    assert progress.texts == ["Comparison pictures leave out what has no maps here: full."]
    assert (folder / "comparison-4.png").read_bytes() != before


def test_a_picture_that_cannot_be_drawn_costs_no_score(folder, dataset):
    (folder / "maps" / "full" / "north.tif").unlink()
    (folder / "summary.md").unlink()
    progress = Warned()

    summarise(folder, progress, data=dataset)

    (text,) = progress.texts
    assert text.startswith("comparison-4.png is left out: ")
    assert "north.tif: an image has no map in this folder" in text
    assert (folder / "summary.md").exists()


def test_the_class_left_out_is_that_asked_for_else_the_folders_own(bare):
    def score(background=None):
        return summarise(bare, NullProgress(), background=background).record["results"][0][
            "miou_without_background"
        ]

    assert score() == score("field")
    assert score("wood") != score()

    record = json.loads((bare / "experiment.json").read_text())
    # As in folders that were begun before it was kept; this legend has no class "background".
    (bare / "experiment.json").write_text(json.dumps({k: v for k, v in record.items() if k != "background"}))
    assert score() is None
    with pytest.raises(SettingsError, match=r"--background: no such class; expected field, wood"):
        score("sky")


def test_the_table_tells_the_seconds_of_training_and_of_mapping(bare):
    summary = summarise(bare, NullProgress())

    assert HEADER[-2:] == ("training s", "mapping s")
    assert {len(row) for row in summary.rows} == {len(HEADER)}
    seconds = summary.record["results"][0]["seconds"]
    assert list(summary.rows[0][-2:]) == [f"{seconds['train']:.0f}", f"{seconds['map']:.0f}"]


def test_a_folder_that_is_no_experiments_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"this is not an experiment folder; expected experiment\.json"):
        summarise(tmp_path, NullProgress())


def test_a_folder_without_a_finished_run_is_named(bare):
    shutil.rmtree(bare / "runs")
    with pytest.raises(OutputError, match=r"bare: this folder has no finished run; expected runs/\*\.json"):
        summarise(bare, NullProgress())


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"protocol": 3, "test_split": "test"}'])
def test_a_record_that_cannot_be_read_is_named(bare, text):
    (bare / "experiment.json").write_text(text)
    with pytest.raises(OutputError, match=r"experiment\.json: this file is not an experiment record"):
        summarise(bare, NullProgress())


def test_published_figures_stand_beside_results_of_their_own_data_alone():
    assert published_for(LEGEND.names) == PUBLISHED
    assert published_for(["background", "water"]) == ()
