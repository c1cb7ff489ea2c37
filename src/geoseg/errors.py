"""Exceptions: GeoSegError and its subclasses, for every error that a user can act on."""

from __future__ import annotations

from collections.abc import Sequence

MAX_QUOTED = 10
"""Maximum number of errors that a joined error quotes."""


class GeoSegError(Exception):
    """An error that a user can act on. The message gives the problem, its location and a remedy.

    Args:
        what: The problem, as one clause without a full stop.
        where: The file, the position in a file, or the option with the problem.
        expected: The expected value.
        got: The actual value.
        hint: A remedy, as a sentence.
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


def join_errors(
    errors: Sequence[GeoSegError], what: str, *, where: object = None, hint: str | None = None
) -> GeoSegError:
    """Return one error that quotes all errors, with the class of the first."""
    texts = list(dict.fromkeys(map(str, errors)))
    quoted, more = texts[:MAX_QUOTED], len(texts) - MAX_QUOTED
    got = "; ".join(text.rstrip(".") for text in quoted) + (f"; and {more} more" if more > 0 else "")
    return type(errors[0])(what, where=where, got=got, hint=hint)


class GeoSegWarning(UserWarning):
    """A possible problem of a result, for example dropped points."""


class SettingsError(GeoSegError):
    """An option or a settings file that cannot be used."""

    exit_code = 2


class RasterError(GeoSegError):
    """A raster that is missing, unreadable or unsuitable for the operation."""

    exit_code = 3


class PixelValuesError(RasterError):
    """Pixel values on a scale other than in the training of the model."""


class PointsError(GeoSegError):
    """A point file that is missing, unreadable or unusable with its raster."""

    exit_code = 4


class LegendError(GeoSegError):
    """A legend that is inconsistent, or lacks a class that the data has."""

    exit_code = 5


class DatasetError(GeoSegError):
    """A dataset folder that is incomplete or invalid."""

    exit_code = 6


class ModelFileError(GeoSegError):
    """A model file, checkpoint or weights file that is damaged, of another format or too new."""

    exit_code = 7


class OutputError(GeoSegError):
    """A result that cannot be written: it exists, access is denied, or the disk is full."""

    exit_code = 8


class TrainingError(GeoSegError):
    """A training run that cannot start or continue."""

    exit_code = 9


class ResumeError(TrainingError):
    """An unfinished training run that cannot be resumed."""


class StoppedError(GeoSegError):
    """Work stopped by the user. Finished parts are kept; the message gives their location."""

    exit_code = 130
