"""Error matrices: classes are matched by name, and a table that is none is refused."""

from __future__ import annotations

import pytest

from geoseg.errors import PointsError
from geoseg.geodata.assessment.error_matrices import read_error_matrix


@pytest.fixture
def matrix(tmp_path):
    def write(text):
        path = tmp_path / "matrix.csv"
        path.write_text(text)
        return path

    return write


def test_rows_and_columns_are_matched_by_name_in_any_order_and_case(matrix):
    found = read_error_matrix(matrix("map, Water ,FIELD,pixels\nfield,1,9,100\nwater,8,2,50\n"))

    assert found.legend.names == ("field", "water")
    assert found.counts.tolist() == [[9, 1], [2, 8]]
    assert found.pixels.tolist() == [100, 50]


def test_a_reference_class_that_the_map_lacks_comes_last(matrix):
    found = read_error_matrix(matrix("map;field;bog;pixels\nfield;9;3;1000\n"))

    assert found.legend.names == ("field", "bog")
    assert found.map_class.tolist() == [0]
    assert found.counts.tolist() == [[9, 3]]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PointsError, match=r"none.csv: no such file"):
        read_error_matrix(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("map,field,water\nfield,1,2\n", "this is not an error matrix"),
        ("map,field,pixels\n", "has no row"),
        ("map,field,pixels\nfield,-1,100\n", "got -1"),
        ("map,field,pixels\nfield,1.5,100\n", "got 1.5"),
        ("map,field,pixels\nfield,,100\n", "an empty cell"),
        ("map,field,pixels\nfield,many,100\n", "not a number; got 'many'"),
        ("map,field,pixels\nfield,nan,100\n", "not a count"),
        ("map,field,pixels\nfield,101,100\n", "more sampled pixels than pixels"),
        ("map,field,pixels\nfield,0,100\n", "no sampled pixel, so nothing is known"),
        ("map,field,pixels\nfield,0,0\n", "the error matrix has no sampled pixel"),
        ("map,field,Field,pixels\nfield,1,1,100\n", "each column needs a class of its own"),
        ("map,field,pixels\nfield,1,100\nFIELD,1,100\n", "each row needs a class of its own"),
    ],
)
def test_a_table_that_is_no_error_matrix_is_refused(matrix, text, said):
    with pytest.raises(PointsError, match=said):
        read_error_matrix(matrix(text))
