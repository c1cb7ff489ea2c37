"""How long the quick recipe's fit takes once its features are at hand: the fit itself, and the choice of the ridge.

    python benchmarks/quick.py [--points 500 4310 20000] [--classes 6] [--views 4] [--features 384]

Features are invented: classes of unequal spread, with the fast falling spectrum that a backbone's layers have. There are
384 in the bundled backbone's layers at two scales, and 3,712 in those of ResNet50.
Asked are 2 s for 500 points and 15 s for 20,000, and four times that for the choice of the ridge.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from geoseg.domain.ports import NullProgress
from geoseg.inference.graphs.layers import STAGE_CHANNELS
from geoseg.learning.features.reading import MAX_POINTS
from geoseg.learning.heads.logistic import fit_linear, single_threaded_blas, standardise
from geoseg.learning.heads.quick import cross_validate
from geoseg.learning.validation import Sample

FEATURES = 2 * sum(STAGE_CHANNELS)
POINTS_A_PLACE = 40


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, nargs="+", default=[500, 4310, 20000])
    parser.add_argument("--classes", type=int, default=6)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--features", type=int, default=FEATURES)
    options = parser.parse_args()
    for count in options.points:
        views = min(options.views, MAX_POINTS // count)
        sample = _invent(count, options.classes, views=views, features=options.features)
        began = time.perf_counter()
        standard = standardise(sample.values)
        fitted = Sample(standard.coordinates, sample.labels, sample.weights, sample.places)
        with single_threaded_blas():
            fit_linear(
                fitted.values, fitted.labels, fitted.weights, classes=options.classes, inverse_ridge=1e-3
            )
        once = time.perf_counter() - began
        validation = cross_validate(fitted, options.classes, NullProgress(), views=views)
        chosen = time.perf_counter() - began - once
        print(
            f"{count:7,d} points, {views} views: fit {once:6.2f} s, choice of the ridge {chosen:6.2f} s "
            f"({len(validation.losses)} tried, {chosen / once:.1f} fits)"
        )


def _invent(count: int, classes: int, *, views: int, features: int) -> Sample:
    rng = np.random.default_rng(0)
    labels = np.tile(rng.integers(classes, size=count), views)
    spectrum = 1 / np.arange(1, features + 1) ** 0.7
    own = np.tile(rng.normal(size=(count, features)).astype(np.float32), (views, 1))
    turned = own + 0.3 * rng.normal(size=own.shape).astype(np.float32)
    hidden = (turned + 0.7 * rng.normal(size=(classes, features))[labels]) * spectrum
    mixing = np.linalg.qr(rng.normal(size=(features, features)))[0]
    values = np.maximum(hidden @ mixing, 0).astype(np.float32)
    places = np.tile(np.arange(count) // POINTS_A_PLACE, views)
    return Sample(values, labels, np.full(len(labels), 1 / views), places)


if __name__ == "__main__":
    main()
