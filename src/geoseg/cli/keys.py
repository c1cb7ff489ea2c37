"""The commands ``geoseg keys``."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geoseg.cli.options import Json, print_json
from geoseg.errors import SettingsError

if TYPE_CHECKING:
    from geoseg.web.auth.keys import KeyInfo, KeyStore

Data = Annotated[Path, typer.Option(envvar="GEOSEG_DATA", help="Data folder of the service.")]
DATA = Path("geoseg-data")

app = typer.Typer(
    help="Manage the API keys of a service.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _keys() -> None:
    """Manage the API keys of a service."""


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the person or program that uses the key.")],
    *,
    per_minute: Annotated[int, typer.Option(help="Requests allowed in 60 seconds; 0 means no limit.")] = 0,
    pixels_per_day: Annotated[int, typer.Option(help="Pixels allowed per day (UTC); 0 means no limit.")] = 0,
    data: Data = DATA,
) -> None:
    """Create a key and print it."""
    from geoseg.web.auth.keys import FILE_NAME, KeyStore

    key = KeyStore(data / FILE_NAME).add(name, per_minute=per_minute, pixels_per_day=pixels_per_day)
    typer.echo(key)
    typer.echo("Copy this key now: only its hash is stored, so it cannot be shown again.", err=True)


@app.command("list")
def list_(data: Data = DATA, json_: Json = False) -> None:
    """List all keys, including revoked ones."""
    from geoseg.cli.show import print_table

    keys = _store(data).list()
    if json_:
        print_json({"keys": [_record(key) for key in keys]})
        return
    print_table(
        ["id", "name", "per minute", "pixels per day", "created", "last used", "revoked"],
        [
            [
                key.id,
                key.name,
                f"{key.per_minute:,}" if key.per_minute else "-",
                f"{key.pixels_per_day:,}" if key.pixels_per_day else "-",
                *(_shown(moment) for moment in (key.created, key.last_used, key.revoked)),
            ]
            for key in keys
        ],
    )


@app.command()
def revoke(
    id_or_name: Annotated[str, typer.Argument(help="Id or name of a key in use.")],
    data: Data = DATA,
) -> None:
    """Revoke a key: requests with it are refused."""
    key = _store(data).revoke(id_or_name)
    typer.echo(f"{key.id} ({key.name}) is revoked.")


def _store(data: Path) -> KeyStore:
    from geoseg.web.auth.keys import FILE_NAME, KeyStore

    if not data.is_dir() or not (data / FILE_NAME).exists():
        raise SettingsError(
            "this folder has no API keys",
            where=data,
            hint="Give the data folder of the service with --data, or create a key with 'geoseg keys add'.",
        )
    return KeyStore(data / FILE_NAME)


def _record(key: KeyInfo) -> dict[str, Any]:
    """Return a key for scripts: times in ISO 8601."""
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in asdict(key).items()}


def _shown(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z" if moment else "-"
