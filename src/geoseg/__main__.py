"""The command ``geoseg``."""

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
from geoseg.workflows.library_faults import library_fault
from geoseg.workflows.process_tuning import tune_process

STOPPED = 130
UNFORESEEN = 70
"""Exit code of a fault of this program (EX_SOFTWARE of sysexits.h)."""
DEBUG = "GEOSEG_DEBUG"


def main() -> None:
    """Run the command line; every fault becomes one line and an exit code. GEOSEG_DEBUG=1 shows the traceback too."""
    tune_process()
    try:
        with warnings.catch_warnings():
            if not os.environ.get(DEBUG):
                _hide_notes_of_libraries()
            code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        _stop("Stopped.", STOPPED)
    except BrokenPipeError:
        # Whoever reads the output has had enough; Python would write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:  # noqa: BLE001
        # Newer versions of typer have a copy of click of their own.
        if type(error).__module__.partition(".")[0] in ("typer", "click"):
            _stop_at_usage(error)
        if os.environ.get(DEBUG):
            traceback.print_exc()
        known = error if isinstance(error, GeoSegError) else library_fault(error)
        if known is None:
            _stop(f"Error: {_report()}", UNFORESEEN)
        # What libraries say, and error messages quote, may run over several lines.
        _stop(f"Error: {' '.join(str(known).split())}", known.exit_code)
    raise SystemExit(code or 0)


def _stop_at_usage(error: Any) -> NoReturn:
    """Show what typer says of arguments that it does not understand, without its words for programmers."""
    for kind, expected in (("integer", "a whole number"), ("number", "a number"), ("boolean", "yes or no")):
        if f"valid {kind}" in error.message:
            error.message = f"expected {expected}"
    error.show()
    raise SystemExit(error.exit_code) from None


def _hide_notes_of_libraries() -> None:
    """Keep what libraries warn programmers of, and log, from the terminal; filters stay as they are."""
    warnings.showwarning = lambda *_args, **_options: None
    logging.lastResort = None


def _report() -> str:
    from geoseg import __version__

    return (
        "this is a fault in GeoSeg-PointAI that nobody foresaw. Please report it with the command, "
        f"the version ({__version__}) and what the command prints with {DEBUG}=1 before it."
    )


def _stop(line: str, code: int) -> NoReturn:
    sys.stderr.write(line + "\n")
    raise SystemExit(code) from None


if __name__ == "__main__":
    main()
