"""The command ``geoseg``."""

from __future__ import annotations

import sys

from geoseg.cli import app
from geoseg.cli.experiments import spread_lists
from geoseg.errors import GeoSegError
from geoseg.workflows.tuning import tune_process

STOPPED = 130


def main() -> None:
    """Run the command line; a fault that the user can act on becomes one line and an exit code."""
    tune_process()
    try:
        sys.argv[1:] = spread_lists(sys.argv[1:])
        app()
    except GeoSegError as error:
        # What libraries say, and error messages quote, may run over several lines.
        sys.stderr.write(f"Error: {' '.join(str(error).split())}\n")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        raise SystemExit(STOPPED) from None


if __name__ == "__main__":
    main()
