"""Read the result files of an experiment, and group them by recipe and budget."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OutputError

_NEEDED = ("recipe", "per_class", "seed", "drawn_sha256", "seconds", "iou", "images")


@dataclass(frozen=True)
class Group:
    """The results of one recipe and budget: one per draw of points, in the order of the seeds."""

    recipe: str
    per_class: int | None
    results: Sequence[Mapping[str, Any]]

    @property
    def confusions(self) -> list[dict[str, NDArray[np.int64]]]:
        """Confusion matrices (C, C + 1) by image name, one dictionary per result."""
        return [{n: _matrix(i) for n, i in r["images"].items()} for r in self.results]


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Read all result files of an experiment's folder.

    Raises:
        OutputError: A result file cannot be read.
    """
    results = []
    for path in sorted((folder / "runs").glob("*.json")):
        try:
            result = dict(json.loads(path.read_text(encoding="utf-8")))
            _ = [result[name] for name in _NEEDED]
        except (OSError, ValueError, KeyError, TypeError) as error:
            hint = "Remove the file to repeat its run."
            raise OutputError("this result file cannot be read", where=path, hint=hint) from error
        results.append(result)
    return results


def group_results(results: Sequence[Mapping[str, Any]]) -> list[Group]:
    """Group results by budget and recipe; full supervision comes last."""
    found = dict[tuple[str, int | None], list[Mapping[str, Any]]]()
    for result in results:
        found.setdefault((result["recipe"], result["per_class"]), []).append(result)
    order = sorted(found, key=lambda key: (key[1] or math.inf, key[0]))
    return [Group(recipe, n, sorted(found[recipe, n], key=lambda r: r["seed"])) for recipe, n in order]


def _matrix(scores: Mapping[str, Any]) -> NDArray[np.int64]:
    return np.column_stack([np.array(scores["confusion"]), np.array(scores["unmapped"])]).astype(np.int64)
