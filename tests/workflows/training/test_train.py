"""Train: what the points say goes in, a model file that tells its story comes out, and no epoch is lost."""

from __future__ import annotations

import json
import math
import os
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from geoseg.domain.points import CHECK, TRAIN
from geoseg.errors import ModelFileError, OutputError, PointsError, ResumeError, StoppedError, TrainingError
from geoseg.geodata.points.point_files import read_points, write_points
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.learning.model_file import read_record
from geoseg.settings import SampleSettings, TrainSettings
from geoseg.workflows.sample import sample
from geoseg.workflows.training.train import train
from geoseg.workflows.training.training_data import load_training_data


class Watcher:
    """Progress that notes what it is told, and presses Ctrl-C at a step of the training."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at, self.steps = stop_at, 0
        self.said: list[str] = []
        self.notes: list[str] = []

    def start(self, what, total):
        self.what, self.steps = what, 0

    def advance(self, steps=1, note=""):
        self.steps += steps
        self.notes.append(note)
        if self.what == "Training" and self.steps == self.stop_at:
            raise KeyboardInterrupt

    def say(self, text):
        self.said.append(text)

    warn = say


@pytest.fixture
def settings(dataset, points, cheap, tmp_path):
    """Return settings of a cheap training."""

    def make(**options):
        return TrainSettings(
            **{
                **cheap,
                "recipe": "pfce",
                "data": dataset,
                "points": points,
                "output": tmp_path / "m.geoseg",
                **options,
            }
        )

    return make


def assert_same_weights(one: Path, other: Path) -> None:
    tensors, others = load_file(one), load_file(other)
    assert tensors.keys() == others.keys()
    assert [name for name in tensors if not torch.equal(tensors[name], others[name])] == []


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# Ctrl-C and --resume. Two epochs of two steps; Ctrl-C comes in the third step. Nothing is held out, so that
# the weights are those of the last epoch.

TWO_EPOCHS = {"recipe": "pfce", "epochs": 2, "check_share": 0}


@pytest.fixture(scope="module")
def unbroken(dataset, points, cheap, tmp_path_factory):
    """A run of two epochs that nobody stops."""
    path = tmp_path_factory.mktemp("unbroken") / "m.geoseg"
    train(TrainSettings(data=dataset, points=points, output=path, **{**cheap, **TWO_EPOCHS}))
    return path


@pytest.fixture(scope="module")
def halted(dataset, points, cheap, tmp_path_factory):
    """A run of two epochs, stopped in the second, and what it said then."""
    path = tmp_path_factory.mktemp("halted") / "m.geoseg"
    with pytest.raises(StoppedError) as stop:
        train(
            TrainSettings(data=dataset, points=points, output=path, **{**cheap, **TWO_EPOCHS}),
            Watcher(stop_at=3),
        )
    return path, str(stop.value)


@pytest.fixture
def stopped(halted, tmp_path):
    """The checkpoint of the stopped run, in a folder of its own."""
    shutil.copytree(halted[0].with_suffix(".run"), tmp_path / "m.run", copy_function=os.link)
    return tmp_path / "m.run" / "checkpoint.pt"


def test_ctrl_c_ends_a_run_with_the_checkpoint_named(halted):
    path, said = halted
    checkpoint = path.with_suffix(".run") / "checkpoint.pt"

    assert said.startswith(f"{path}: stopped; the last checkpoint is {checkpoint}. Run the same command with")
    assert said.endswith("--resume to continue.")
    assert checkpoint.exists()
    assert names(path.parent) == {"m.run"}


def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_weights(settings, unbroken, stopped, tmp_path):
    with pytest.raises(
        OutputError, match=r"this folder has an unfinished training run.*--resume.*--overwrite"
    ):
        train(settings(**TWO_EPOCHS))
    watcher = Watcher()

    result = train(settings(**TWO_EPOCHS, resume=True), watcher)

    assert_same_weights(result.model, unbroken)
    assert watcher.notes[0] == ""  # the first epoch is counted as done, not done again
    assert len([note for note in watcher.notes if note.startswith("epoch 2/2, loss")]) == 2
    log, other = log_of(tmp_path / "m.run"), log_of(unbroken.with_suffix(".run"))
    assert [line["epoch"] for line in log] == [1, 2]
    assert [line["loss"] for line in log] == [line["loss"] for line in other]
    assert not stopped.exists()
    assert names(tmp_path) == {"m.geoseg", "m.run"}


def test_a_run_is_not_resumed_with_other_settings_or_with_none(settings, stopped, tmp_path):
    differing = r"the checkpoint has other settings; they differ in gamma, head_rate; "

    with pytest.raises(TrainingError, match=differing + r"expected gamma = 2\.0; got gamma = 0\.0"):
        train(settings(**TWO_EPOCHS, gamma=0, head_rate=1, resume=True))
    (tmp_path / "m.run" / "run.json").unlink()
    with pytest.raises(ModelFileError, match=r"run\.json: the settings of the unfinished run cannot be read"):
        train(settings(**TWO_EPOCHS, resume=True))
    assert stopped.exists()


def test_a_run_is_not_resumed_with_a_raster_that_changed(settings, dataset, tmp_path):
    images = shutil.copytree(dataset, tmp_path / "data") / "images"
    with pytest.raises(StoppedError):
        train(settings(**TWO_EPOCHS, data=tmp_path / "data"), Watcher(stop_at=3))
    resumed = settings(**TWO_EPOCHS, data=tmp_path / "data", resume=True)
    before = (images / "east.tif").stat()

    os.utime(images / "east.tif", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(
        ResumeError, match=r"images/east\.tif: the raster changed after the start of this training.*--ov"
    ):
        train(resumed)
    os.utime(images / "east.tif", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert train(resumed).model.exists()


def test_a_run_is_not_resumed_with_other_rasters(settings, stopped, tmp_path):
    record = tmp_path / "m.run" / "run.json"
    begun = json.loads(record.read_text())
    record.unlink()
    del begun["rasters"]["west"]
    record.write_text(json.dumps(begun))
    with pytest.raises(ResumeError, match="the checkpoint has other rasters; they differ in west"):
        train(settings(**TWO_EPOCHS, resume=True))
    assert stopped.exists()


def test_a_damaged_or_hostile_checkpoint_is_refused_and_not_run(settings, stopped, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "it ran"),)

    start = stopped.read_bytes()[:5000]
    for spoil in (lambda: stopped.write_bytes(start), lambda: torch.save(Evil(), stopped)):
        stopped.unlink()
        spoil()
        with pytest.raises(ModelFileError, match=r"checkpoint\.pt: this checkpoint cannot be read"):
            train(settings(**TWO_EPOCHS, resume=True))
    assert names(tmp_path) == {"m.run"}


def test_ctrl_c_before_the_first_epoch_ends_says_that_nothing_was_kept(settings, tmp_path):
    with pytest.raises(StoppedError, match="before the first checkpoint"):
        train(settings(), Watcher(stop_at=1))
    assert names(tmp_path) == {"m.run"}
    assert "checkpoint.pt" not in names(tmp_path / "m.run")


# What a run leaves


def test_the_log_has_a_line_for_each_epoch_and_tensorboard_the_same(unbroken):
    folder = unbroken.with_suffix(".run")
    log = log_of(folder)

    assert [line["epoch"] for line in log] == [1, 2]
    assert all(math.isfinite(value) for line in log for value in line.values())
    assert log[0].keys() == {"epoch", "loss", "learning_rate", "seconds"}
    board = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("loss")] == [1, 2]
    assert [event.value for event in board.Scalars("loss")] == pytest.approx([line["loss"] for line in log])
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_log_of_a_run_with_check_points_has_their_scores(trained):
    (line,) = log_of(trained.with_suffix(".run"))

    assert {"check_loss", "check_miou", "check_accuracy"} <= line.keys()
    assert all(0 <= line[name] <= 1 for name in ("check_miou", "check_accuracy"))


def test_the_model_file_tells_how_it_was_trained(trained, dataset, points, classes):
    record = read_record(trained)
    training = record.training
    drawn = read_points(
        points, {n: describe_raster(dataset / "images" / f"{n}.tif") for n in ("east", "west")}, legend=None
    )

    assert record.legend == classes == drawn.legend
    assert (record.recipe, record.bands, record.dtype, record.resolution_m) == ("pfce", (1, 2, 3), "uint8", 1)
    assert training["points_total"] == len(drawn.points) == 30
    assert training["points_by_class"] == {"field": 10, "wood": 10, "water": 10}
    assert training["points_by_image"] == {"east": 15, "west": 15}
    assert training["points_held_out"] == 6
    assert len(training["points_sha256"]) == 64
    assert (
        training["final_loss"]
        == training["history"][-1]["loss"]
        == log_of(trained.with_suffix(".run"))[-1]["loss"]
    )
    assert training["epoch"] == 1
    assert training["settings"]["epochs"] == 1
    assert training["seconds"] > 0
    assert training["versions"]["torch"]
    assert training["weights"] == "Weights: none; all parameters start at random."


# Points


@pytest.mark.parametrize("suffix", [".geojson", ".csv"])
def test_points_of_any_format_train_to_the_same_weights(settings, dataset, trained, tmp_path, suffix):
    path = tmp_path / f"points{suffix}"
    sample(SampleSettings(data=dataset, output=path, split="train", per_class=5))

    result = train(settings(points=path))

    assert_same_weights(result.model, trained)  # which was trained from a GeoPackage
    assert result.record.training["points_sha256"] == read_record(trained).training["points_sha256"]
    assert result.record.legend == read_record(trained).legend


def gathered(settings, watcher=None):
    """Return what a training would train on, without the training."""
    with ExitStack() as stack:
        return load_training_data(settings, stack, watcher or Watcher(), check_share=settings.check_share)


def write_some(points, path: Path, dataset: Path, classes, *, check: int = 0) -> Path:
    """Write the points again, the first ``check`` of them to check with."""
    infos = {n: describe_raster(dataset / "images" / f"{n}.tif") for n in ("east", "west")}
    table = read_points(points, infos, legend=None).points
    table.role[:check] = CHECK
    write_points(path, table, infos, classes, overwrite=False)
    return path


def test_nothing_is_held_out_when_the_share_is_0(settings):
    assert len(gathered(settings(check_share=0)).data.points.with_role(TRAIN)) == 30


def test_roles_in_the_file_come_before_the_share(settings, dataset, points, classes, tmp_path):
    path = write_some(points, tmp_path / "roles.gpkg", dataset, classes, check=7)

    found = gathered(settings(points=path)).data.points

    assert len(found.with_role(CHECK)) == 7
    assert len(found.with_role(TRAIN)) == 23


def test_a_file_of_check_points_is_used_to_check_only(settings, dataset, points, classes, tmp_path):
    path = write_some(points, tmp_path / "roles.gpkg", dataset, classes, check=7)
    checks = tmp_path / "checks.csv"
    checks.write_text("image,row,col,class\neast,50,5,field\nwest,50,90,water\n")

    found = gathered(settings(points=path, check_points=checks)).data.points

    held = found.with_role(CHECK)
    assert sorted(zip(held.image.tolist(), held.row.tolist(), held.col.tolist(), strict=True)) == [
        ("east", 50, 5),
        ("west", 50, 90),
    ]
    assert held.class_id.tolist() == [0, 2]
    assert len(found.with_role(TRAIN)) == 23  # those that the file holds out are not trained on


def test_points_that_are_all_held_out_leave_nothing_to_train_on(settings, dataset, points, classes, tmp_path):
    path = write_some(points, tmp_path / "roles.gpkg", dataset, classes, check=30)

    with pytest.raises(PointsError, match="no training point is left"):
        train(settings(points=path))


def test_without_a_legend_the_points_bring_theirs(settings, own_dataset, points, classes):
    (own_dataset / "legend.json").unlink()

    assert (
        gathered(settings(data=own_dataset)).legend == classes
    )  # names, order and colours, from the GeoPackage


def test_without_any_legend_classes_come_from_the_points_in_sorted_order(settings, own_dataset, tmp_path):
    (own_dataset / "legend.json").unlink()
    path = tmp_path / "p.csv"
    path.write_text("image,row,col,class\neast,50,5,field\neast,50,90,water\nwest,50,48,alder\n")
    watcher = Watcher()

    found = gathered(settings(data=own_dataset, points=path), watcher).data.points

    assert found.class_id.tolist() == [1, 2, 0]
    assert watcher.said[0] == "The classes come from column 'class': alder, field, water."


def test_a_class_without_a_point_to_train_on_is_named(settings, tmp_path):
    (tmp_path / "p.csv").write_text("image,row,col,class\neast,50,5,field\nwest,50,90,water\n")
    watcher = Watcher()

    gathered(settings(points=tmp_path / "p.csv"), watcher)

    said = "2 points on 2 raster(s) (field 1, wood 0, water 1). No point of wood: the map"
    assert [text for text in watcher.said if text.startswith(said)]


# Outputs


@pytest.mark.parametrize("victim", ["points.csv", "legend.json", "checks.csv", "image.tif"])
def test_the_model_never_replaces_what_it_is_made_from(settings, tmp_path, victim):
    inputs = {
        "points": "points.csv",
        "legend": "legend.json",
        "check_points": "checks.csv",
        "data": "image.tif",
    }
    for name in inputs.values():
        (tmp_path / name).write_text("precious")
    given = {key: tmp_path / name for key, name in inputs.items()}

    with pytest.raises(OutputError, match=f"{victim}: this file is an input of the same command"):
        train(settings(**given, output=tmp_path / victim, overwrite=True))
    assert (tmp_path / victim).read_text() == "precious"


def test_a_model_cannot_have_the_name_of_its_runs_folder(settings, tmp_path):
    with pytest.raises(OutputError, match=r"m\.run: this name does not fit a model file.*\.geoseg"):
        train(settings(output=tmp_path / "m.run"))
    assert names(tmp_path) == set()


def test_a_folder_of_the_users_own_is_not_taken_for_that_of_the_run(settings, tmp_path):
    (tmp_path / "m.run").mkdir()
    (tmp_path / "m.run" / "log.txt").write_text("precious")

    with pytest.raises(OutputError, match=r"m\.run: this folder is needed for .*log\.txt"):
        train(settings(output=tmp_path / "m.geoseg", overwrite=True))
    assert (tmp_path / "m.run" / "log.txt").read_text() == "precious"


def test_a_disk_that_fills_up_leaves_nothing_half_written(settings, full_disk, tmp_path):
    message = r"checkpoint\.pt: the file could not be written.*The disk is full"

    with full_disk(1_000_000), pytest.raises(OutputError, match=message):
        train(settings())
    assert names(tmp_path) == {"m.run"}
    assert names(tmp_path / "m.run") == {"run.json"}


def test_overwrite_starts_an_unfinished_run_anew(settings, stopped):
    with pytest.raises(StoppedError, match="before the first checkpoint"):
        train(settings(**TWO_EPOCHS, overwrite=True), Watcher(stop_at=1))
    assert names(stopped.parent) == {"run.json", "tensorboard"}
    assert not list((stopped.parent / "tensorboard").iterdir())
