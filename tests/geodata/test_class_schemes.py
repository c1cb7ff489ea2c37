"""Class schemes of other programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.domain.legend import legend_from_names
from geoseg.errors import LegendError
from geoseg.geodata.datasets.class_schemes import read_class_scheme
from geoseg.geodata.outputs.styles import class_style


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "name,color\nroad,#445566\nhouse,\n", [("road", "#445566"), ("house", None)]),
        ("a.csv", "class;colour\nroad;1,2,3\n", [("road", "#010203")]),
        ("a.csv", "road\nhouse\n", [("road", None), ("house", None)]),
        ("a.json", '[{"id": 0, "name": "road", "color": "#445566"}]', [("road", "#445566")]),
        (
            "a.qml",
            (
                '<qgis><renderer-v2><categories><category value="road" label="Road" symbol="0"/></categories><symbols>'
                '<symbol name="0"><layer><Option><Option name="color" value="1,2,255,255"/></Option></layer></symbol>'
                "</symbols></renderer-v2></qgis>"
            ),
            [("Road", "#0102ff")],
        ),
    ],
)
def test_names_and_colours_are_read(
    tmp_path: Path, name: str, text: str, expected: list[tuple[str, str | None]]
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_class_scheme(path) == expected


def test_the_style_of_an_own_class_map_gives_its_classes(tmp_path: Path) -> None:
    legend = legend_from_names(["water", "wood"])
    path = tmp_path / "map.qml"
    path.write_text(class_style(legend), encoding="utf-8")
    assert read_class_scheme(path) == [(one.name, one.color) for one in legend.classes]


@pytest.mark.parametrize(
    ("name", "text"), [("a.csv", ""), ("a.qml", "<qgis>"), ("a.xlsx", "x"), ("a.qml", "<qgis/>")]
)
def test_a_file_without_classes_is_an_error(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LegendError):
        read_class_scheme(path)
