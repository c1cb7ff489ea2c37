"""Read and write legend files: a JSON list of ``{"id", "name", "color"}``."""

from __future__ import annotations

import json
from pathlib import Path

from geoseg.domain.legend import Legend, legend_from_records, normalise_name
from geoseg.errors import LegendError
from geoseg.geodata.outputs.atomic_files import whole_file


def read_legend(path: str | Path) -> Legend:
    """Read a legend file.

    Raises:
        LegendError: There is no such file, it is not JSON, or its content is not a legend.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        records = json.loads(text)
    except OSError as error:
        raise LegendError("the legend file cannot be read", where=path, got=error.strerror) from error
    except UnicodeDecodeError as error:
        raise LegendError(
            "the legend file is not UTF-8", where=path, hint="Save it as UTF-8 in a text editor."
        ) from error
    except ValueError as error:
        at = (
            f"line {error.lineno}, column {error.colno}"
            if isinstance(error, json.JSONDecodeError)
            else "a number"
        )
        raise LegendError(
            "the legend file is not JSON",
            where=path,
            expected='[{"id": 0, "name": "field", "color": "#ddcc77"}, ...]',
            got=f"something else at {at}",
        ) from error
    legend = legend_from_records(records, where=path)
    _check_apart(legend, path)
    return legend


def _check_apart(legend: Legend, path: str | Path) -> None:
    """Check that names and colours of the classes are distinguishable on a map.

    Raises:
        LegendError: Two names differ only in case or blanks, or two classes have the same colour.
    """
    for what, keys in (
        ("two classes have the same colour", [one.color for one in legend.classes]),
        ("two class names differ only in case or blanks", [normalise_name(name) for name in legend.names]),
    ):
        alike = [name for name, key in zip(legend.names, keys, strict=True) if keys.count(key) > 1]
        if alike:
            raise LegendError(what, where=path, got=", ".join(map(repr, alike)))


def write_legend(path: str | Path, legend: Legend, overwrite: bool) -> None:
    """Write a legend file atomically, one class per line.

    Raises:
        OutputError: The file exists and may not be overwritten, or cannot be written.
    """
    lines = ",\n".join(f"  {json.dumps(record, ensure_ascii=False)}" for record in legend.to_records())
    with whole_file(Path(path), overwrite=overwrite) as unfinished:
        unfinished.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
