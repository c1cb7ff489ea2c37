"""Changes of labels: all or none, refused when stale, undone after a restart; edits of other programs are numbered."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import shapely

from geoseg.geodata.projects.changes import (
    Change,
    ConflictError,
    NothingToUndoError,
    apply_changes,
    redo,
    undo,
    undo_labels,
)
from geoseg.geodata.projects.classes import (
    ClassConflictError,
    add_classes,
    adopt_classes,
    change_class,
    delete_class,
    list_classes,
)
from geoseg.geodata.projects.labels import Label, deleted_since, labels_since
from geoseg.geodata.projects.schema import connected, create_points_file, current_revision, is_points_file

UTM = "EPSG:32617"


def new_id() -> str:
    return str(uuid.uuid4())


def label(class_id: int | None, x: float = 10.0, own: str | None = None, **more: object) -> Label:
    shape = shapely.Point(x, 20)
    return Label(own or new_id(), "scene", shape, class_id, annotator="ann", **more)  # type: ignore[arg-type]


def add(path: Path, *labels: Label, annotator: str = "ann") -> int:
    changes = [Change("add", one.id, None, one) for one in labels]
    return apply_changes(path, changes, annotator=annotator).revision


def read(path: Path, since: int = -1) -> list[Label]:
    with connected(path) as connection:
        return labels_since(connection, since)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "points.gpkg"
    create_points_file(path, UTM)
    add_classes(path, [("water", None), ("wood", "#112233")])
    return path


@pytest.fixture
def points(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(template, tmp_path))


def test_gdal_reads_the_points_with_class_role_and_weight(points: Path) -> None:
    shape = shapely.Polygon([(0, 0), (10, 0), (0, 10)])
    unsure = Label(new_id(), "scene", shape, None, is_unsure=True)
    add(points, label(1), label(2, role="check"), unsure)
    frame = pyogrio.read_dataframe(points, layer="points")
    assert frame["class"].fillna("").tolist() == ["water", "wood", ""]
    assert frame["role"].tolist() == ["train", "check", "train"]
    assert frame["weight"].tolist() == [1, 1, 0]
    assert frame.geometry.geom_type.tolist() == ["Point", "Point", "Polygon"]
    assert frame.crs == UTM
    legend = pyogrio.read_dataframe(points, layer="legend", read_geometry=False)
    assert legend[["id", "name", "color"]].values.tolist() == [
        [0, "water", "#2b7fc1"],
        [1, "wood", "#112233"],
    ]


def test_a_stale_change_changes_nothing_and_names_the_current_state(points: Path) -> None:
    one, other = label(1), label(1)
    first = add(points, one, other)
    moved = Label(**{**vars(one), "geometry": shapely.Point(11, 20)})
    apply_changes(points, [Change("update", one.id, first, moved)], annotator="ann")
    with pytest.raises(ConflictError) as caught:
        apply_changes(
            points,
            [Change("delete", other.id, first, None), Change("update", one.id, first, one)],
            annotator="bob",
        )
    assert caught.value.current[one.id] is not None
    assert caught.value.current[one.id].geometry.x == 11  # type: ignore[union-attr]
    assert len(read(points)) == 2


def test_a_point_added_twice_or_changed_after_it_was_deleted_is_a_conflict(points: Path) -> None:
    one = label(1)
    first = add(points, one)
    with pytest.raises(ConflictError):
        add(points, one)
    apply_changes(points, [Change("delete", one.id, first, None)], annotator="ann")
    with pytest.raises(ConflictError) as caught:
        apply_changes(points, [Change("update", one.id, first, one)], annotator="ann")
    assert caught.value.current == {one.id: None}


def test_changes_since_a_revision_list_new_and_deleted_points(points: Path) -> None:
    one, other = label(1), label(2)
    first = add(points, one)
    second = add(points, other)
    apply_changes(points, [Change("delete", one.id, first, None)], annotator="ann")
    assert [found.id for found in read(points, first)] == [other.id]
    with connected(points) as connection:
        assert deleted_since(connection, second) == [one.id]


def test_undo_and_redo_go_back_and_forth_and_need_no_memory(points: Path) -> None:
    one = label(1)
    add(points, one)
    apply_changes(
        points, [Change("update", one.id, read(points)[0].revision, label(2, own=one.id))], annotator="ann"
    )
    assert [found.class_id for found in undo(points, annotator="ann").labels] == [1]
    assert undo(points, annotator="ann").deleted == (one.id,)
    assert read(points) == []
    with pytest.raises(NothingToUndoError):
        undo(points, annotator="ann")
    redo(points, annotator="ann")
    assert [found.class_id for found in redo(points, annotator="ann").labels] == [2]
    with pytest.raises(NothingToUndoError):
        redo(points, annotator="ann")


def test_undo_touches_the_own_changes_only_and_refuses_where_another_changed_the_point(points: Path) -> None:
    one, other = label(1), label(1)
    first = add(points, one)
    add(points, other, annotator="bob")
    apply_changes(points, [Change("update", one.id, first, label(2, own=one.id))], annotator="bob")
    with pytest.raises(ConflictError) as caught:
        undo(points, annotator="ann")
    assert list(caught.value.current) == [one.id]
    assert len(read(points)) == 2


def test_a_new_change_ends_what_could_be_redone(points: Path) -> None:
    add(points, label(1))
    undo(points, annotator="ann")
    add(points, label(2))
    with connected(points) as connection:
        assert undo_labels(connection, "ann") == ("add 1 point", None)


def test_rows_that_gdal_adds_changes_and_deletes_get_revisions(points: Path) -> None:
    before = add(points, label(1))
    new = gpd.GeoDataFrame({"class": ["meadow"]}, geometry=[shapely.Point(3, 4)], crs=UTM)
    pyogrio.write_dataframe(new, points, layer="points", append=True, driver="GPKG")
    [found] = read(points, before)
    assert (found.source, found.role, found.annotator, found.class_id) == ("qgis", "train", "QGIS", None)
    with connected(points) as connection:
        adopt_classes(connection)
    assert read(points, before)[0].class_id == 3
    assert [one.name for one in list_classes(points)] == ["water", "wood", "meadow"]
    other = sqlite3.connect(points)
    other.execute("UPDATE points SET unsure = 1 WHERE uuid = ?", (found.id,))
    other.execute("DELETE FROM points WHERE uuid != ?", (found.id,))
    other.commit()
    other.close()
    [again] = read(points, found.revision)
    assert again.is_unsure
    assert again.revision > found.revision
    assert pyogrio.read_dataframe(points, layer="points")["weight"].tolist() == [0]
    with connected(points) as connection:
        assert len(deleted_since(connection, found.revision)) == 1


def test_a_row_that_is_copied_with_its_id_gets_an_id_of_its_own(points: Path) -> None:
    add(points, label(1))
    other = sqlite3.connect(points)
    other.execute(
        "INSERT INTO points (geom, class, image, uuid, revision) SELECT geom, class, image, uuid, revision FROM points"
    )
    other.commit()
    other.close()
    found = read(points)
    assert len({one.id for one in found}) == len(found) == 2
    assert all(len(one.id) == 36 for one in found)


def test_a_spatial_index_made_by_another_program_stays_true(points: Path) -> None:
    add(points, label(1))
    with connected(points) as connection:
        connection.execute("CREATE VIRTUAL TABLE rtree_points_geom USING rtree(id, minx, maxx, miny, maxy)")
        connection.execute(
            "CREATE TRIGGER rtree_points_geom_insert AFTER INSERT ON points WHEN (NEW.geom NOT NULL AND NOT "
            "ST_IsEmpty(NEW.geom)) BEGIN INSERT OR REPLACE INTO rtree_points_geom VALUES (NEW.fid, "
            "ST_MinX(NEW.geom), ST_MaxX(NEW.geom), ST_MinY(NEW.geom), ST_MaxY(NEW.geom)); END"
        )
    add(points, label(2, x=77.0))
    with connected(points) as connection:
        assert [row["minx"] for row in connection.execute("SELECT * FROM rtree_points_geom")] == [77.0]


def test_a_renamed_class_takes_its_points_along_and_undo_still_knows_them(points: Path) -> None:
    add(points, label(1))
    own = list_classes(points)[0]
    renamed = change_class(points, 1, own.revision, name="lake", color=None, key=None)
    assert pyogrio.read_dataframe(points, layer="points")["class"].tolist() == ["lake"]
    with pytest.raises(ClassConflictError):
        change_class(points, 1, own.revision, name="sea", color=None, key=None)
    assert (renamed.name, renamed.points) == ("lake", 1)
    assert undo(points, annotator="ann").deleted


def test_a_class_with_points_stays(points: Path) -> None:
    add(points, label(1))
    classes = list_classes(points)
    with pytest.raises(ClassConflictError, match="1 points"):
        delete_class(points, 1, classes[0].revision)
    delete_class(points, 2, classes[1].revision)
    assert [one.id for one in list_classes(points)] == [1]
    assert [one.id for one in add_classes(points, [("road", None)])] == [1, 3]


def test_an_undo_that_needs_a_deleted_class_is_a_conflict(points: Path) -> None:
    one = label(2)
    first = add(points, one)
    apply_changes(points, [Change("delete", one.id, first, None)], annotator="ann")
    delete_class(points, 2, list_classes(points)[1].revision)
    with pytest.raises(ConflictError):
        undo(points, annotator="ann")


def test_the_revision_counts_every_change(points: Path) -> None:
    with connected(points) as connection:
        before = current_revision(connection)
    assert add(points, label(1)) == before + 1
    assert is_points_file(points)
