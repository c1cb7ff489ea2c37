"""Check the container's files as far as a machine without Docker can.

    python docker/check.py [--build]

Reads ``Dockerfile`` and ``compose.yaml`` and makes sure of what they promise: no root, a health check, a root file
system that is read only, everything copied is there, settings that the service knows. With ``--build`` it also carries
out the steps that install the package, in an environment of its own, and starts the command in it.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parent
PREFIX = "GEOSEG_"


def main() -> None:
    """Check, and name the first thing that is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", action="store_true", help="install the package as the image does")
    options = parser.parse_args()
    steps = instructions((HERE / "Dockerfile").read_text())
    check_image(steps)
    check_compose(yaml.safe_load((HERE / "compose.yaml").read_text()))
    if options.build:
        build(steps)
    print("ok")


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile: name and rest, lines joined, without comments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (name.upper(), rest.strip())
        for name, _, rest in (line.partition(" ") for line in joined.splitlines())
    ]


def check_image(steps: list[tuple[str, str]]) -> None:
    """Make sure of what the image promises."""
    users = [rest for name, rest in steps if name == "USER"]
    need(users and users[-1].isdigit() and users[-1] != "0", "the image runs as a number that is not root")
    need(any(name == "HEALTHCHECK" for name, _ in steps), "the image has a health check")
    for name, rest in steps:
        if name == "COPY" and not rest.startswith("--from"):
            for source in shlex.split(rest)[:-1]:
                need((ROOT / source).exists(), f"{source} is there to be copied")
        if name == "FROM":
            need(":" in rest, f"the version of {rest} is named")
    environment = dict(
        part.split("=", 1) for name, rest in steps if name == "ENV" for part in shlex.split(rest)
    )
    known_settings(environment)
    entry = [json.loads(rest) for name, rest in steps if name in ("ENTRYPOINT", "CMD")]
    need(entry == [["geoseg"], ["serve"]], "the image starts the service")


def check_compose(compose: dict[str, Any]) -> None:
    """Make sure of what the services promise."""
    for name, service in compose["services"].items():
        need(service["read_only"] is True, f"{name} has a read-only root")
        need(service["cap_drop"] == ["ALL"], f"{name} has no capabilities")
        need("no-new-privileges:true" in service["security_opt"], f"{name} gains no privileges")
        known_settings(service.get("environment", {}))
    published = [p for s in compose["services"].values() for p in s.get("ports", [])]
    need(all(p.startswith("127.0.0.1:") for p in published), "ports are open to this machine alone")


def known_settings(environment: dict[str, str]) -> None:
    """Make sure that the service knows its settings, and that they are valid."""
    from geoseg.settings.serving import ServeSettings, read_serve_settings

    for name in environment:
        is_known = name.removeprefix(PREFIX).lower() in ServeSettings.model_fields
        need(not name.startswith(PREFIX) or is_known, f"{name} is a setting")
    read_serve_settings({"models": ("model.geoseg",)}, environment=environment)


def build(steps: list[tuple[str, str]]) -> None:
    """Carry out the steps that install the package, with other paths, and start the command."""
    with tempfile.TemporaryDirectory() as folder:
        places = {
            "/opt/geoseg": f"{folder}/geoseg",
            "/build/docker": str(HERE),
            "/build": str(ROOT),
            "python ": f"{sys.executable} ",
        }
        for name, rest in steps:
            if name != "RUN" or not ("venv" in rest or "pip install" in rest):
                continue
            for there, here in places.items():
                rest = rest.replace(there, here)
            print(rest)
            subprocess.run(shlex.split(rest), check=True)
        said = subprocess.run(
            [f"{folder}/geoseg/bin/geoseg", "serve", "--help"], check=True, capture_output=True
        )
        need(b"HTTP" in said.stdout, "the installed command explains itself")


def need(is_so: object, what: str) -> None:
    """End with what is not so."""
    if not is_so:
        raise SystemExit(f"not so: {what}")


if __name__ == "__main__":
    main()
