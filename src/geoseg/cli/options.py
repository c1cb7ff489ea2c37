"""Options of the commands, generated from the settings: each is declared once, in its settings model."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer
from typer.core import TyperCommand

from geoseg.errors import SettingsError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from geoseg.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, only warnings.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]

HIDDEN = "-"
"""Panel of settings that are not command-line options."""
LAST_PANEL = "Computing"
STACK = "--stack"
"""Option that takes all words up to the next option."""
_PLAIN = (bool, int, float, Path)


def with_options(
    *kinds: type[Settings],
    without: Collection[str] = (),
    only: Collection[str] | None = None,
    optional: Collection[str] = (),
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the fields of settings models to a command, as options and arguments.

    The command is called with ``values``, a dict of the settings that were given, and with its own parameters.

    Args:
        kinds: Settings models.
        without: Fields to leave out.
        only: Fields to take; None takes all.
        optional: Required fields that may be missing on the command line.
    """
    fields = {
        (kind, name): field
        for kind in kinds
        for name, field in kind.model_fields.items()
        if name not in without and (only is None or name in only) and _extra(field)["panel"] != HIDDEN
    }
    lists = {name for (_, name), field in fields.items() if _is_list(field)}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "values"]

        @wraps(command)
        def run(**given: Any) -> None:
            mine = {p.name: given.pop(p.name) for p in own}
            found = {name: value for name, value in given.items() if value is not None}
            command({k: listed(v) if k in lists else v for k, v in found.items()}, **mine)

        parameters = [
            _parameter(
                name,
                field,
                is_argument=name in kind.arguments,
                is_required=field.is_required() and name not in optional,
            )
            for (kind, name), field in fields.items()
        ]
        signature = inspect.Signature([*parameters, *(p.replace(kind=p.KEYWORD_ONLY) for p in own)])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        return run

    return decorate


def _parameter(name: str, field: FieldInfo, *, is_argument: bool, is_required: bool) -> inspect.Parameter:
    """Return a parameter for Typer. Its default is None, so that the settings model fills in its own default."""
    found, choices = _plain_type(field.annotation)
    metavar = "LIST" if found == list[str] else "|".join(map(str, choices)) or None
    if name == "output":
        # As text, because a path forgets the slash that marks a folder.
        found, metavar = str, "<path>"
    info: Any
    if is_argument:
        info = typer.Argument(help=field.description, metavar=name.upper())
    else:
        info = typer.Option(
            *_flags(name, field, found),
            help=f"{field.description}  [default: {shown}]"
            if (shown := _shown(field))
            else field.description,
            metavar=metavar,
            rich_help_panel=_extra(field)["panel"] or None,
            show_default=False,
        )
    wanted: Any = found if is_required else found | None
    annotation: Any = Annotated[wanted, info]
    default = inspect.Parameter.empty if is_required else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _flags(name: str, field: FieldInfo, found: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if name == "output":
        return [flag, "-o"]
    # A flag that is off by default needs no --no- form.
    return [flag] if found is bool and field.default is False else []


def _plain_type(annotation: Any) -> tuple[Any, tuple[object, ...]]:
    """Return the type that the command line reads, and the choices of a literal."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain_type(inner[0])
    if origin in (Union, UnionType):
        return _plain_type(next(one for one in inner if one is not type(None)))
    if origin is tuple:
        is_path = _plain_type(inner[0])[0] is Path
        return (list[Path] if is_path else list[str]), ()
    if origin is Literal:
        return type(inner[0]), inner
    return (annotation if annotation in _PLAIN else str), ()


def _is_list(field: FieldInfo) -> bool:
    found = _plain_type(field.annotation)[0]
    return get_origin(found) is list and get_args(found)[0] is str


def _extra(field: FieldInfo) -> Mapping[str, Any]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {"panel": "", "shown": ""}


def _shown(field: FieldInfo) -> str:
    """Return the default as help shows it; "" for none."""
    if text := _extra(field)["shown"]:
        return str(text)
    if field.is_required() or field.default is None or field.default is False or field.default == "":
        return ""
    if isinstance(field.default, tuple):
        return ",".join(map(str, field.default))
    return "" if field.default is True else str(field.default)


class PanelCommand(TyperCommand):
    """A command that lists its options by panel, and rejects lists separated by spaces."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options that most people need, and the others by panel."""
        panels: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            name = getattr(parameter, "rich_help_panel", None)
            default = "Arguments" if parameter.param_type_name == "argument" else "Options"
            record = parameter.get_help_record(ctx)
            if record is not None:
                panels.setdefault(name or default, []).append(record)
        last = panels.pop(LAST_PANEL, [])
        for name, rows in [*panels.items(), (LAST_PANEL, last)]:
            if rows:
                with formatter.section(name):
                    formatter.write_dl(rows)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises:
            SettingsError: A list option is followed by a word that is not a file.
        """
        options = [flag for p in self.params if getattr(p, "multiple", False) for flag in p.opts]
        if STACK in options:
            args = with_repeated(args, STACK)
        check_lists(args, options)
        return super().parse_args(ctx, args)


def with_repeated(arguments: Sequence[str], option: str) -> list[str]:
    """Repeat an option for each of the words that follow it, up to the next option.

    >>> with_repeated(["--stack", "red.tif", "nir.tif", "-o", "map.tif"], "--stack")
    ['--stack', 'red.tif', '--stack', 'nir.tif', '-o', 'map.tif']
    """
    result, is_inside = list[str](), False
    for word, before in zip(arguments, ["", *arguments], strict=False):
        if word.startswith("-"):
            is_inside = word == option
        elif is_inside and before != option:
            result.append(option)
        result.append(word)
    return result


def check_lists(arguments: Sequence[str], options: Collection[str]) -> None:
    """Reject a list separated by spaces, because its second value would be read as a file.

    Raises:
        SettingsError: A list option is followed by a word that is not a file.
    """
    for option, value, after in zip(arguments, arguments[1:], arguments[2:], strict=False):
        is_word = re.fullmatch(r"\w[\w,-]*", after) is not None
        if option in options and is_word and not Path(after).exists():
            raise SettingsError(
                f"there is no file or folder {after!r}",
                where=f"{option} {value} {after}",
                hint=f"Write a list with commas, such as {option} {value.strip(',')},{after}, or repeat {option}.",
            )


def listed(values: Sequence[object] | None) -> list[str]:
    """Return the values of an option that was repeated, or given as a list with commas."""
    return [part.strip() for value in values or () for part in str(value).split(",") if part.strip()]


def print_json(record: dict[str, Any]) -> None:
    """Print a record for scripts."""
    typer.echo(json.dumps(record, indent=2, allow_nan=False))
