"""Legends as other code names classes, and class ids of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import MAX_CLASSES, UNLABELLED, Legend, legend_from_names
from geoseg.errors import LegendError, SettingsError

LegendLike: TypeAlias = Legend | Sequence[str] | None
"""A legend, class names in the order of their ids, or nothing."""


def as_legend(legend: LegendLike) -> Legend | None:
    """Return a legend of class names in the order of their ids; a legend as it is.

    Raises:
        SettingsError: It is neither.
        LegendError: Names repeat.
    """
    if legend is None or isinstance(legend, Legend):
        return legend
    if isinstance(legend, str) or not all(isinstance(name, str) for name in legend):
        raise SettingsError(
            "this is no legend", where="legend", expected='class names such as ["field", "water"]', got=legend
        )
    return legend_from_names(legend)


def numbered_legend(*masks: NDArray[np.uint8]) -> Legend:
    """Return a legend of the classes "0", "1" ... up to the highest id in masks, 255 aside.

    Raises:
        LegendError: They hold no class.
    """
    found = [mask[mask != UNLABELLED] for mask in masks]
    highest = max((int(ids.max()) for ids in found if ids.size), default=-1)
    if highest < 0:
        raise LegendError("all pixels are unlabelled", expected="class ids from 0")
    return legend_from_names(map(str, range(highest + 1)))


def class_ids(values: Any, name: str, *, ignore_index: int = UNLABELLED) -> NDArray[np.uint8]:
    """Return an array or DataArray of class ids as uint8, of the same shape, 255 where it is ``ignore_index`` or NaN.

    Raises:
        SettingsError: It holds no whole numbers, or other numbers than class ids.
    """
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "buif":
        raise SettingsError(
            "this is no array of class ids", where=name, expected="whole numbers", got=numbers.dtype
        )
    is_none = (numbers == ignore_index) | (numbers != numbers)
    found = np.unique(numbers[~is_none])
    foreign = found[(found < 0) | (found >= MAX_CLASSES) | (found != np.floor(found))]
    if len(foreign):
        raise SettingsError(
            "the array holds values that are no class",
            where=name,
            expected=f"class ids 0 to {MAX_CLASSES - 1}, or {ignore_index} where there is none",
            got=", ".join(f"{value:g}" for value in foreign[:5]),
        )
    return np.where(is_none, UNLABELLED, np.where(is_none, 0, numbers)).astype(np.uint8)
