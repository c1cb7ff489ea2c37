"""The one error tree: every fault that a user can act on."""

from __future__ import annotations

from collections.abc import Sequence

MOST_QUOTED = 10
"""Errors that one error quotes at most."""


class GeoSegError(Exception):
    """Say what is wrong, where, what was expected, what came and what to do.

    Args:
        what: The fault, as one clause without a full stop.
        where: File, option or place in a file that the fault is in.
        expected: What would have been right.
        got: What came instead.
        hint: What the user can do about it.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.where, self.expected, self.got, self.hint = what, where, expected, got, hint
        super().__init__(what)

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where is not None else self.what]
        parts += [f"expected {self.expected}"] if self.expected is not None else []
        parts += [f"got {self.got}"] if self.got is not None else []
        text = "; ".join(parts).rstrip(".") + "."
        return f"{text} {self.hint}" if self.hint else text


def join_faults(
    faults: Sequence[GeoSegError], what: str, *, where: object = None, hint: str | None = None
) -> GeoSegError:
    """Return one error of the first's kind that quotes all."""
    texts = list(dict.fromkeys(map(str, faults)))
    named, more = texts[:MOST_QUOTED], len(texts) - MOST_QUOTED
    got = "; ".join(text.rstrip(".") for text in named) + (f"; and {more} more" if more > 0 else "")
    return type(faults[0])(what, where=where, got=got, hint=hint)


class GeoSegWarning(UserWarning):
    """Something that may spoil a result, such as points that were dropped."""


class SettingsError(GeoSegError):
    """An option or a settings file that cannot be used."""

    exit_code = 2


class RasterError(GeoSegError):
    """A raster that is missing, unreadable or unfit for what is asked of it."""

    exit_code = 3


class PixelValuesError(RasterError):
    """Pixel values on another scale than those that a model learnt from."""


class PointsError(GeoSegError):
    """A point file that is missing, unreadable or unusable with its raster."""

    exit_code = 4


class LegendError(GeoSegError):
    """A legend that is inconsistent, or lacks a class that the data has."""

    exit_code = 5


class DatasetError(GeoSegError):
    """A folder that does not hold what a dataset needs."""

    exit_code = 6


class ModelFileError(GeoSegError):
    """A model file, checkpoint or weights file that is damaged, foreign or too new."""

    exit_code = 7


class OutputError(GeoSegError):
    """A result that cannot be written: it exists, the place is closed, or the disk is full."""

    exit_code = 8


class TrainingError(GeoSegError):
    """A training run that cannot start or go on."""

    exit_code = 9


class ResumeError(TrainingError):
    """An unfinished training run that cannot be gone on with."""


class StoppedError(GeoSegError):
    """Work stopped by the user; what is done is kept, and the message says where."""

    exit_code = 130
