"""Threads and processes that share a store of API keys take no more than the limits, and lose nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from geoseg.web.auth.keys import KeyStore

# Each prints that it is there, waits for a line, then works: all that were started begin at once.
TAKE_REQUESTS = """
import secrets
import sys
from pathlib import Path
from geoseg.web.auth.keys import Key, KeyStore
path, key, limit = sys.argv[1:]
key = Key(key, "anna", int(limit), 0)
print("ready", flush=True)
sys.stdin.readline()
store = KeyStore(Path(path))
print(sum(store.count_request(key) is None for _ in range(int(limit))))
"""
TAKE_PIXELS = TAKE_REQUESTS.replace('"anna", int(limit), 0', '"anna", 0, int(limit)').replace(
    "count_request(key)", "charge_pixels(key, 3, secrets.token_hex())"
)
ADD = """
import sys
from pathlib import Path
from geoseg.errors import SettingsError
from geoseg.web.auth.keys import KeyStore
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
from geoseg.web.auth.keys import KeyStore
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
    clocked = KeyStore(path, wall_clock=clock, monotonic_clock=clock)
    clocked.count_request(key)
    clocked.charge_pixels(key, 1, "job")

    assert refused == ["SQLITE_BUSY"] * 2


def test_threads_never_take_more_than_the_limits(path):
    store = KeyStore(path)
    key = store.check(store.add("anna", per_minute=40, pixels_per_day=100))

    with ThreadPoolExecutor(8) as pool:
        requests = list(pool.map(lambda _: store.count_request(key), range(80)))
        pixels = list(pool.map(lambda n: store.charge_pixels(key, 3, f"job {n}"), range(80)))

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
