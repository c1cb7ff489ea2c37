"""Entry point of the command ``geoseg``."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from typing import Any, NoReturn

import typer

from geoseg.cli import app
from geoseg.errors import GeoSegError
from geoseg.workflows.library_errors import translate_error
from geoseg.workflows.process_tuning import tune_process

STOPPED = 130
INTERNAL_ERROR = 70
"""Exit code of an internal error (EX_SOFTWARE of sysexits.h)."""
DEBUG = "GEOSEG_DEBUG"


def main() -> None:
    """Run the command line. Print each error as one line with an exit code; GEOSEG_DEBUG=1 adds the traceback."""
    tune_process()
    try:
        with warnings.catch_warnings():
            if not os.environ.get(DEBUG):
                _hide_notes_of_libraries()
            code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        _stop("Stopped.", STOPPED)
    except BrokenPipeError:
        # The reader closed the pipe. Redirect stdout, because Python flushes it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:  # noqa: BLE001
        # Newer versions of typer contain a copy of click.
        if type(error).__module__.partition(".")[0] in ("typer", "click"):
            _stop_at_usage(error)
        if os.environ.get(DEBUG):
            traceback.print_exc()
        known = error if isinstance(error, GeoSegError) else translate_error(error)
        if known is None:
            _stop(f"Error: {_report()}", INTERNAL_ERROR)
        # Quoted messages of libraries may have several lines.
        _stop(f"Error: {' '.join(str(known).split())}", known.exit_code)
    raise SystemExit(code or 0)


def _stop_at_usage(error: Any) -> NoReturn:
    """Show typer's usage error, with type names replaced by plain words."""
    for kind, expected in (("integer", "a whole number"), ("number", "a number"), ("boolean", "yes or no")):
        if f"valid {kind}" in error.message:
            error.message = f"expected {expected}"
    error.show()
    raise SystemExit(error.exit_code) from None


def _hide_notes_of_libraries() -> None:
    """Hide Python warnings and log messages of libraries. Warning filters are not changed."""
    warnings.showwarning = lambda *_args, **_options: None
    logging.lastResort = None


def _report() -> str:
    from geoseg import __version__

    return (
        "this is a bug in GeoSeg-PointAI. Please report it with the command, the version "
        f"({__version__}) and the output of the command with {DEBUG}=1 set."
    )


def _stop(line: str, code: int) -> NoReturn:
    sys.stderr.write(line + "\n")
    raise SystemExit(code) from None


if __name__ == "__main__":
    main()
