"""``geoseg assess`` in a terminal: tables, JSON, and the exit codes of what is refused."""

from __future__ import annotations

import json

MATRIX = "map,field,water,pixels\nfield,45,5,6000\nwater,2,28,4000\n"


def test_a_matrix_prints_tables_and_exactly_the_promised_keys_as_json(geoseg, tmp_path):
    (tmp_path / "matrix.csv").write_text(MATRIX)
    command = ("assess", "estimate", "--matrix", tmp_path / "matrix.csv", "--pixel-m2", 100)

    table, answer = geoseg(*command), geoseg(*command, "--json")

    assert table.code == answer.code == 0
    assert "90.0 ± 8.4" in table.out
    record = json.loads(answer.out)
    assert set(record["overall"]) == {"estimate", "half_width"}
    for name in ("users", "producers", "area_ha"):
        assert set(record[name]) == {"field", "water"}
        assert all(set(entry) == {"estimate", "half_width"} for entry in record[name].values())


def test_a_design_prints_its_strata_and_a_sample_without_labels_ends_with_4(geoseg, dataset, tmp_path):
    sample = tmp_path / "sample.gpkg"
    drawn = geoseg("assess", "design", dataset / "masks" / "north.tif", "--size", 60, "-o", sample)
    refused = geoseg("assess", "estimate", sample)

    assert drawn.code == 0
    assert "60 pixels to label" in drawn.out
    assert refused.code == 4
    assert "no point is labelled yet" in refused.err


def test_a_wrong_option_is_named_and_ends_with_2(geoseg, tmp_path):
    answer = geoseg(
        "assess", "design", tmp_path / "map.tif", "--target-se", 2, "-o", tmp_path / "sample.gpkg"
    )

    assert answer.code == 2
    assert "--target-se" in answer.err
    assert geoseg("assess", "estimate").code == 2
