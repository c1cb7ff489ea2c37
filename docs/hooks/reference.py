"""Write the reference pages from the code when the site is built: commands, settings, Python names and HTTP."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import typer
from griffe import Docstring
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel

import geoseg
from geoseg import settings
from geoseg.cli import app as cli
from geoseg.settings.serving import PREFIX, ServeSettings
from geoseg.web.app import app_without_service
from geoseg.web.http import problems

_DEFAULT = re.compile(r"\s*[\[(]default: (.*?)[\])]")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    for name, write in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content="\n".join(write())))
    return files


def _commands() -> Iterator[str]:
    yield "# Commands\n\nEvery command and option, as in `geoseg COMMAND --help`. Lists take commas or repeat their option.\n"
    yield "A command that fails prints one line and ends with an exit code above 0. `GEOSEG_DEBUG=1` adds the traceback.\n"
    yield from _command(typer.main.get_command(cli), "geoseg")


def _command(command: Any, name: str) -> Iterator[str]:
    for child in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from _command(command.get_command(None, child), f"{name} {child}")
    if hasattr(command, "list_commands"):
        return
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    usage = " ".join([name, *(_argument(a) for a in arguments), *(["[OPTIONS]"] if options else [])])
    yield f"## {name}\n\n{_cell(command.help)}\n\n```text\n{usage}\n```\n"
    rows = [(f"`{_argument(a)}`", *_help(a)) for a in arguments]
    rows += [(" ".join(f"`{o}`" for o in [*p.opts, *p.secondary_opts]), *_help(p)) for p in options]
    yield from _table(("option", "meaning", "default"), rows)


def _argument(argument: Any) -> str:
    return argument.name.upper() + ("..." if argument.nargs == -1 else "")


def _help(parameter: Any) -> tuple[str, str]:
    """Return what a parameter means, and its default, which its help may name in brackets."""
    text = parameter.help or ""
    found = _DEFAULT.search(text)
    shown = "required" if parameter.required else found[1] if found else _shown(parameter.default)
    return _DEFAULT.sub("", text), shown


def _settings() -> Iterator[str]:
    yield "# Settings\n\nEach command validates its options as one of these classes; from Python, they are keyword arguments of the function.\n"
    yield f"## Of the service\n\nBy option, by environment variable (`{PREFIX}PORT` for `port`), or in a TOML file, in this order.\n"
    yield from _model(ServeSettings)
    classes = [c for _, c in inspect.getmembers(settings, inspect.isclass) if c.__name__.endswith("Settings")]
    for kind in (
        c for c in classes if issubclass(c, BaseModel) and c.model_fields and c is not ServeSettings
    ):
        yield f"## {kind.__name__}\n\n{_cell((kind.__doc__ or '').partition('Attributes:')[0])}\n"
        yield from _model(kind)


def _model(kind: type[BaseModel]) -> Iterator[str]:
    meanings = dict[str, str]()
    for base in reversed(kind.__mro__):
        for section in Docstring(inspect.cleandoc(base.__doc__ or "")).parse("google", warnings=False):
            if section.kind.value == "attributes":
                meanings |= {a.name: a.description for a in section.value}
    rows = []
    for name, field in kind.model_fields.items():
        default = "required" if field.is_required() else _shown(field.get_default(call_default_factory=True))
        meaning = field.description or meanings.get(name, "")
        rows += [(f"`{name}`", meaning, _type(field.annotation), default)] if meaning else []
    yield from _table(("setting", "meaning", "type", "default"), rows)


def _type(kind: Any) -> str:
    """Return a type as a reader of a table needs it, without its constraints."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Annotated, tuple, list):
        return ("" if origin is typing.Annotated else "list of ") + _type(inner[0])
    if origin in (typing.Union, types.UnionType, typing.Literal):
        return " or ".join(_type(part) for part in inner if part is not type(None))
    return f"`{kind}`" if isinstance(kind, str | int) else str(getattr(kind, "__name__", kind))


def _python() -> Iterator[str]:
    yield "# Python\n\nImport every name from `geoseg`; modules below it may change. The commands take the [settings](settings.md) as keyword arguments.\n"
    for name in geoseg.__all__:
        found = getattr(geoseg, name)
        if getattr(found, "__module__", "") == "geoseg.workflows.library.commands":
            yield f"### geoseg.{name}\n\n```text\n{inspect.getdoc(found)}\n```\n"
        elif not name.startswith("__"):
            yield f"::: geoseg.{name}\n"


def _http() -> Iterator[str]:
    yield "# HTTP\n\nThe calls of `geoseg serve`, from its OpenAPI document. A running service shows them at `/docs/swagger`.\n"
    for path, operations in app_without_service().api_doc["paths"].items():
        for method, operation in operations.items():
            yield f"## {method.upper()} {path}\n\n{_cell(operation.get('summary', ''))}. {_cell(operation.get('description', ''))}\n"
            yield from _operation(operation)
    yield "## Problems\n\nErrors are `application/problem+json` (RFC 9457). `type` is stable; `errors` names the fields.\n"
    kinds = sorted(problems.PROBLEM_TYPES, key=lambda k: k.status)
    yield from _table(("status", "type", "meaning"), [(str(k.status), f"`{k.type}`", k.title) for k in kinds])


def _operation(operation: Mapping[str, Any]) -> Iterator[str]:
    answers = sorted(operation["responses"].items())
    rows = [
        (f"`{p['name']}`", p["in"], p.get("description", ""), _shown(p["schema"].get("default")))
        for p in operation.get("parameters", ())
    ]
    yield from _table(("parameter", "in", "meaning", "default"), rows)
    rows = [(s, a["description"], ", ".join(a.get("content", ()))) for s, a in answers if s < "400"]
    yield from _table(("status", "answer", "media types"), rows)
    yield "Problems: " + ", ".join(s for s, _ in answers if s >= "400") + ".\n"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    lines = [header, ("---",) * len(header), *rows]
    yield "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n" if rows else ""


def _cell(text: str) -> str:
    """Return a text on one line, with the characters escaped that Markdown and tables would read."""
    return re.sub(r"([|<*\[])", r"\\\1", " ".join(text.replace("``", "`").split()))


def _shown(value: Any) -> str:
    if isinstance(value, bool | tuple | list):
        return ("yes" if value else "no") if isinstance(value, bool) else ", ".join(map(str, value))
    return "" if value in (None, "") else f"`{value}`"


PAGES = {"commands": _commands, "settings": _settings, "python": _python, "http": _http}
