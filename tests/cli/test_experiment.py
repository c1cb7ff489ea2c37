"""``geoseg experiment`` as it is typed."""

import json

from geoseg.cli.experiments import spread_lists


def test_lists_are_written_after_their_option():
    typed = [
        "experiment",
        "d",
        "--recipes",
        "forest",
        "quick",
        "--per-class",
        "10",
        "50",
        "-o",
        "r",
        "--json",
    ]
    assert spread_lists(typed) == [
        *("experiment", "d", "--recipes", "forest", "--recipes", "quick"),
        *("--per-class", "10", "--per-class", "50", "-o", "r", "--json"),
    ]
    assert spread_lists(["points", "--per-class", "1", "2"]) == ["points", "--per-class", "1", "2"]


def test_an_experiment_prints_its_table(geoseg, dataset, cheaply, tmp_path):
    protocol = tmp_path / "protocol.json"
    protocol.write_text(json.dumps({"scope": "total", "wrong_share": 0.1}))
    asked = ["--recipes", "forest", "quick", "--per-class", "5", "--seeds", 1, "--protocol", protocol]

    outcome = geoseg("experiment", dataset, *asked, *cheaply, "-o", tmp_path / "results")

    assert outcome.code == 0
    assert "as published" in outcome.out
    assert "Run 2/2: quick, 5 points per class, seed 0" in outcome.err
    again = geoseg("experiment", dataset, *asked, *cheaply, "-o", tmp_path / "results", "--json", "-q")
    assert [e["recipe"] for e in json.loads(again.out)["results"]] == ["forest", "quick"]


def test_a_protocol_that_cannot_be_read_is_named(geoseg, dataset, tmp_path):
    outcome = geoseg("experiment", dataset, "--protocol", tmp_path / "no.json", "-o", tmp_path / "r")
    assert outcome.code > 0
    assert "no.json: the protocol cannot be read" in outcome.err


def test_a_recipe_that_is_none_is_named(geoseg, dataset, tmp_path):
    outcome = geoseg("experiment", dataset, "--recipes", "best", "-o", tmp_path / "r")
    assert "--recipes" in outcome.err
    outcome = geoseg("experiment", dataset, "--epochs", "0", "-o", tmp_path / "r")
    assert "--epochs" in outcome.err
