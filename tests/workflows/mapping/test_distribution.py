"""Strips made by several processes are those that one makes, and a lost worker loses no finished strip."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
from distributed import LocalCluster

from geoseg.errors import ModelFileError, SettingsError
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.settings import PredictSettings
from geoseg.workflows.mapping import distribution as spreading
from geoseg.workflows.mapping.predict import predict

# Noise is mapped here, unlike the landscape that the model learnt.
pytestmark = pytest.mark.filterwarnings("ignore:.*many values lie outside the range")


class Notes:
    def __init__(self) -> None:
        self.steps, self.notes, self.said = 0, set[str](), list[str]()

    def start(self, what: str, total: int) -> None:
        self.said.append(f"{what}: {total}")

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.steps += steps
        if note:
            self.notes.add(note)

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say


@pytest.fixture
def rasters(write_tiff, tmp_path):
    rng = np.random.default_rng(4)
    made = []
    for name, rows in (("tall", 24), ("low", 5)):
        blocks = rng.integers(1, 255, (3, rows, 4), np.uint8).repeat(32, axis=1).repeat(32, axis=2)
        made.append(write_tiff(tmp_path / "in" / f"{name}.tif", blocks))
    return tuple(made)


def settings(model, rasters, output, **options) -> PredictSettings:
    exact = {"device": "cpu", "precision": "float32", "window": 64}
    return PredictSettings(model=model, rasters=rasters, output=output, **{**exact, **options})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_processes_make_the_map_of_one_and_one_may_be_killed(model, rasters, tmp_path) -> None:
    predict(settings(model, rasters, tmp_path / "one"))
    folder, notes = tmp_path / "two", Notes()
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        victims = [worker.process.pid for worker in cluster.workers.values()]

        def kill() -> None:
            deadline = time.monotonic() + 60
            while len(list(folder.glob("tall.tif.parts/[!.]*.npz"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(victims[0], signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        predict(settings(model, rasters, folder, scheduler=cluster.scheduler_address), notes)
        killer.join()
    assert "Predicting strips on workers: 15" in notes.said
    for name in ("tall.tif", "low.tif"):
        assert np.array_equal(read_class_map(tmp_path / "one" / name)[0], read_class_map(folder / name)[0])
    assert sorted(p.name for p in folder.glob("*.parts")) == []


@pytest.mark.filterwarnings("ignore")
def test_a_worker_of_another_version_is_named(model, rasters, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(spreading, "__version__", "0.0.1")
    with pytest.raises(SettingsError, match=r"another version.*expected geoseg-pointai 0\.0\.1; got 0\.1\.0"):
        predict(settings(model, rasters, tmp_path / "maps", processes=2))


@pytest.mark.filterwarnings("ignore")
def test_a_worker_without_the_package_is_told_of(model, rasters, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(spreading, "PACKAGE", "geoseg-of-another-world")
    with (
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        pytest.raises(
            SettingsError, match=r"a worker does not have this package; expected .* on every machine"
        ),
    ):
        predict(settings(model, rasters, tmp_path / "maps", scheduler=cluster.scheduler_address))


@pytest.mark.filterwarnings("ignore")
def test_workers_that_are_late_are_waited_for(model, rasters, tmp_path) -> None:
    with LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster:
        late = threading.Timer(1, cluster.scale, [1])
        late.start()
        made = predict(
            settings(model, rasters[1:], tmp_path / "low.tif", scheduler=cluster.scheduler_address)
        )
        late.join()
    assert made[0].class_map.exists()


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_without_workers_is_named(model, rasters, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(spreading, "CONNECT_TIMEOUT_S", 1)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster,
        pytest.raises(SettingsError, match=r"the scheduler has no workers"),
    ):
        predict(settings(model, rasters, tmp_path / "maps", scheduler=cluster.scheduler_address))


def test_a_worker_does_not_go_on_with_a_model_that_was_trained_anew(model) -> None:
    begun = (("model_sha256", "another"), ("precision", "float32"))
    with pytest.raises(ModelFileError, match=r"the map was started with another model.*expected.* another"):
        spreading._predictor(model, None, begun, threads=None)


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_is_not_there_is_named(model, rasters, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(spreading, "CONNECT_TIMEOUT_S", 1)
    with pytest.raises(SettingsError, match=r"no Dask scheduler responds.*tcp://127\.0\.0\.1:1"):
        predict(settings(model, rasters, tmp_path / "maps", scheduler="tcp://127.0.0.1:1"))


def test_without_dask_one_is_told_how_to_get_it(model, rasters, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(spreading, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"needs Dask.*\[cluster\]"):
        predict(settings(model, rasters, tmp_path / "maps", processes=2))
