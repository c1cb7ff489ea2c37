"""What is stored of API keys gives no key away, wherever it lies."""

from __future__ import annotations

import stat

from tests.web.auth.free_keys import free

from geoseg.web.auth.keys import Key, KeyStore


def test_a_key_is_let_in_with_its_name_and_limits(store):
    text = store.add("Field team, Žilina", per_minute=3, pixels_per_day=100)

    key = store.check(text)

    assert key == Key(text[4:12], "Field team, Žilina", 3, 100)


def test_a_key_has_an_id_and_a_secret_of_256_bits_without_underscores(store):
    start, key, secret = free(store).split("_")

    assert start == "gsk"
    assert len(key) == 8
    assert int(key, 16) >= 0
    assert 62 ** len(secret) >= 2**256
    assert secret.isalnum()


def test_the_secret_is_nowhere_in_the_files(store, path):
    secret = free(store).split("_")[2]

    # With the write-ahead log, where it is before the store is closed.
    held = b"".join(p.read_bytes() for p in path.parent.iterdir())

    assert b"anna" in held
    assert secret.encode() not in held
    assert secret[:12].encode() not in held


def test_the_files_are_their_owners_alone(store, path):
    free(store)

    modes = {stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}

    assert len(list(path.parent.iterdir())) == 3
    assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_folder_that_is_there_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o755)

    KeyStore(tmp_path / "keys.sqlite").close()

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert [p.name for p in tmp_path.iterdir()] == ["keys.sqlite"]


def test_a_path_may_hold_what_means_something_in_an_address(tmp_path):
    path = tmp_path / "a?mode=memory#b %41 ž" / "keys.sqlite"
    text = free(KeyStore(path))

    assert KeyStore(path).check(text)
