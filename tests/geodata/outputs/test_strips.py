"""Finished strips are kept whole, and only for the map they are of."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.domain.mapping.prediction import Strip
from geoseg.domain.windows import Window
from geoseg.errors import OutputError
from geoseg.geodata.outputs.strips import StripStore

IDENTITY = {"model_sha256": "abc", "core_px": 64}


def strip(number: int, probabilities: bool = False) -> Strip:
    rng = np.random.default_rng(number)
    chosen = rng.integers(0, 3, (4, 6), np.uint8)
    sure = rng.integers(0, 255, (4, 6), np.uint8)
    return Strip(
        number, Window(4 * number, 0, 4, 6), chosen, sure, np.stack([sure] * 3) if probabilities else None
    )


@pytest.mark.parametrize("probabilities", [False, True])
def test_a_strip_comes_back_as_it_was(tmp_path, probabilities) -> None:
    store = StripStore(tmp_path / "map.tif", IDENTITY)
    store.begin(overwrite=False)
    store.write(strip(2, probabilities))
    found, expected = store.read(2), strip(2, probabilities)
    assert found.window == expected.window
    assert np.array_equal(found.class_ids, expected.class_ids)
    assert np.array_equal(found.confidence, expected.confidence)
    assert (found.probabilities is not None) == probabilities
    assert store.finished() == {2}


def test_the_same_map_goes_on_and_another_is_refused_by_name(tmp_path) -> None:
    store = StripStore(tmp_path / "map.tif", IDENTITY)
    store.begin(overwrite=False)
    store.write(strip(0))
    store.begin(overwrite=False)
    assert store.finished() == {0}
    other = StripStore(tmp_path / "map.tif", {**IDENTITY, "core_px": 96})
    with pytest.raises(
        OutputError, match=r"differ in core_px; expected core_px = 64; got core_px = 96.*--overwrite"
    ):
        other.begin(overwrite=False)
    assert store.finished() == {0}
    other.begin(overwrite=True)
    assert store.finished() == other.finished() == set()


def test_what_cannot_be_read_is_refused_until_it_may_be_replaced(tmp_path) -> None:
    store = StripStore(tmp_path / "map.tif", IDENTITY)
    store.begin(overwrite=False)
    (store.path / "run.json").write_text("{")
    with pytest.raises(OutputError, match=r"run\.json.*cannot be read.*--overwrite"):
        store.begin(overwrite=False)
    store.begin(overwrite=True)
    assert store.identity() == IDENTITY


def test_a_damaged_strip_is_made_again_next_time(tmp_path) -> None:
    store = StripStore(tmp_path / "map.tif", IDENTITY)
    store.begin(overwrite=False)
    store.write(strip(0))
    (file,) = store.path.glob("*-000000.npz")
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(OutputError, match=r"000000\.npz.*damaged.*Repeat the command"):
        store.read(0)
    assert store.finished() == set()


def test_a_late_strip_of_another_map_is_not_taken_for_one_of_this(tmp_path) -> None:
    late = StripStore(tmp_path / "map.tif", IDENTITY)
    late.begin(overwrite=False)
    store = StripStore(tmp_path / "map.tif", {**IDENTITY, "model_sha256": "def"})
    store.begin(overwrite=True)
    late.write(strip(0))
    assert store.finished() == set()
    # Nor when what the folder was of is gone.
    (store.path / "run.json").unlink()
    store.begin(overwrite=False)
    assert store.finished() == set()


@pytest.mark.parametrize("place", range(40, 200, 7))
def test_a_strip_with_a_changed_byte_is_never_a_foreign_error(tmp_path, place) -> None:
    store = StripStore(tmp_path / "map.tif", IDENTITY)
    store.begin(overwrite=False)
    store.write(strip(0))
    (file,) = store.path.glob("*-000000.npz")
    content = bytearray(file.read_bytes())
    content[place] ^= 0xFF
    file.write_bytes(content)
    try:
        store.read(0)
    except OutputError:
        assert store.finished() == set()


def test_a_store_without_strips_leaves_nothing(tmp_path) -> None:
    store = StripStore(tmp_path / "map.tif", IDENTITY)
    store.begin(overwrite=False)
    store.clear_if_empty()
    assert list(tmp_path.iterdir()) == []
    assert store.identity() is None


def test_a_map_that_is_made_is_known_by_what_it_is_of(tmp_path) -> None:
    store = StripStore(tmp_path / "map.tif", IDENTITY)
    store.begin(overwrite=False)
    store.write(strip(0))
    areas = [{"id": 0, "pixels": 24}]
    assert store.made(IDENTITY) is None
    store.finish(IDENTITY, areas)
    assert store.finished() == set()
    store.clear_if_empty()
    assert store.made(IDENTITY) == areas
    assert store.made({**IDENTITY, "core_px": 96}) is None
    (store.path / "made.json").write_text("{")
    assert store.made(IDENTITY) is None


def test_only_files_that_an_unfinished_command_named_are_its_own(tmp_path) -> None:
    store = StripStore(tmp_path / "map.tif", IDENTITY)
    store.begin(overwrite=False)
    assert not store.has_claimed(tmp_path / "map.tif")
    store.claim([tmp_path / "map.tif"])
    assert store.has_claimed(tmp_path / "map.tif")
    assert not store.has_claimed(tmp_path / "other.tif")
    (store.path / "files.json").write_text("[")
    assert not store.has_claimed(tmp_path / "map.tif")
