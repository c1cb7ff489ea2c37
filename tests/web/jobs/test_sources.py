"""Rasters are read from what the operator allows, and from nowhere else."""

from __future__ import annotations

import pytest

from geoseg.web.http.problems import FORBIDDEN_SOURCE, NOT_FOUND, Problem
from geoseg.web.jobs.sources import allowed_path, allowed_url, check_source

GOOD = "https://good.example/data"
TRICKS = [
    "https://good.example.evil/data/a.tif",
    "https://good.example@evil.example/data/a.tif",
    "https://user:secret@good.example/data/a.tif",
    "https://evil.example/https://good.example/data/a.tif",
    "https://evil.example#good.example/data",
    "https://good.example\\@evil.example/data/a.tif",
    "https://good.example:8443/data/a.tif",
    "https://good.example:99999/data/a.tif",
    "https://good.example./data/a.tif",
    "http://good.example/data/a.tif",
    "ftp://good.example/data/a.tif",
    "file:///etc/passwd",
    "file://good.example/data/a.tif",
    "https://good.example/database/a.tif",
    "https://good.example/data-private/a.tif",
    "https://good.example/data/../private/a.tif",
    "https://good.example/data/%2e%2e/private/a.tif",
    "https://good.example/data/..%2fprivate/a.tif",
    "https://good.example/data/%252e%252e/private/a.tif",
    "https://good.example/data/%5c..%5cprivate/a.tif",
    "https://good.example/data/./a.tif",
    "https://good.example/data/a.tif\r\nHost: evil.example",
    "https://good.example/data/a b.tif",
    "https://good.example/data/a.tif\0",
    "https://góod.example/data/a.tif",
    "https:///data/a.tif",
    "https://[::1/data/a.tif",
    "HTTPS://GOOD.EXAMPLE.EVIL/data/a.tif",
    "//good.example/data/a.tif",
]


@pytest.mark.parametrize("text", TRICKS)
def test_an_address_that_only_looks_allowed_is_refused(text):
    with pytest.raises(Problem) as refused:
        allowed_url(text, [GOOD])

    assert refused.value.kind is FORBIDDEN_SOURCE


@pytest.mark.parametrize(
    "text",
    [
        "https://good.example/data/a.tif",
        "https://good.example:443/data/deep/a.tif",
        "HTTPS://Good.Example/data/a.tif",
        "https://good.example/data/a%20b.tif?token=%2Fabc..",
    ],
)
@pytest.mark.parametrize("prefix", [GOOD, GOOD + "/", "https://good.example"])
def test_an_address_below_a_prefix_is_allowed(text, prefix):
    address = allowed_url(text, ["http://other.example", prefix])

    assert (address.scheme, address.host, address.port) == ("https", "good.example", 443)
    assert text.lower().endswith(address.target.lower())
    assert not address.is_explicit_host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_an_operator_who_writes_an_address_means_it(host):
    assert allowed_url(f"http://{host}:8000/a.tif", [f"http://{host}:8000/"]).is_explicit_host


def test_without_a_list_nothing_is_allowed():
    with pytest.raises(Problem):
        allowed_url("https://good.example/a.tif", [])
    with pytest.raises(Problem):
        allowed_path("/etc/hostname", [])


def test_files_in_an_allowed_folder_are_allowed(tmp_path, settings):
    folder = tmp_path / "rasters"
    (folder / "deep").mkdir(parents=True)
    file = folder / "deep" / "a.tif"
    file.write_bytes(b"1")
    (tmp_path / "link").symlink_to(folder)

    assert allowed_path(str(file), [folder]) == file
    assert allowed_path(str(file), [tmp_path / "link"]) == file
    assert allowed_path(str(tmp_path / "link" / "deep" / "a.tif"), [folder]) == file
    check_source(str(file), settings.model_copy(update={"allow_folders": (folder,)}))


def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path):
    folder, secret = tmp_path / "rasters", tmp_path / "secret.tif"
    folder.mkdir()
    (tmp_path / "rasters-private").mkdir()
    secret.write_bytes(b"1")
    (folder / "link.tif").symlink_to(secret)
    (folder / "loop.tif").symlink_to(folder / "loop.tif")
    out = [
        f"{folder}/../secret.tif",
        f"{folder}/link.tif",
        f"{folder}/loop.tif/a",
        f"{tmp_path}/rasters-private/a.tif",
        str(secret),
        "rasters/a.tif",
        "../secret.tif",
        f"/vsizip/{folder}/a.zip",
        f"{folder}/a\0.tif",
        f"{folder}/{'x' * 5000}",
        "upload",
        "",
    ]

    for text in out:
        with pytest.raises(Problem) as refused:
            allowed_path(text, [folder])
        assert refused.value.kind is FORBIDDEN_SOURCE, text


def test_a_file_that_is_not_there_is_told_apart_inside_the_folder_only(tmp_path):
    folder = tmp_path / "rasters"
    folder.mkdir()

    with pytest.raises(Problem) as inside:
        allowed_path(f"{folder}/none.tif", [folder])
    with pytest.raises(Problem) as outside:
        allowed_path(f"{tmp_path}/none.tif", [folder])

    assert (inside.value.kind, outside.value.kind) == (NOT_FOUND, FORBIDDEN_SOURCE)
    assert str(tmp_path) not in inside.value.detail + outside.value.detail
