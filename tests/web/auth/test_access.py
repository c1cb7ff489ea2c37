"""Who is let in with an API key, and until when."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.web.auth.clock import DAY, HOUR
from tests.web.auth.free_keys import free

from geoseg.errors import SettingsError
from geoseg.web.auth.keys import KeyStore


def steps(work):
    """Count the steps of some work that take time, as the interpreter reports its calls of C functions."""
    seen = Counter()
    sys.setprofile(lambda frame, event, what: seen.update([what.__name__] if event == "c_call" else []))
    try:
        work()
    finally:
        sys.setprofile(None)
    return [seen[name] for name in ("compare_digest", "openssl_sha256", "execute", "fetchone", "stat")]


def test_keys_that_are_not_there_are_refused(store):
    text = free(store)
    other = free(store, "ben")
    swapped = text[:13] + other[13:]

    refused = [
        swapped,
        text[:-1],
        text + "0",
        text + "\n",
        " " + text,
        text.upper(),
        "gsk_",
        "",
        "\ud800",
        "\0",
    ]

    assert [store.check(t) for t in refused] == [None] * len(refused)
    assert store.check(text)


@given(text=st.text(max_size=80))
@hypothesis.settings(max_examples=30)
def test_any_text_is_refused_and_nothing_breaks(tmp_path_factory, text):
    store = KeyStore(tmp_path_factory.getbasetemp() / "any" / "keys.sqlite")

    assert store.check(text) is None


def test_unknown_ids_cost_the_same_work_as_wrong_secrets(store):
    text = free(store)
    store.check(text)

    wrong, unknown, formless = (
        steps(lambda t=t: store.check(t))
        for t in (text[:13] + "x" * 43, f"gsk_00000000_{text[13:]}", "x" * 56)
    )

    assert wrong == unknown == formless == [1, 1, 1, 1, 1]


def test_a_revoked_key_is_refused_at_once_by_another_store(store, path):
    text, other = free(store), KeyStore(path)
    assert other.check(text)

    store.revoke("anna")

    assert other.check(text) is None
    assert store.check(text) is None


def test_a_key_is_revoked_by_its_id_alone(store):
    anna, ben = free(store), free(store, "ben")

    found = store.revoke(ben[4:12])

    assert found.name == "ben"
    assert store.check(anna)
    assert store.check(ben) is None


def test_what_is_not_in_use_cannot_be_revoked(store):
    free(store)
    store.revoke("anna")

    for text in ("anna", "ben", "", "\ud800"):
        with pytest.raises(SettingsError, match="no active key"):
            store.revoke(text)


def test_a_name_is_free_again_when_its_key_is_revoked(store):
    old = free(store)
    with pytest.raises(SettingsError, match="a key with this name exists"):
        free(store)
    store.revoke("anna")

    new = free(store)

    assert store.check(new)
    assert store.check(old) is None
    assert [k.revoked is None for k in store.list()] == [False, True]


@pytest.mark.parametrize(
    "name", ["", " ", " anna", "an\nna", "\x1b[2J", "a\u202eb", "\ud800", "a" * 101, "0123abcd"]
)
def test_names_that_would_mislead_are_refused(store, name):
    with pytest.raises(SettingsError, match="invalid name of a key"):
        free(store, name)

    assert store.list() == []


@pytest.mark.parametrize("limits", [(-1, 0), (0, -1), (10**7, 0), (0, 2**63)])
def test_limits_that_cannot_be_are_refused(store, limits):
    with pytest.raises(SettingsError, match="invalid limit"):
        store.add("anna", per_minute=limits[0], pixels_per_day=limits[1])


def test_the_list_tells_when_a_key_was_made_used_and_revoked(store, wall):
    made = wall.seconds
    text = store.add("anna", per_minute=3, pixels_per_day=100)
    wall.seconds = made + HOUR
    store.check(text)
    wall.seconds = made + HOUR + 59  # within the minute to which it is told
    store.check(text)
    before = store.list()
    wall.seconds = made + 2 * HOUR
    store.revoke("anna")
    store.check(text)
    (info,) = store.list()

    moments = [m.timestamp() - made for m in (info.created, info.last_used, info.revoked)]
    assert moments == [0, HOUR, 2 * HOUR]
    assert info.created.tzinfo is UTC
    assert (before[0].last_used, before[0].revoked) == (info.last_used, None)
    assert (info.id, info.name, info.per_minute, info.pixels_per_day) == (text[4:12], "anna", 3, 100)


def test_a_clock_set_back_does_not_freeze_the_last_use(store, wall):
    text = free(store)
    store.check(text)
    wall.seconds -= DAY

    store.check(text)

    assert store.list()[0].last_used.timestamp() == wall.seconds
