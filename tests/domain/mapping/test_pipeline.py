import threading
import time

import pytest

from geoseg.domain.mapping.pipeline import prefetch


def test_items_come_in_their_order():
    assert list(prefetch(iter(range(100)), depth=3)) == list(range(100))


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise OSError("the raster broke")

    taken = prefetch(items())
    assert next(taken) == 1
    with pytest.raises(OSError, match="the raster broke"):
        next(taken)


def test_no_more_than_the_depth_waits_beside_the_one_under_way():
    made = []

    def items():
        for n in range(50):
            made.append(n)
            yield n

    taken = prefetch(items(), depth=2)
    assert next(taken) == 0
    time.sleep(0.3)
    # One is taken, two wait in the queue, one is in the hands of the thread.
    assert len(made) <= 4
    assert list(taken) == list(range(1, 50))


def test_leaving_early_stops_the_thread_and_closes_the_iterator():
    closed = threading.Event()

    def items():
        try:
            yield from range(1000)
        finally:
            closed.set()

    taken = prefetch(items())
    before = threading.active_count()
    next(taken)
    taken.close()
    assert closed.is_set()
    assert threading.active_count() <= before


def test_stages_work_at_the_same_time():
    first, second = threading.Event(), threading.Event()

    def items():
        yield 1
        # Comes to its end only if the consumer goes on meanwhile.
        first.set()
        assert second.wait(5)
        yield 2

    taken = prefetch(items())
    assert next(taken) == 1
    assert first.wait(5)
    second.set()
    assert list(taken) == [2]
