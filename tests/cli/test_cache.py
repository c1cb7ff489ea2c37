"""``geoseg cache`` says what kept features take, and removes them and nothing else."""

from __future__ import annotations

import json


def test_info_counts_what_is_kept_and_clear_removes_it_alone(geoseg, tmp_path):
    (tmp_path / "one.features").write_bytes(bytes(1 << 20))
    (tmp_path / "two.features").write_bytes(bytes(1 << 19))
    (tmp_path / "mine.txt").write_text("mine")

    told = geoseg("cache", "info", "--cache", tmp_path)
    assert told.out == f"{tmp_path}: 2 file(s), 1.5 MiB\n"
    found = json.loads(geoseg("cache", "info", "--cache", tmp_path, "--json").out)
    assert found == {"folder": str(tmp_path), "files": 2, "bytes": 1_572_864}

    assert geoseg("cache", "clear", "--cache", tmp_path).out.startswith("Removed: ")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert geoseg("cache", "clear", "--cache", tmp_path).code == 0


def test_the_default_folder_is_that_of_trainings_and_need_not_exist(geoseg, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert geoseg("cache", "info").out == f"{tmp_path / 'geoseg' / 'features'}: 0 file(s), 0.0 MiB\n"
