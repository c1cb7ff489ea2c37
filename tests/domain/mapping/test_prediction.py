import threading
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from geoseg.domain.mapping.prediction import count_strips, count_windows, plan_windows, predict_strips
from geoseg.domain.ports import NullProgress
from geoseg.domain.windows import Window


@dataclass(frozen=True)
class ArraySource:
    """A PixelSource over pixels (1, H, W) that are valid where they are finite."""

    pixels: np.ndarray

    @property
    def height(self):
        return self.pixels.shape[1]

    @property
    def width(self):
        return self.pixels.shape[2]

    def read(self, window: Window):
        out = np.full((1, window.height, window.width), np.nan, np.float32)
        part = window.clipped(self.height, self.width)
        row, col = part.row - window.row, part.col - window.col
        inside = self.pixels[:, part.row : part.row + part.height, part.col : part.col + part.width]
        out[:, row : row + part.height, col : col + part.width] = inside
        valid = np.isfinite(out[0])
        return np.nan_to_num(out), valid


@dataclass
class BrightOrDark:
    """A predictor that looks at single pixels, and remembers what it was sent."""

    classes: int = 2
    sent: list = field(default_factory=list)

    def probabilities(self, pixels, valid):
        self.sent.append(valid)
        assert not pixels[~valid[:, None]].any()
        bright = np.clip(pixels, 0, 1)
        return np.concatenate([1 - bright, bright], axis=1)


def _predict(pixels, window, predictor=None, batch=2):
    predictor = predictor or BrightOrDark()
    plan = plan_windows(window, 32, batch=batch)
    strips = list(predict_strips(ArraySource(pixels), predictor, plan, progress=NullProgress()))
    return np.concatenate([s.class_ids for s in strips]), np.concatenate([s.confidence for s in strips])


@pytest.mark.parametrize("shape", [(1, 1), (1, 150), (150, 1), (40, 50), (97, 201), (300, 130)])
@pytest.mark.parametrize("window", [32, 64, 256])
def test_a_map_of_single_pixels_is_right_whatever_the_window(shape, window):
    pixels = np.random.default_rng(0).uniform(0, 1, (1, *shape)).astype(np.float32)
    class_ids, confidence = _predict(pixels, window)
    assert np.array_equal(class_ids, (pixels[0] > 0.5).astype(np.uint8))
    np.testing.assert_allclose(confidence / 254, np.maximum(pixels[0], 1 - pixels[0]), atol=0.502 / 254)


def test_the_window_and_the_batch_change_no_pixel():
    pixels = np.random.default_rng(0).uniform(0, 1, (1, 150, 333)).astype(np.float32)
    maps = [
        _predict(pixels, window, batch=batch)[0] for window, batch in [(32, 1), (64, 3), (100, 2), (512, 8)]
    ]
    assert all(np.array_equal(maps[0], other) for other in maps[1:])


def test_strips_come_from_north_to_south_and_tile_the_raster():
    source, plan = ArraySource(np.zeros((1, 333, 70), np.float32)), plan_windows(64, 32)
    windows = [s.window for s in predict_strips(source, BrightOrDark(), plan, progress=NullProgress())]
    assert windows[0].row == 0
    assert all(a.row + a.height == b.row for a, b in pairwise(windows))
    assert windows[-1].row + windows[-1].height == 333
    assert {(w.col, w.width) for w in windows} == {(0, 70)}


def test_nodata_in_is_nodata_out_and_changes_no_neighbour():
    pixels = np.random.default_rng(0).uniform(0, 1, (1, 120, 90)).astype(np.float32)
    whole, _ = _predict(pixels, 32)
    holes = pixels.copy()
    holes[:, 20:70, 30:60] = np.nan
    class_ids, confidence = _predict(holes, 32)
    is_hole = np.isnan(holes[0])
    assert (class_ids[is_hole] == 255).all()
    assert (confidence[is_hole] == 255).all()
    assert np.array_equal(class_ids[~is_hole], whole[~is_hole])


def test_windows_without_a_valid_pixel_are_not_sent_to_the_model():
    pixels = np.full((1, 256, 256), np.nan, np.float32)
    pixels[:, :20, :20] = 1
    predictor = BrightOrDark()
    class_ids, _ = _predict(pixels, 64, predictor)
    assert sum(len(valid) for valid in predictor.sent) == 1
    assert (class_ids[:20, :20] == 1).all()
    assert (class_ids == 255).sum() == 256 * 256 - 400


def test_every_window_is_counted():
    counted = []

    class Counter(NullProgress):
        def advance(self, steps=1, note=""):
            counted.append(steps)

    source, plan = ArraySource(np.zeros((1, 200, 140), np.float32)), plan_windows(64, 32)
    list(predict_strips(source, BrightOrDark(), plan, progress=Counter()))
    assert sum(counted) == count_windows(source, plan)


def test_inputs_begin_on_a_common_grid_so_that_windows_agree():
    for window in (32, 100, 256, 512, 1000):
        plan = plan_windows(window, 128)
        assert plan.core_px % 32 == plan.context_px % 32 == (plan.context_px - plan.half_band_px) % 16 == 0
        assert plan.core_px >= window
        assert plan.context_px == 128


@pytest.mark.parametrize("window", [32, 64, 100, 128, 256])
def test_inputs_are_read_from_aligned_places_with_context_on_all_sides(window):
    read = []

    class Noted(ArraySource):
        def read(self, window):
            read.append(window)
            return super().read(window)

    plan = plan_windows(window, 32)
    source, predictor = Noted(np.zeros((1, 333, 150), np.float32)), BrightOrDark()
    list(predict_strips(source, predictor, plan, progress=NullProgress()))
    assert len(read) == count_windows(source, plan)
    assert {edge % 32 for w in read for edge in (w.row, w.col)} == {0}
    assert {side % 32 for valid in predictor.sent for side in valid.shape[1:]} == {0}
    # What lies beyond the raster is not read.
    assert (min(w.row for w in read), max(w.row + w.height for w in read)) == (0, 333)
    # Inside it every core has its context.
    assert all(
        w.height >= plan.core_px + 2 * (plan.context_px - plan.half_band_px)
        for w in read
        if w.row > 0 and w.row + w.height < 333
    )


@pytest.mark.parametrize("window", [32, 64, 256])
def test_a_raster_is_reflected_to_a_multiple_of_32_px_and_no_further_whatever_the_window(window):
    rows = np.linspace(0, 1, 70, dtype=np.float32)
    seen = []

    class Noted(BrightOrDark):
        def probabilities(self, pixels, valid):
            assert valid.all()
            seen.append(pixels[0, 0, :, 0])
            return super().probabilities(pixels, valid)

    source = ArraySource(np.repeat(rows[None, :, None], 40, axis=2))
    list(predict_strips(source, Noted(), plan_windows(window, 32), progress=NullProgress()))
    # It begins with the raster, and ends after row 95: rows 70 to 95 are rows 68 to 43 again.
    np.testing.assert_array_equal(seen[0][:32], rows[:32])
    np.testing.assert_array_equal(seen[-1][-26:], rows[68:42:-1])


def test_a_raster_of_two_rows_is_reflected_again_and_again():
    class Noted(BrightOrDark):
        def probabilities(self, pixels, valid):
            np.testing.assert_array_equal(pixels[0, 0, :, 0], np.resize([0, 1], 32))
            return super().probabilities(pixels, valid)

    source = ArraySource(np.array([[[0.0] * 2, [1.0] * 2]], np.float32))
    (strip,) = predict_strips(source, Noted(), plan_windows(64, 32), progress=NullProgress())
    np.testing.assert_array_equal(strip.class_ids, [[0, 0], [1, 1]])


@pytest.mark.parametrize("strips", [range(1), range(1, 3), range(4, 6), range(6)])
def test_any_range_of_strips_has_the_pixels_of_the_whole(strips):
    pixels = np.random.default_rng(0).uniform(0, 1, (1, 370, 90)).astype(np.float32)

    class Blurred(BrightOrDark):
        def probabilities(self, pixels, valid):
            mean = (pixels + np.roll(pixels, 3, axis=2)) / 2
            return super().probabilities(mean, np.ones_like(valid))

    source, plan = ArraySource(pixels), plan_windows(64, 32)
    whole = list(predict_strips(source, Blurred(), plan, progress=NullProgress()))
    assert len(whole) == count_strips(source, plan) == 6
    part = list(predict_strips(source, Blurred(), plan, progress=NullProgress(), strips=strips))
    assert [s.number for s in part] == list(strips)
    for found in part:
        expected = whole[found.number]
        assert found.window == expected.window
        assert np.array_equal(found.class_ids, expected.class_ids)
        assert np.array_equal(found.confidence, expected.confidence)


def test_probabilities_are_kept_when_asked_for():
    pixels = np.random.default_rng(0).uniform(0, 1, (1, 100, 90)).astype(np.float32)
    pixels[:, :10, :10] = np.nan
    strips = predict_strips(
        ArraySource(pixels),
        BrightOrDark(),
        plan_windows(64, 32),
        progress=NullProgress(),
        has_probabilities=True,
    )
    found = np.concatenate([s.probabilities for s in strips], axis=1)
    expected = np.where(np.isnan(pixels[0]), 255, np.rint(pixels[0] * 254))
    assert found.shape == (2, 100, 90)
    assert np.abs(found[1] - expected).max() <= 1
    assert (found[0][np.isnan(pixels[0])] == 255).all()


@pytest.mark.parametrize(
    ("context", "enlarge", "core"), [(64, 1, 800), (32, 1, 800), (96, 1, 1216), (64, 2, 608)]
)
def test_the_window_is_chosen_so_that_context_costs_a_third_at_most(context, enlarge, core):
    plan = plan_windows(None, context, enlarge=enlarge)
    assert plan.core_px == core
    if enlarge == 1:
        assert ((plan.core_px + 2 * plan.context_px) / plan.core_px) ** 2 <= 1.35


def test_a_break_in_the_raster_is_told_where_the_strips_are_taken():
    class Broken(ArraySource):
        def read(self, window):
            if window.row > 150:
                raise OSError("block lost")
            return super().read(window)

    strips = predict_strips(
        Broken(np.zeros((1, 400, 70), np.float32)),
        BrightOrDark(),
        plan_windows(64, 32),
        progress=NullProgress(),
    )
    assert next(strips).number == 0
    with pytest.raises(OSError, match="block lost"):
        list(strips)


def test_nothing_is_read_any_more_when_the_strips_are_left_early():
    source = ArraySource(np.zeros((1, 4000, 70), np.float32))
    before = threading.active_count()
    strips = predict_strips(source, BrightOrDark(), plan_windows(64, 32), progress=NullProgress())
    next(strips)
    assert threading.active_count() > before
    strips.close()
    assert threading.active_count() == before


def test_nothing_is_read_any_more_when_predicting_is_stopped():
    class Stop(NullProgress):
        def advance(self, steps=1, note=""):
            raise KeyboardInterrupt

    source = ArraySource(np.zeros((1, 4000, 70), np.float32))
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt) as stopped:
        list(predict_strips(source, BrightOrDark(), plan_windows(64, 32), progress=Stop()))
    # The frames, and with them the generators, are kept by the error.
    assert stopped.value.__traceback__ is not None
    assert threading.active_count() == before
