from __future__ import annotations

import json
import os
import re
import resource
import shutil
from pathlib import Path

import pytest

from geoseg.errors import OutputError
from geoseg.geodata.outputs.atomic_files import (
    check_output,
    remove_leftovers,
    whole_file,
    write_json,
    write_text,
)

# /proc takes no files, not even from root.
CLOSED = Path("/proc/self")
needs_proc = pytest.mark.skipif(not CLOSED.is_dir(), reason="needs Linux's /proc")


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_that_exists_is_refused_without_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    path.write_text("old")
    with pytest.raises(OutputError, match="--overwrite"):
        check_output(path, overwrite=False)
    check_output(path, overwrite=True)
    assert path.read_text() == "old"


def test_missing_folders_are_made(tmp_path: Path) -> None:
    check_output(tmp_path / "a" / "b" / "map.tif", overwrite=False)
    assert (tmp_path / "a" / "b").is_dir()
    assert names(tmp_path / "a" / "b") == []


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder"):
        check_output(tmp_path, overwrite=True)


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(OutputError, match="results"):
        check_output(tmp_path / "results" / "map.tif", overwrite=True)


@needs_proc
def test_a_place_that_takes_no_files_is_refused_before_the_work() -> None:
    with pytest.raises(OutputError, match="this folder is not writable"):
        check_output(CLOSED / "map.tif", overwrite=False)
    with pytest.raises(OutputError, match="this folder is not writable"):
        check_output(CLOSED / "new" / "map.tif", overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permissions"):
        check_output(tmp_path / "map.tif", overwrite=False)


def test_the_file_appears_only_at_the_end_and_takes_its_sidecar_along(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    with whole_file(path, overwrite=False) as partial:
        partial.write_text("new")
        partial.with_name(partial.name + ".aux.xml").write_text("names")
        assert not path.exists()
        assert partial.parent == tmp_path
        assert re.fullmatch(rf"\.map\.tif\.partial-{os.getpid()}-[0-9a-f]{{8}}\.tif", partial.name)
    assert names(tmp_path) == ["map.tif", "map.tif.aux.xml"]
    assert path.read_text() == "new"


def test_the_sidecars_of_the_replaced_file_go_with_it(tmp_path: Path) -> None:
    path = tmp_path / "map.tif"
    for ending in ("", ".aux.xml", ".ovr", ".msk"):
        path.with_name(path.name + ending).write_text("old")
    with whole_file(path, overwrite=True) as partial:
        partial.write_text("new")
    assert names(tmp_path) == ["map.tif"]


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ZeroDivisionError])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, fault: type[BaseException]) -> None:
    path = tmp_path / "map.tif"
    path.write_text("old")

    def fail() -> None:
        with whole_file(path, overwrite=True) as partial:
            partial.write_text("half")
            partial.with_name(partial.name + ".ovr.tmp").write_text("half")
            raise fault

    with pytest.raises(fault):
        fail()
    assert names(tmp_path) == ["map.tif"]
    assert path.read_text() == "old"


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="could not be written"), whole_file(tmp_path / "a", overwrite=True):
        pass


def test_a_file_past_the_size_limit_is_an_output_error_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match=r"a\.txt.*disk is full"):
            write_text(tmp_path / "a.txt", "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


def test_text_is_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "Höhe\n")
    assert (tmp_path / "a.txt").read_bytes() == b"H\xc3\xb6he\n"


def test_json_has_no_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"miou": None, "name": "Heide"})
    assert json.loads((tmp_path / "a.json").read_text()) == {"miou": None, "name": "Heide"}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"miou": float("nan")})
    assert names(tmp_path) == ["a.json"]


def test_the_error_of_a_vanished_folder_is_an_output_error(tmp_path: Path) -> None:
    folder = tmp_path / "gone"

    def write() -> None:
        with whole_file(folder / "a.txt", overwrite=True) as partial:
            shutil.rmtree(folder)
            partial.write_text("x")

    with pytest.raises(OutputError, match="could not be written"):
        write()


def test_what_a_killed_process_left_of_a_file_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = [
        tmp_path / ".map.tif.partial-12-00ff00ff.tif",
        tmp_path / ".map.tif.partial-12-00ff00ff.tif.aux.xml",
    ]
    others = [
        tmp_path / "map.tif",
        tmp_path / ".map.tif.gpkg.partial-12-00ff00ff.gpkg",
        tmp_path / ".map.tiff",
    ]
    for path in left + others:
        path.write_text("x")
    remove_leftovers(tmp_path / "map.tif")
    assert sorted(tmp_path.iterdir()) == sorted(others)
