from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.domain.mapping.blending import Blender, spans, strip_tasks

EDGES = [1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 511, 512, 513]


@given(
    length=st.integers(1, 700) | st.sampled_from(EDGES),
    core=st.sampled_from([32, 64, 96, 256, 512]),
    half=st.sampled_from([0, 8, 16]),
)
def test_spans_follow_each_other_and_their_weights_sum_to_one(length, core, half):
    cut = spans(length, core, half)
    assert [cut[0].start, cut[-1].stop] == [0, length]
    assert all(a.stop == b.start for a, b in pairwise(cut))
    total = np.zeros(length)
    for span in cut:
        total[span.start - span.before : span.stop + span.after] += span.weights()
    np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 200), (200, 1), (63, 65), (130, 257)])
def test_constant_probabilities_stay_constant_and_every_pixel_is_finished_once(height, width):
    constant = np.array([0.25, 0.75], np.float32)[:, None, None]
    blender, finished = Blender(2, width, 16), np.zeros((height, width), int)
    for rows in spans(height, 64, 16):
        for task in strip_tasks(rows, width, core=64, half_band=16):
            window = task.window
            done, probabilities = blender.add(
                task, np.broadcast_to(constant, (2, window.height, window.width))
            )
            finished[done.row : done.row + done.height, done.col : done.col + done.width] += 1
            np.testing.assert_allclose(
                probabilities, np.broadcast_to(constant, probabilities.shape), atol=1e-6
            )
    assert (finished == 1).all()


def test_the_weights_of_a_border_are_what_they_are_by_hand():
    # A band of 4 px: ramps of 1/8, 3/8, 5/8 and 7/8.
    first, second = spans(64, 32, 2)
    np.testing.assert_allclose(first.weights()[-4:], [0.875, 0.625, 0.375, 0.125])
    np.testing.assert_allclose(second.weights()[:4], [0.125, 0.375, 0.625, 0.875])


def test_only_the_bands_are_kept_however_tall_the_raster():
    blender, width = Blender(2, 70, 16), 70
    for rows in spans(5000, 64, 16):
        for task in strip_tasks(rows, width, core=64, half_band=16):
            blender.add(task, np.ones((2, task.window.height, task.window.width), np.float32))
        held = [array for array in vars(blender).values() if isinstance(array, np.ndarray)]
        assert sum(array.size for array in held) <= 2 * 2 * 16 * (width + 96)
        # They do not hold on to the window.
        assert all(array.base is None for array in held)
