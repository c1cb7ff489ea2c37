"""The commands ``geoseg keys``."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from geoseg.cli.keys import DATA
from geoseg.settings.serving import ServeSettings
from geoseg.web.auth.keys import KeyStore


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.delenv("GEOSEG_DATA", raising=False)
    return tmp_path / "data"


def test_add_prints_the_key_alone_and_says_elsewhere_that_it_is_shown_once(geoseg, data):
    outcome = geoseg("keys", "add", "anna", "--per-minute", 60, "--pixels-per-day", 1000, "--data", data)

    key = KeyStore(data / "keys.sqlite").check(outcome.out.removesuffix("\n"))
    assert (key.name, key.per_minute, key.pixels_per_day) == ("anna", 60, 1000)
    assert outcome.err.count("\n") == 1
    assert "cannot be shown again" in outcome.err
    assert key.id not in outcome.err
    assert outcome.code == 0


def test_list_shows_the_keys_but_nothing_secret(geoseg, data):
    text = geoseg("keys", "add", "anna [1]", "--per-minute", 1200, "--data", data).out.strip()

    outcome = geoseg("keys", "list", "--data", data)

    header, row = outcome.out.splitlines()
    assert header.split()[:2] == ["id", "name"]
    assert row.split()[:4] == [text[4:12], "anna", "[1]", "1,200"]
    assert text[13:] not in outcome.out + outcome.err


def test_list_describes_the_keys_as_json(geoseg, data):
    text = geoseg("keys", "add", "anna", "--data", data).out.strip()

    (record,) = json.loads(geoseg("keys", "list", "--json", "--data", data).out)["keys"]

    assert datetime.fromisoformat(record.pop("created")).utcoffset().total_seconds() == 0
    assert record == {
        "id": text[4:12],
        "name": "anna",
        "per_minute": 0,
        "pixels_per_day": 0,
        "last_used": None,
        "revoked": None,
    }


@pytest.mark.parametrize("by", ["id", "name"])
def test_revoke_refuses_the_key_in_a_store_that_is_open(geoseg, data, by):
    text = geoseg("keys", "add", "anna", "--data", data).out.strip()
    service = KeyStore(data / "keys.sqlite")
    assert service.check(text)

    outcome = geoseg("keys", "revoke", text[4:12] if by == "id" else "anna", "--data", data)

    assert service.check(text) is None
    assert (outcome.code, outcome.out) == (0, f"{text[4:12]} (anna) is revoked.\n")


def test_the_folder_is_the_services(geoseg, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    geoseg("keys", "add", "here")
    monkeypatch.setenv("GEOSEG_DATA", str(data))
    geoseg("keys", "add", "there")

    assert [k.name for k in KeyStore(tmp_path / DATA / "keys.sqlite").list()] == ["here"]
    assert [k.name for k in KeyStore(data / "keys.sqlite").list()] == ["there"]
    assert ServeSettings.model_fields["data"].default == DATA


@pytest.mark.parametrize("command", [["list"], ["revoke", "anna"]])
def test_where_no_keys_are_kept_nothing_is_made(geoseg, data, assert_fails, command):
    outcome = geoseg("keys", *command, "--data", data)

    assert_fails(outcome, 2, data, "this folder has no API keys")
    assert not data.exists()


def test_a_name_in_use_is_refused(geoseg, data, assert_fails):
    geoseg("keys", "add", "anna", "--data", data)

    assert_fails(geoseg("keys", "add", "anna", "--data", data), 2, "'anna'", "Revoke it")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["an\nna"], r"'an\nna'"), (["anna", "--per-minute", -1], "per-minute"), (["\x1b[2J"], r"\x1b")],
)
def test_what_cannot_be_is_refused_in_one_line(geoseg, data, assert_fails, arguments, word):
    assert_fails(geoseg("keys", "add", *arguments, "--data", data), 2, word)


def test_an_unknown_key_cannot_be_revoked(geoseg, data, assert_fails):
    geoseg("keys", "add", "anna", "--data", data)

    assert_fails(geoseg("keys", "revoke", "ben", "--data", data), 2, "'ben'", "geoseg keys list")


def test_a_damaged_store_is_a_fault_in_one_line(geoseg, data, assert_fails):
    data.mkdir()
    (data / "keys.sqlite").write_bytes(b"damaged " * 1000)

    assert_fails(geoseg("keys", "list", "--data", data), 8, data, "create new keys")
