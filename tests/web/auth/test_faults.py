"""A store of API keys that is broken, full, held or gone is a fault that says what to do."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from tests.web.auth.free_keys import free

from geoseg.errors import OutputError
from geoseg.web.auth.keys import KeyStore


def test_a_file_that_is_no_database_is_a_fault_with_advice(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to be one" * 100)

    with pytest.raises(OutputError, match="create new keys") as fault:
        KeyStore(path)

    assert fault.value.where == path


def test_a_database_of_something_else_is_a_fault(path):
    path.parent.mkdir()
    path.touch()

    with pytest.raises(OutputError, match="not a key store"):
        KeyStore(path)


def test_damage_within_the_file_is_a_fault_and_a_good_copy_ends_it(store, path):
    text = free(store)
    store.close()
    good = path.read_bytes()
    path.write_bytes(good[:4096] + b"\xff" * (len(good) - 4096))

    for work in (
        lambda: store.check(text),
        store.list,
        lambda: store.revoke("anna"),
        lambda: free(store, "ben"),
    ):
        with pytest.raises(OutputError, match="restore a backup"):
            work()

    store.close()
    path.write_bytes(good)
    assert store.check(text)


def test_a_store_that_others_hold_is_a_fault_after_a_while_and_goes_on_then(path):
    store = KeyStore(path, busy_timeout_s=0.01)
    key = store.check(store.add("anna", per_minute=1, pixels_per_day=1))

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for take in (lambda: store.count_request(key), lambda: store.charge_pixels(key, 1, "job")):
            with pytest.raises(OutputError, match="try again"):
                take()

    assert store.count_request(key) is None
    assert store.charge_pixels(key, 1, "job") is None


def test_a_full_disk_is_a_fault_and_keeps_what_is_there(store, path, full_disk):
    text = free(store)
    store.close()

    with full_disk(path.stat().st_size), pytest.raises(OutputError, match="disk is not full"):
        [free(store, f"name {number}") for number in range(200)]

    assert store.check(text)
    assert free(store, "new")


def test_a_store_that_cannot_be_made_is_a_fault(tmp_path, full_disk):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be used"):
        KeyStore(tmp_path / "file" / "keys.sqlite")
    with full_disk(5000), pytest.raises(OutputError, match="disk is not full"):
        KeyStore(tmp_path / "full" / "keys.sqlite")

    assert list((tmp_path / "full").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_closed_to_this_user_is_a_fault(store, path):
    free(store)
    store.close()
    path.chmod(0o000)

    with pytest.raises(OutputError, match="this user"):
        store.list()


def test_a_store_that_is_removed_is_a_fault_not_an_empty_store(store, path):
    text = free(store)
    shutil.rmtree(path.parent)

    with pytest.raises(OutputError, match="cannot be used"):
        store.check(text)

    assert not path.exists()


def test_the_log_of_a_lost_store_is_not_written_into_a_new_one(store, path):
    free(store)
    log = path.with_name("keys.sqlite-wal")
    left = log.read_bytes()
    store.close()
    path.unlink()
    log.write_bytes(left)

    with pytest.raises(OutputError, match="belongs to a missing key store"):
        KeyStore(path)

    log.unlink()
    assert KeyStore(path).list() == []


def test_a_store_put_in_place_of_another_counts_at_once(store, path, tmp_path):
    old = free(store)
    other = KeyStore(tmp_path / "other.sqlite")
    new = free(other)
    other.close()
    store.close()
    assert store.check(old)

    for leftover in path.parent.glob("keys.sqlite-*"):
        leftover.unlink()
    (tmp_path / "other.sqlite").replace(path)

    assert store.check(old) is None
    assert store.check(new)
