from __future__ import annotations

import pytest

from geoseg.domain.legend import LandClass, Legend
from geoseg.errors import LegendError, OutputError
from geoseg.geodata.datasets.legend_files import read_legend, write_legend

LEGEND = Legend((LandClass(0, "Grünland", "#00ff00"), LandClass(1, "water", "#0000ff")))


def test_a_legend_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "legend.json"

    write_legend(path, LEGEND, overwrite=False)

    assert read_legend(path) == LEGEND


def test_a_legend_file_has_one_class_a_line(tmp_path):
    path = tmp_path / "legend.json"
    write_legend(path, LEGEND, overwrite=False)

    assert path.read_text(encoding="utf-8") == (
        '[\n  {"id": 0, "name": "Grünland", "color": "#00ff00"},\n'
        '  {"id": 1, "name": "water", "color": "#0000ff"}\n]\n'
    )


def test_a_legend_saved_by_windows_is_read(tmp_path):
    path = tmp_path / "legend.json"
    path.write_text('[{"id": 0, "name": "a", "color": "#000000"}]', encoding="utf-8-sig")

    assert read_legend(path).names == ("a",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[{", "not JSON; expected .*; got something else at line 1, column 3"),
        (b"id,name,color\n0,a,#000000", "not JSON; .*line 1, column 1"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'{"water": 0}', "not a legend"),
        (b'[{"id": 0, "name": "a"}]', "a class has no .color."),
        (
            b'[{"id": 0, "name": "a", "color": "#000000"}, {"id": 1, "name": "b", "color": "#000000"}]',
            "two classes have the same colour; got 'a', 'b'",
        ),
        (
            b'[{"id": 0, "name": "a", "color": "#000000"}, {"id": 1, "name": "A ", "color": "#000001"}]',
            "two class names differ only in case or blanks; got 'a', 'A '",
        ),
        (b'[{"id": 1, "name": "a", "color": "#000000"}]', "count up from 0"),
    ],
)
def test_a_file_that_is_no_legend_is_refused_by_name(tmp_path, content, said):
    path = tmp_path / "classes.json"
    path.write_bytes(content)

    with pytest.raises(LegendError, match=r"classes\.json: .*" + said):
        read_legend(path)


def test_a_missing_legend_is_refused_by_name(tmp_path):
    with pytest.raises(LegendError, match=r"none\.json: .*No such file"):
        read_legend(tmp_path / "none.json")


def test_a_legend_file_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "legend.json"
    path.write_text("mine")

    with pytest.raises(OutputError, match="exists"):
        write_legend(path, LEGEND, overwrite=False)
    assert path.read_text() == "mine"

    write_legend(path, LEGEND, overwrite=True)
    assert read_legend(path) == LEGEND
