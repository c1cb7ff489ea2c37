"""Compare the fitted temperature with the true one, with and without its prior, on simulated held-out points.

Points of 3 or 6 classes, one Gaussian each, have exact logits; these are multiplied by a known temperature T. Printed is
the mean absolute error of log T for the most likely temperature and for several standard deviations of the prior.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from geoseg.learning.calibration import MAX_TEMPERATURE

TEMPERATURES = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0)
LANDS = ((3, 3.5), (6, 3.5), (6, 2.5))
"""Classes, and how many standard deviations their centres are apart: 93, 86 and 69 % of the points are right."""
DRAWS = {5: 200, 20: 200, 100: 60, 2000: 6}
PRIORS = (float("inf"), 0.25, 0.5, 0.75, 1.0)
GRID = np.linspace(-np.log(MAX_TEMPERATURE), np.log(MAX_TEMPERATURE), 241)

Floats = NDArray[np.float64]


def draw(
    count: int, classes: int, *, apart: float, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """Return logits (count, classes) whose softmax is the true probability, and classes drawn by it."""
    centres = apart * np.eye(classes) / np.sqrt(2)
    labels = rng.integers(classes, size=count)
    values = centres[labels] + rng.normal(size=(count, classes))
    return -0.5 * ((values[:, None] - centres) ** 2).sum(axis=-1), labels


def losses(logits: Floats, labels: NDArray[np.int64]) -> Floats:
    """Return the sum of the cross-entropy at each log temperature of the grid."""
    own = np.arange(len(labels)), labels
    return np.array([-log_softmax(logits / temperature, axis=1)[own].sum() for temperature in np.exp(GRID)])


def mean_errors(count: int, rng: np.random.Generator) -> Floats:
    """Return the mean absolute error of log T for each prior."""
    errors = []
    for classes, apart in LANDS:
        for temperature in TEMPERATURES:
            for _ in range(DRAWS[count]):
                logits, labels = draw(count, classes, apart=apart, rng=rng)
                loss = losses(temperature * logits, labels)
                found = [GRID[np.argmin(loss + (GRID / deviation) ** 2 / 2)] for deviation in PRIORS]
                errors.append(np.abs(np.array(found) - np.log(temperature)))
    means: Floats = np.mean(errors, axis=0)
    return means


def main() -> None:
    """Print one line for each number of points."""
    print("points  likelihood  " + "  ".join(f"sd {deviation:4g}" for deviation in PRIORS[1:]))
    rng = np.random.default_rng(0)
    for count in DRAWS:
        first, *others = mean_errors(count, rng)
        print(f"{count:6}  {first:10.3f}  " + "  ".join(f"{error:7.3f}" for error in others))


if __name__ == "__main__":
    main()
