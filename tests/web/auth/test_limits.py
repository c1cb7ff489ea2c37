"""How much may be taken with an API key, whatever the clocks do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from uuid import uuid4

import pytest
from tests.web.auth.clock import DAY, HOUR, MINUTE
from tests.web.auth.free_keys import free


def take(store, key, pixels, reference=None):
    """Take pixels for a reference, by default one of their own."""
    return store.charge_pixels(key, pixels, reference or uuid4().hex)


def test_a_rate_lets_so_many_through_in_any_minute(store, steady, anna):
    answers = []
    for moment in (0, 10, 20, 30, 59.5, 60, 60, 70):
        steady.seconds = 1000.0 + moment
        answers.append(store.count_request(anna))

    # The fourth has to wait for the first to be a minute old, the one after it for the second.
    assert answers == [None, None, None, 30.0, 0.5, None, 10.0, None]


def test_the_time_to_wait_is_long_enough_and_no_longer(store, steady, anna):
    for _ in range(3):
        store.count_request(anna)
    steady.seconds += 12.25
    wait = store.count_request(anna)

    steady.seconds += wait - 0.5
    early = store.count_request(anna)
    steady.seconds += 0.5
    right = store.count_request(anna)

    assert (wait, early, right) == (47.75, 0.5, None)


def test_a_wall_clock_moved_back_and_forth_leaves_the_rate_alone(store, wall, anna):
    answers = []
    for move in (-365 * DAY, 800 * DAY, -1, 0):
        wall.seconds += move
        answers.append(store.count_request(anna))

    assert answers == [None, None, None, MINUTE]


@pytest.mark.parametrize(("before", "longest"), [(1e6, 0.0), (20.0, 45.0)])
def test_after_a_reboot_nobody_waits_longer_than_a_minute(store, steady, anna, before, longest):
    steady.seconds = before
    for _ in range(3):
        store.count_request(anna)

    steady.seconds = 35.0  # the clock began again

    assert (store.count_request(anna) or 0.0) == longest


def test_keys_do_not_share_their_limits(store, anna):
    ben = store.check(store.add("ben", per_minute=1, pixels_per_day=10))
    for _ in range(4):
        store.count_request(anna)
    take(store, anna, 100)

    assert store.count_request(ben) is None
    assert take(store, ben, 10) is None
    assert store.count_request(ben) == MINUTE
    assert take(store, ben, 1) == 2 * HOUR


def test_a_quota_refuses_what_is_over_it_and_takes_nothing_then(store, anna):
    asked = (60, 41, 40, 1, 101)

    assert [take(store, anna, n) for n in asked] == [None, 2 * HOUR, None, 2 * HOUR, 2 * HOUR]


def test_a_quota_begins_again_at_midnight(store, wall, anna):
    take(store, anna, 100)
    wait = take(store, anna, 1)

    wall.seconds += wait - 1
    early = take(store, anna, 1)
    wall.seconds += 1

    assert early == 1.0
    assert take(store, anna, 100) is None
    assert take(store, anna, 1) == DAY


def test_a_clock_moved_over_midnight_and_back_gives_no_second_quota(store, wall, anna):
    take(store, anna, 100)
    wall.seconds += 3 * HOUR
    take(store, anna, 70)

    wall.seconds -= 3 * HOUR
    back = take(store, anna, 1)
    wall.seconds += 3 * HOUR

    assert back == 2 * HOUR
    assert take(store, anna, 31) == 23 * HOUR
    assert take(store, anna, 30) is None


@pytest.mark.parametrize("years", [-5, 5])
def test_a_clock_far_off_for_a_while_locks_nobody_out(store, wall, anna, years):
    wall.seconds += years * 365 * DAY
    take(store, anna, 100)
    wall.seconds -= years * 365 * DAY

    assert take(store, anna, 100) is None


def test_only_a_few_days_are_kept(store, path, wall, anna):
    for _ in range(30):
        take(store, anna, 1)
        wall.seconds += DAY

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM pixels").fetchone() == (8,)


def test_zero_means_no_limit(store):
    key = store.check(free(store))

    assert {store.count_request(key) for _ in range(100)} == {None}
    assert take(store, key, 10**30) is None


def used(path):
    """Return the pixels that are used on all days, and the records of charges."""
    with closing(sqlite3.connect(path)) as connection:
        days = connection.execute("SELECT sum(used) FROM pixels").fetchone()[0]
        return days, connection.execute("SELECT count(*) FROM charges").fetchone()[0]


def test_pixels_are_taken_once_for_a_reference(store, path, anna):
    assert [take(store, anna, 60, "job") for _ in range(3)] == [None] * 3
    assert used(path) == (60, 1)
    assert take(store, anna, 40, "other") is None
    assert take(store, anna, 1, "third") == 2 * HOUR


def test_a_reference_that_needs_another_number_of_pixels_is_charged_the_difference(store, path, anna):
    take(store, anna, 60, "job")
    assert take(store, anna, 90, "job") is None
    assert used(path) == (90, 1)
    assert take(store, anna, 101, "job") == 2 * HOUR
    assert used(path) == (90, 1)
    assert take(store, anna, 20, "job") is None
    assert used(path) == (20, 1)


def test_pixels_are_given_back_once_to_the_day_of_which_they_were_taken(store, path, wall, anna):
    take(store, anna, 60, "evening")
    wall.seconds += 3 * HOUR
    take(store, anna, 30, "morning")
    store.refund_pixels("evening")
    store.refund_pixels("evening")
    store.refund_pixels("unknown")

    assert used(path) == (30, 1)
    assert take(store, anna, 70) is None
    assert take(store, anna, 1) == 23 * HOUR


def test_a_forgotten_charge_stays_taken(store, path, anna):
    take(store, anna, 60, "job")
    store.delete_charge("job")
    store.refund_pixels("job")

    assert used(path) == (60, 0)


def test_a_store_of_an_earlier_version_without_charges_is_used_on(store, path, anna):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE IF EXISTS charges")
        connection.commit()

    store.refund_pixels("job")
    assert take(store, anna, 60, "job") is None
    assert used(path) == (60, 1)
