"""Messages in the words of Python: arguments instead of options of the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import ParamSpec, TypeVar, get_args

from pydantic.fields import FieldInfo

from geoseg.domain.ports import Progress, PythonWarnings
from geoseg.errors import GeoSegError
from geoseg.settings import Settings
from geoseg.workflows.library_errors import translate_library_errors

_P = ParamSpec("_P")
_R = TypeVar("_R")

_OPTION = re.compile(r"(?<![\w-])--(no-)?([a-z][a-z0-9]*(?:-[a-z0-9]+)*)(?: ([A-Z]{2,}\b|[a-z][a-z0-9]*))?")


def in_python_words(text: str) -> str:
    """Return a message with the options of the command line written as arguments.

    Example:
        >>> in_python_words("Use --overwrite, or --no-style; name one with --class-column.")
        'Use overwrite=True, or style=False; name one with class_column.'
        >>> in_python_words("Use --recipe forest, or --weights FILE.")
        'Use recipe="forest", or weights=FILE.'
    """
    return _OPTION.sub(_as_argument, text)


def _as_argument(option: re.Match[str]) -> str:
    name, value = option[2].replace("-", "_"), option[3]
    rest = f" {value}" if value else ""
    if option[1]:
        return f"{name}=False{rest}"
    if name in _switches():
        return f"{name}=True{rest}"
    if value and value.isupper():
        return f"{name}={value}"
    return f'{name}="{value}"' if value and value in _values().get(name, ()) else name + rest


@cache
def _switches() -> frozenset[str]:
    """Return the names of all settings that are either true or false."""
    return frozenset(name for name, field in _fields() if field.annotation in (bool, bool | None))


@cache
def _values() -> dict[str, set[object]]:
    """Return the words that each setting takes: those of its type, its default, and none."""
    words = dict[str, set[object]]()
    for name, field in _fields():
        words.setdefault(name, {"none"}).update((*_literals(field.annotation), field.default))
    return words


def _literals(annotation: object) -> list[object]:
    parts = [_literals(part) for part in get_args(annotation)] or [[annotation]]
    return [word for part in parts for word in part if isinstance(word, str)]


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    """Yield the fields of all settings."""
    kinds = list(Settings.__subclasses__())
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        yield from kind.model_fields.items()


class PythonProgress:
    """Progress of a call from Python: warnings become GeoSegWarnings unless an object is passed that takes them.

    Args:
        progress: What is told of the work; None shows warnings alone.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress or PythonWarnings()

    def start(self, what: str, total: int) -> None:
        """Pass the start of a piece of work on."""
        self._progress.start(what, total)

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Pass finished steps on."""
        self._progress.advance(steps, note)

    def say(self, text: str) -> None:
        """Pass a message on."""
        self._progress.say(in_python_words(text))

    def warn(self, text: str) -> None:
        """Pass a warning on."""
        self._progress.warn(in_python_words(text))


def library_call(work: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a public function raise errors of the one tree, in the words of Python."""
    plain = translate_library_errors(work)

    @wraps(work)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with python_words():
            return plain(*args, **kwargs)

    return call


@contextmanager
def python_words(folder: Path | None = None) -> Iterator[None]:
    """Word the errors of a block for Python.

    Args:
        folder: A temporary folder; its files are named without it.
    """
    try:
        yield
    except GeoSegError as error:
        error.what = _worded(error.what, folder)
        error.hint = error.hint and _worded(error.hint, folder)
        for name in ("where", "expected", "got"):
            value = getattr(error, name)
            if isinstance(value, str | Path | GeoSegError):
                setattr(error, name, _worded(str(value), folder))
        raise


def _worded(text: str, folder: Path | None) -> str:
    return in_python_words(text if folder is None else text.replace(f"{folder}/", ""))
