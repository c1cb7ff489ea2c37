"""API keys: what is stored of them, who is let in, and how much each may take."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OutputError, SettingsError
from geoseg.web.keys import Key, KeyStore

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
# Each prints that it is there, waits for a line, then works: all that were started begin at once.
TAKE_REQUESTS = """
import sys
from pathlib import Path
from geoseg.web.keys import Key, KeyStore
path, key, limit = sys.argv[1:]
key = Key(key, "anna", int(limit), 0)
print("ready", flush=True)
sys.stdin.readline()
store = KeyStore(Path(path))
print(sum(store.take_request(key) is None for _ in range(int(limit))))
"""
TAKE_PIXELS = TAKE_REQUESTS.replace('"anna", int(limit), 0', '"anna", 0, int(limit)').replace(
    "take_request(key)", "take_pixels(key, 3)"
)
ADD = """
import sys
from pathlib import Path
from geoseg.errors import SettingsError
from geoseg.web.keys import KeyStore
path, me = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
store, made = KeyStore(Path(path)), 0
for number in range(20):
    store.add(f"own {number} of {me}", per_minute=0, pixels_per_day=0)
    try:
        store.add(f"shared {number}", per_minute=0, pixels_per_day=0)
        made += 1
    except SettingsError:
        pass
print(made)
"""
FORK = """
import os, sys
from pathlib import Path
from geoseg.web.keys import KeyStore
store = KeyStore(Path(sys.argv[1]))
text = store.add("anna", per_minute=0, pixels_per_day=0)
child = os.fork()
name = "child" if child == 0 else "parent"
for number in range(20):
    store.add(f"{name} {number}", per_minute=0, pixels_per_day=0)
    assert store.check(text)
if child == 0:
    store.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(len(store.list()))
"""


class Clock:
    """A clock that a test sets."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "keys.sqlite"


@pytest.fixture
def steady():
    return Clock(1000.0)


@pytest.fixture
def wall():
    return Clock(datetime(2026, 3, 1, 22, tzinfo=UTC).timestamp())


@pytest.fixture
def store(path, wall, steady):
    return KeyStore(path, wall=wall, steady=steady)


@pytest.fixture
def anna(store):
    """A key of three requests a minute and 100 pixels a day."""
    return store.check(store.add("anna", per_minute=3, pixels_per_day=100))


def free(store, name="anna"):
    return store.add(name, per_minute=0, pixels_per_day=0)


def together(script, *arguments):
    """Run a script in two processes that begin at once; return the number that each prints."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command], **pipes) as one, subprocess.Popen([*command], **pipes) as other:
        assert [p.stdout.readline() for p in (one, other)] == ["ready\n", "ready\n"]
        for process in (one, other):
            process.stdin.write("\n")
            process.stdin.flush()
        numbers = [int(p.stdout.read()) for p in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0)
    return numbers


def steps(work):
    """Count the steps of some work that take time, as the interpreter reports its calls of C functions."""
    seen = Counter()
    sys.setprofile(lambda frame, event, what: seen.update([what.__name__] if event == "c_call" else []))
    try:
        work()
    finally:
        sys.setprofile(None)
    return [seen[name] for name in ("compare_digest", "openssl_sha256", "execute", "fetchone", "stat")]


# What is stored


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


# Who is let in


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
        with pytest.raises(SettingsError, match="no key in use"):
            store.revoke(text)


def test_a_name_is_free_again_when_its_key_is_revoked(store):
    old = free(store)
    with pytest.raises(SettingsError, match="there is a key of this name"):
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
    with pytest.raises(SettingsError, match="cannot have this name"):
        free(store, name)

    assert store.list() == []


@pytest.mark.parametrize("limits", [(-1, 0), (0, -1), (10**7, 0), (0, 2**63)])
def test_limits_that_cannot_be_are_refused(store, limits):
    with pytest.raises(SettingsError, match="this limit cannot be"):
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


# How much


def test_a_rate_lets_so_many_through_in_any_minute(store, steady, anna):
    answers = []
    for moment in (0, 10, 20, 30, 59.5, 60, 60, 70):
        steady.seconds = 1000.0 + moment
        answers.append(store.take_request(anna))

    # The fourth has to wait for the first to be a minute old, the one after it for the second.
    assert answers == [None, None, None, 30.0, 0.5, None, 10.0, None]


def test_the_time_to_wait_is_long_enough_and_no_longer(store, steady, anna):
    for _ in range(3):
        store.take_request(anna)
    steady.seconds += 12.25
    wait = store.take_request(anna)

    steady.seconds += wait - 0.5
    early = store.take_request(anna)
    steady.seconds += 0.5
    right = store.take_request(anna)

    assert (wait, early, right) == (47.75, 0.5, None)


def test_a_wall_clock_moved_back_and_forth_leaves_the_rate_alone(store, wall, anna):
    answers = []
    for move in (-365 * DAY, 800 * DAY, -1, 0):
        wall.seconds += move
        answers.append(store.take_request(anna))

    assert answers == [None, None, None, MINUTE]


@pytest.mark.parametrize(("before", "longest"), [(1e6, 0.0), (20.0, 45.0)])
def test_after_a_reboot_nobody_waits_longer_than_a_minute(store, steady, anna, before, longest):
    steady.seconds = before
    for _ in range(3):
        store.take_request(anna)

    steady.seconds = 35.0  # the clock began again

    assert (store.take_request(anna) or 0.0) == longest


def test_keys_do_not_share_their_limits(store, anna):
    ben = store.check(store.add("ben", per_minute=1, pixels_per_day=10))
    for _ in range(4):
        store.take_request(anna)
    store.take_pixels(anna, 100)

    assert store.take_request(ben) is None
    assert store.take_pixels(ben, 10) is None
    assert store.take_request(ben) == MINUTE
    assert store.take_pixels(ben, 1) == 2 * HOUR


def test_a_quota_refuses_what_is_over_it_and_takes_nothing_then(store, anna):
    asked = (60, 41, 40, 1, 101)

    assert [store.take_pixels(anna, n) for n in asked] == [None, 2 * HOUR, None, 2 * HOUR, 2 * HOUR]


def test_a_quota_begins_again_at_midnight(store, wall, anna):
    store.take_pixels(anna, 100)
    wait = store.take_pixels(anna, 1)

    wall.seconds += wait - 1
    early = store.take_pixels(anna, 1)
    wall.seconds += 1

    assert early == 1.0
    assert store.take_pixels(anna, 100) is None
    assert store.take_pixels(anna, 1) == DAY


def test_a_clock_moved_over_midnight_and_back_gives_no_second_quota(store, wall, anna):
    store.take_pixels(anna, 100)
    wall.seconds += 3 * HOUR
    store.take_pixels(anna, 70)

    wall.seconds -= 3 * HOUR
    back = store.take_pixels(anna, 1)
    wall.seconds += 3 * HOUR

    assert back == 2 * HOUR
    assert store.take_pixels(anna, 31) == 23 * HOUR
    assert store.take_pixels(anna, 30) is None


@pytest.mark.parametrize("years", [-5, 5])
def test_a_clock_far_off_for_a_while_locks_nobody_out(store, wall, anna, years):
    wall.seconds += years * 365 * DAY
    store.take_pixels(anna, 100)
    wall.seconds -= years * 365 * DAY

    assert store.take_pixels(anna, 100) is None


def test_only_a_few_days_are_kept(store, path, wall, anna):
    for _ in range(30):
        store.take_pixels(anna, 1)
        wall.seconds += DAY

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM pixels").fetchone() == (8,)


def test_zero_means_no_limit(store):
    key = store.check(free(store))

    assert {store.take_request(key) for _ in range(100)} == {None}
    assert store.take_pixels(key, 10**30) is None


# Threads and processes


def test_clocks_are_read_when_no_other_may_write(path):
    # Else one who waits for its turn would write an earlier time after a later one, which then seems to be
    # of before a reboot and not to count.
    refused = []

    def clock():
        with closing(sqlite3.connect(path, timeout=0)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                refused.append(error.sqlite_errorname)
        return 0.0

    store = KeyStore(path)
    key = store.check(store.add("anna", per_minute=1, pixels_per_day=1))
    clocked = KeyStore(path, wall=clock, steady=clock)
    clocked.take_request(key)
    clocked.take_pixels(key, 1)

    assert refused == ["SQLITE_BUSY"] * 2


def test_threads_never_take_more_than_the_limits(path):
    store = KeyStore(path)
    key = store.check(store.add("anna", per_minute=40, pixels_per_day=100))

    with ThreadPoolExecutor(8) as pool:
        requests = list(pool.map(lambda _: store.take_request(key), range(80)))
        pixels = list(pool.map(lambda _: store.take_pixels(key, 3), range(80)))

    assert requests.count(None) == 40
    assert pixels.count(None) == 33


@pytest.mark.parametrize(("script", "allowed"), [(TAKE_REQUESTS, 150), (TAKE_PIXELS, 50)])
def test_processes_together_never_take_more_than_the_limits(path, script, allowed):
    store = KeyStore(path)
    text = store.add("anna", per_minute=150, pixels_per_day=150)

    taken = together(script, path, text[4:12], 150)

    assert sum(taken) == allowed


def test_processes_that_make_the_store_and_keys_at_once_lose_none(path):
    # Both have names of their own, and 20 that only one of them can get.
    command = "import os\n" + ADD.replace("path, me = sys.argv[1:]", "path, me = sys.argv[1], os.getpid()")

    made = together(command, path)

    names = [k.name for k in KeyStore(path).list()]
    assert sum(made) == 20
    assert len(names) == len(set(names)) == 60
    assert not list(path.parent.glob(".keys-*"))


def test_a_store_can_be_used_on_both_sides_of_a_fork(path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK, path], capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("41\n", "")


# Faults


def test_a_file_that_is_no_database_is_a_fault_with_advice(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to be one" * 100)

    with pytest.raises(OutputError, match="make new keys") as fault:
        KeyStore(path)

    assert fault.value.where == path


def test_a_database_of_something_else_is_a_fault(path):
    path.parent.mkdir()
    path.touch()

    with pytest.raises(OutputError, match="not a store of keys"):
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
        with pytest.raises(OutputError, match="put a copy in its place"):
            work()

    store.close()
    path.write_bytes(good)
    assert store.check(text)


def test_a_store_that_others_hold_is_a_fault_after_a_while_and_goes_on_then(path):
    store = KeyStore(path, patience_s=0.01)
    key = store.check(store.add("anna", per_minute=1, pixels_per_day=1))

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for take in (lambda: store.take_request(key), lambda: store.take_pixels(key, 1)):
            with pytest.raises(OutputError, match="try again"):
                take()

    assert store.take_request(key) is None
    assert store.take_pixels(key, 1) is None


def test_a_full_disk_is_a_fault_and_keeps_what_is_there(store, path, full_disk):
    text = free(store)
    store.close()

    with full_disk(path.stat().st_size), pytest.raises(OutputError, match="has room"):
        [free(store, f"name {number}") for number in range(200)]

    assert store.check(text)
    assert free(store, "new")


def test_a_store_that_cannot_be_made_is_a_fault(tmp_path, full_disk):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be used"):
        KeyStore(tmp_path / "file" / "keys.sqlite")
    with full_disk(5000), pytest.raises(OutputError, match="has room"):
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

    with pytest.raises(OutputError, match="a store of keys that is gone"):
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
