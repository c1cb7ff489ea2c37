"""A setting of the service that is not valid is told by its option, or by where it came from."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["serve"],
            "no model is given; expected model files, or folders of them. Run 'geoseg serve model.geoseg'",
        ),
        (["worker"], "no model is given"),
        (
            ["serve", "m.geoseg", "--port", "99999"],
            "--port: invalid value; expected 65535 or less; got 99999",
        ),
        (
            ["serve", "m.geoseg", "--keys", "maybe"],
            "--keys: invalid value; expected 'auto', 'on' or 'off'",
        ),
        (
            ["serve", "m.geoseg", "--job-workers", "-1"],
            "--job-workers: invalid value; expected 0 or more",
        ),
        (
            ["serve", "m.geoseg", "--queue", "rabbit"],
            "--queue: expected sqlite, or an address such as redis://",
        ),
    ],
)
def test_an_option_that_is_not_valid_is_told_by_its_name(geoseg, arguments, said):
    outcome = geoseg(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"Error: {said}"), outcome.err


def test_a_setting_from_elsewhere_is_told_by_where_it_comes_from(geoseg, monkeypatch, tmp_path):
    file = tmp_path / "service.toml"
    file.write_text('models = ["m.geoseg"]\nthreads = "many"\n')
    assert f"Error: {file}: threads: " in geoseg("serve", "--settings", file).err
    file.write_text('models = ["m.geoseg"]\ntreads = 3\n')
    assert f"Error: {file}: treads: there is no such setting" in geoseg("serve", "--settings", file).err
    monkeypatch.setenv("GEOSEG_PENDING", "0")
    assert "Error: GEOSEG_PENDING: " in geoseg("serve", "m.geoseg").err
