"""Rename, merge and leave out classes of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import Legend, normalise_name
from geoseg.errors import LegendError

LEFT_OUT = "left out by the class table"
"""Reason of points whose class has no new name."""


@dataclass(frozen=True)
class ClassTable:
    """New names of classes.

    Attributes:
        names: New name by normalised old name; an empty name leaves the class out. Other classes stay as they are.
        where: The file, for messages.
    """

    names: Mapping[str, str]
    where: str = ""

    def rename(self, texts: Sequence[str]) -> NDArray[np.str_]:
        """Return the new names of classes (P,); empty for an empty text and for a class that is left out.

        >>> ClassTable({"asphalt": "road", "mud": ""}).rename(["Asphalt", "mud", "water"]).tolist()
        ['road', '', 'water']
        """
        return np.array([self.names.get(normalise_name(text), text) for text in texts], dtype=np.str_)

    def missing(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the old names, normalised, that no point has."""
        known = {normalise_name(text) for text in set(texts)}
        return tuple(name for name in self.names if name not in known)

    def merge(self, legend: Legend) -> Legend:
        """Return a legend of the new names, in the same order.

        A merged class has the colour of the class that had its name, or else of its first class.

        Raises:
            LegendError: All classes are left out.
        """
        renamed = self.rename(legend.names).tolist()
        first = dict(zip(renamed[::-1], legend.classes[::-1], strict=True))
        first |= {one.name: one for one in legend.classes if one.name in first}
        kept = [name for name in dict.fromkeys(renamed) if name]
        if not kept:
            raise LegendError("the class table leaves out every class", where=self.where or None)
        return Legend(tuple(replace(first[name], id=i, name=name, value=None) for i, name in enumerate(kept)))
