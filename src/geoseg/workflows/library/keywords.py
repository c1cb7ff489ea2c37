"""Functions that take the settings of a command as keyword arguments, declared in its settings model alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from os import PathLike
from typing import Any, TypeVar

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from geoseg.domain.ports import Progress
from geoseg.settings import Settings
from geoseg.workflows.library.wording import PythonProgress, library_call

_S = TypeVar("_S", bound=Settings)
_R = TypeVar("_R")

_PROGRESS = (
    "progress: Object that is told of the work, as geoseg.domain.ports.Progress; None shows warnings alone."
)


def takes_keywords(kind: type[_S]) -> Callable[[Callable[[_S, Progress], _R]], Callable[..., _R]]:
    """Turn a function of settings and progress into one of keyword arguments.

    Its signature and its docstring list every setting, from the settings model; a text or a path stands for a list of
    one.
    """

    def decorate(work: Callable[[_S, Progress], _R]) -> Callable[..., _R]:
        @library_call
        @wraps(work)
        def call(*, progress: Progress | None = None, **values: Any) -> _R:
            return work(kind(**_with_lists(kind, values)), PythonProgress(progress))

        parameters = [*_parameters(kind), _keyword("progress", None, Progress | None)]
        # A text: the classes of results are imported only when the function runs.
        result = work.__annotations__["return"]
        call.__signature__ = inspect.Signature(parameters, return_annotation=result)  # type: ignore[attr-defined]
        call.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": result}
        call.__doc__ = _with_arguments(inspect.getdoc(work) or "", kind)
        return call

    return decorate


def _parameters(kind: type[Settings]) -> list[inspect.Parameter]:
    """Return the settings as parameters, those without a default first."""
    found = [
        _keyword(
            name,
            inspect.Parameter.empty if field.default is PydanticUndefined else field.default,
            field.annotation,
        )
        for name, field in kind.model_fields.items()
    ]
    return sorted(found, key=lambda parameter: parameter.default is not inspect.Parameter.empty)


def _keyword(name: str, default: object, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _with_lists(kind: type[Settings], values: dict[str, Any]) -> dict[str, Any]:
    fields = kind.model_fields
    lists = {name for name, field in fields.items() if "tuple[" in str(field.annotation)}
    return {
        name: (value,) if name in lists and isinstance(value, str | PathLike) else value
        for name, value in values.items()
    }


def _with_arguments(doc: str, kind: type[Settings]) -> str:
    """Return a docstring with the section Args before its other sections."""
    told = describe_settings(kind)
    lines = [f"    {p.name}: {told[p.name]}{_shown(p.default)}" for p in _parameters(kind)]
    head, mark, tail = doc.partition("\n\nReturns:")
    return "\n".join([head, "", "Args:", *lines, f"    {_PROGRESS}"]) + mark + tail


def describe_settings(kind: type[Settings]) -> dict[str, str]:
    """Return what each setting of a model means; a group of settings is named by its model."""
    return {name: field.description or f"{_name(field)}." for name, field in kind.model_fields.items()}


def _name(field: FieldInfo) -> str:
    kind = field.annotation
    is_group = isinstance(kind, type) and issubclass(kind, Settings)
    return f"A geoseg.settings.{kind.__name__}" if is_group and kind else "Follows from the others"


def _shown(default: object) -> str:
    if default is inspect.Parameter.empty or default is None or default == ():
        return ""
    return f" Default: {default}."
