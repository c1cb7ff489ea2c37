from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from geoseg.domain.mapping.batching import Batcher


class Counting:
    """Two classes; the first as probable as a pixel is bright. Keeps the sizes of its passes, and can be held."""

    classes = 2

    def __init__(self) -> None:
        self.passes: list[int] = []
        self.is_free, self.has_begun = threading.Event(), threading.Event()
        self.is_free.set()

    def probabilities(self, pixels, valid):
        self.passes.append(len(pixels))
        self.has_begun.set()
        assert self.is_free.wait(10)
        if (pixels < 0).any():
            raise ValueError("a dark pixel")
        return np.stack([pixels[:, 0], 1 - pixels[:, 0]], axis=1)


def windows(value: float, count: int = 1, side: int = 4):
    return np.full((count, 3, side, side), value, np.float32), np.ones((count, side, side), bool)


@pytest.fixture
def predictor():
    return Counting()


@pytest.fixture
def batcher(predictor):
    batcher = Batcher(predictor, max_windows=4, wait_s=0.0)
    yield batcher
    batcher.close()


def ask_while_held(batcher, predictor, questions):
    """Ask one question, and the others while it is being computed; return all answers."""
    predictor.is_free.clear()
    with ThreadPoolExecutor(len(questions)) as pool:
        first = pool.submit(batcher.probabilities, *questions[0])
        assert predictor.has_begun.wait(10)
        others = []
        for n, question in enumerate(questions[1:], start=1):
            others.append(pool.submit(batcher.probabilities, *question))
            while len(batcher._waiting) < n:
                pass
        predictor.is_free.set()
        return [f.result(10) for f in (first, *others)]


def test_everybody_gets_the_answer_to_their_own_question(batcher, predictor):
    answers = ask_while_held(batcher, predictor, [windows(v) for v in (0.1, 0.2, 0.3, 0.4)])
    assert [float(a[0, 0, 0, 0]) for a in answers] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert predictor.passes == [1, 3]


def test_a_pass_takes_no_more_windows_than_it_may(batcher, predictor):
    ask_while_held(batcher, predictor, [windows(0.5) for _ in range(8)])
    assert predictor.passes == [1, 4, 3]


def test_windows_that_were_asked_together_stay_together(batcher, predictor):
    answers = ask_while_held(
        batcher, predictor, [windows(0.1), windows(0.2, 3), windows(0.3, 3), windows(0.4, 9)]
    )
    assert predictor.passes == [1, 3, 3, 9]
    assert [len(a) for a in answers] == [1, 3, 3, 9]


def test_windows_of_other_shapes_wait_for_a_pass_of_their_own(batcher, predictor):
    questions = [windows(0.1), windows(0.2), windows(0.3, side=8), windows(0.4)]
    answers = ask_while_held(batcher, predictor, questions)
    assert predictor.passes == [1, 2, 1]
    assert [a.shape[-1] for a in answers] == [4, 4, 8, 4]


def test_an_error_reaches_those_who_asked_and_nobody_after_them(batcher):
    with pytest.raises(ValueError, match="a dark pixel"):
        batcher.probabilities(*windows(-1.0))
    assert batcher.probabilities(*windows(0.5)).shape == (1, 2, 4, 4)


def test_a_pass_waits_for_those_who_are_at_work_and_have_not_asked(predictor):
    batcher = Batcher(predictor, max_windows=4, wait_s=10.0)
    with batcher.active(), batcher.active(), ThreadPoolExecutor(1) as pool:
        first = pool.submit(batcher.probabilities, *windows(0.1))
        while not batcher._waiting:
            pass
        assert not predictor.has_begun.is_set()
        batcher.probabilities(*windows(0.2))
        first.result(10)
    assert predictor.passes == [2]
    batcher.close()


def test_somebody_alone_waits_for_nobody(predictor):
    batcher = Batcher(predictor, max_windows=4, wait_s=1000.0)
    with batcher.active():
        batcher.probabilities(*windows(0.1))
    batcher.close()


def test_those_who_leave_are_not_waited_for(predictor):
    batcher = Batcher(predictor, max_windows=4, wait_s=1000.0)
    with ThreadPoolExecutor(1) as pool, batcher.active():
        with batcher.active():
            answer = pool.submit(batcher.probabilities, *windows(0.1))
            while not batcher._waiting:
                pass
        answer.result(10)
    batcher.close()


def test_closing_answers_what_waits(predictor):
    batcher = Batcher(predictor, max_windows=1, wait_s=0.0)
    predictor.is_free.clear()
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(batcher.probabilities, *windows(0.1))]
        assert predictor.has_begun.wait(10)
        answers.append(pool.submit(batcher.probabilities, *windows(0.2)))
        while not batcher._waiting:
            pass
        closing = pool.submit(batcher.close)
        while not batcher._is_closed:
            pass
        predictor.is_free.set()
        closing.result(10)
        assert predictor.passes == [1, 1]
        assert [float(a.result(10)[0, 0, 0, 0]) for a in answers] == pytest.approx([0.1, 0.2])
    with pytest.raises(RuntimeError, match="closed"):
        batcher.probabilities(*windows(0.1))


def test_every_pass_is_told_of(predictor):
    told = []
    batcher = Batcher(
        predictor,
        max_windows=4,
        wait_s=0.0,
        on_pass=lambda count, seconds: told.append((count, seconds >= 0)),
    )
    batcher.probabilities(*windows(0.1, 3))
    batcher.close()
    assert told == [(3, True)]
    assert batcher.classes == 2


def test_a_watch_that_fails_is_heard_of_and_ends_nothing(predictor):
    def watch(count, seconds):
        raise OSError("no room for numbers")

    batcher = Batcher(predictor, max_windows=4, wait_s=0.0, on_pass=watch)
    for _ in range(2):
        assert batcher.probabilities(*windows(0.1)).shape == (1, 2, 4, 4)
    batcher.close()


def test_answers_of_another_size_are_an_error_and_end_nothing(predictor, batcher):
    predictor.classes = 2
    original, predictor.probabilities = predictor.probabilities, lambda pixels, valid: None
    with pytest.raises((AttributeError, TypeError, ValueError)):
        batcher.probabilities(*windows(0.1))
    predictor.probabilities = original
    assert batcher.probabilities(*windows(0.1)).shape == (1, 2, 4, 4)
