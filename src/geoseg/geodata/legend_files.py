"""Legend files: a JSON list of ``{"id", "name", "color"}``, read and written."""

from __future__ import annotations

import json
from pathlib import Path

from geoseg.domain.legend import Legend, legend_from_records
from geoseg.errors import LegendError
from geoseg.geodata.outputs import whole_file


def read_legend(path: str | Path) -> Legend:
    """Read a legend file.

    Raises:
        LegendError: There is no such file, it is not JSON, or its content is not a legend.
    """
    try:
        records = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LegendError("the legend file cannot be read", where=path, got=error.strerror) from error
    except ValueError as error:
        raise LegendError("the legend file is not JSON", where=path, got=error) from error
    return legend_from_records(records, where=path)


def write_legend(path: str | Path, legend: Legend, overwrite: bool) -> None:
    """Write a legend file, one class a line, whole or not at all.

    Raises:
        OutputError: The file exists and may not be overwritten, or cannot be written.
    """
    lines = ",\n".join(f"  {json.dumps(record, ensure_ascii=False)}" for record in legend.to_records())
    with whole_file(Path(path), overwrite=overwrite) as unfinished:
        unfinished.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
