"""Weights that cannot be had are noticed before any raster or point is read."""

import pytest

from geoseg.errors import ModelFileError, PointsError, RasterError
from geoseg.settings import ExperimentSettings, TrainSettings
from geoseg.settings.training import TrainingOptions
from geoseg.workflows.experiment.run import experiment
from geoseg.workflows.training.train import train

MESSAGE = r"missing\.pth: no such weights file; .* Leave out --backbone and --weights.* Or use --recipe forest, .* --weights FILE; .* --weights none"


@pytest.fixture
def unreadable(tmp_path):
    """A raster and a point file that would be refused if they were read."""
    for name in ("image.tif", "points.gpkg"):
        (tmp_path / name).write_text("neither pixels nor points")
    return {"data": tmp_path / "image.tif", "points": tmp_path / "points.gpkg"}


@pytest.mark.parametrize("recipe", ["auto", "pfce", "quick", "deep"])
def test_training_without_its_weights_file_is_refused_before_the_raster_is_read(unreadable, tmp_path, recipe):
    wanted = {"output": tmp_path / "m.geoseg", "weights": str(tmp_path / "missing.pth"), "recipe": recipe}
    with pytest.raises(ModelFileError, match=MESSAGE):
        train(TrainSettings(**unreadable, **wanted))
    assert not (tmp_path / "m.run").exists()


def test_a_backbone_of_timm_without_its_weights_file_likewise(unreadable, tmp_path):
    pytest.importorskip("timm")
    wanted = {"output": tmp_path / "m.geoseg", "weights": str(tmp_path / "missing.pth"), "recipe": "quick"}
    with pytest.raises(ModelFileError, match=MESSAGE.replace("; .* Leave", ". Leave")):
        train(TrainSettings(**unreadable, **wanted, backbone="resnet18"))


@pytest.mark.parametrize(
    ("name", "fault"), [("data", RasterError), ("points", PointsError), ("check_points", PointsError)]
)
def test_a_path_that_is_not_there_is_noticed_before_the_weights(unreadable, tmp_path, name, fault):
    wanted = {**unreadable, "output": tmp_path / "m.geoseg", "weights": str(tmp_path / "missing.pth")}
    with pytest.raises(fault, match=r"gone\.x: (there is )?no such file"):
        train(TrainSettings(**wanted | {name: tmp_path / "gone.x"}))


def test_a_dataset_that_is_not_there_is_noticed_before_the_weights_of_an_experiment(tmp_path):
    training = TrainingOptions(weights=str(tmp_path / "missing.pth"))
    with pytest.raises(RasterError, match="gone: no such file or folder"):
        experiment(ExperimentSettings(data=tmp_path / "gone", output=tmp_path / "out", training=training))


def test_an_experiment_without_its_weights_file_is_refused_before_the_dataset_is_read(tmp_path):
    training = TrainingOptions(weights=str(tmp_path / "missing.pth"))
    with pytest.raises(ModelFileError, match=MESSAGE):
        experiment(
            ExperimentSettings(data=tmp_path, output=tmp_path / "out", recipes=("quick",), training=training)
        )
