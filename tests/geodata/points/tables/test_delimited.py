from __future__ import annotations

import pytest

from geoseg.errors import PointsError
from geoseg.geodata.points.tables.delimited import read_delimited

TEXT = "class{s}x{s}y\nGewässer{s}1{s}2\nWald{s}3{s}4\n"


def write(folder, text, encoding="utf-8"):
    path = folder / "field.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_any_usual_separator_and_encoding_is_read(tmp_path, separator, encoding):
    columns, notes, _ = read_delimited(write(tmp_path, TEXT.format(s=separator), encoding))

    assert columns.to_dict("list") == {"class": ["Gewässer", "Wald"], "x": ["1", "3"], "y": ["2", "4"]}
    assert notes == (
        ("field.csv is not UTF-8; its text was read as Windows-1252.",) if encoding == "cp1252" else ()
    )


def test_decimal_commas_do_not_separate_cells_between_semicolons(tmp_path):
    columns, _, _ = read_delimited(write(tmp_path, "x;y;note\r\n9,1;48,5;a, b, c\r\n9,2;48,6;d\r\n"))

    assert columns["x"].tolist() == ["9,1", "9,2"]
    assert columns["note"].tolist() == ["a, b, c", "d"]


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nx;y\n1;2\n",
        "\n\n x , y \n\n1,2\n,\n",
        '"x","y"\n"1","2"\n',
        "x,y,\n1,2,\n",
        "x\ty\n1\t2\t\t\n",
    ],
)
def test_what_spreadsheets_add_is_taken_off(tmp_path, text):
    columns, _, _ = read_delimited(write(tmp_path, text))

    assert columns[["x", "y"]].to_dict("list") == {"x": ["1"], "y": ["2"]}


def test_columns_of_one_name_and_none_stay_apart(tmp_path):
    columns, _, _ = read_delimited(write(tmp_path, "x,x,,\n1,2,3,4\n"))

    assert list(columns.columns) == ["x", "x_2", "column_3", "_2"]


def test_columns_of_one_name_are_warned_of_whatever_their_case(tmp_path):
    *_, warnings = read_delimited(write(tmp_path, "x,Class,y,class,,\n1,a,2,b,,\n"))

    assert warnings == (
        "2 columns are called 'Class'; the first is used. The others are available as 'class'.",
    )


def test_a_row_with_a_cell_too_many_is_refused_by_its_line(tmp_path):
    path = write(tmp_path, "lon,lat,class\n9.1,48.5,a\n9,2,48,6,b\n")

    with pytest.raises(
        PointsError,
        match=r"field\.csv, line 3: .*more cells than the header; expected 3; got 5\. With decimal",
    ):
        read_delimited(path)


def test_binary_data_and_an_empty_file_are_refused(tmp_path):
    (tmp_path / "b.csv").write_bytes(bytes(range(256)) * 4)

    with pytest.raises(PointsError, match="got binary data"):
        read_delimited(tmp_path / "b.csv")
    with pytest.raises(PointsError, match="got an empty file"):
        read_delimited(write(tmp_path, "\n \n"))


def test_a_cell_may_hold_the_outline_of_a_large_polygon(tmp_path):
    outline = "POLYGON ((" + ", ".join("1 2" for _ in range(50_000)) + "))"

    columns, _, _ = read_delimited(write(tmp_path, f'wkt;class\n"{outline}";a\n'))

    assert columns["wkt"].tolist() == [outline]
