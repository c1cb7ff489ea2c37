"""Match the labels of an interpreter with the pixels of a sample, and expand them by the design of the sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.assessment.expansion import ClusterSample, Expansion, Strata, StratifiedSample
from geoseg.domain.class_names import ids_in_legend, whole_number
from geoseg.domain.legend import UNLABELLED
from geoseg.domain.ports import Progress
from geoseg.errors import PointsError
from geoseg.geodata.assessment.sample_files import UNSURE, SampleFile
from geoseg.geodata.points.point_tables import PointTable
from geoseg.geodata.points.tables.number_texts import is_empty

_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]
_Ints = NDArray[np.int64]

_YES, _NO = {"true", "t", "yes", "y", "1", "x", "on"}, {"false", "f", "no", "n", "0", "off"}
_MAX_QUOTED = 10
_MOVED_PX = 0.75


@dataclass(frozen=True)
class Labels:
    """Labels of the n pixels of a sample: class ids (n,), 255 for a missing one, and which are unsure (n,)."""

    class_id: NDArray[np.uint8]
    unsure: _Bools

    @property
    def is_labelled(self) -> _Bools:
        """Which pixels have a class."""
        labelled: _Bools = self.class_id != UNLABELLED
        return labelled


@dataclass(frozen=True)
class LabelledSample:
    """The n pixels of a sample with their labels and their classes in the map.

    Attributes:
        file: The sample.
        labels: The labels.
        mapped: Class ids (n,) of the map; C or more where the map has none.
        has_own_map: Whether these are the classes of the map that the sample was drawn from.
        pixel_m2: Ground areas (n,); 1 where areas are not known.
        strata_m2: Areas (H,) of the strata, in the same unit.
        is_in_m2: Whether areas are known.
        post_stratify: Whether designs without strata use the areas of the map classes.
    """

    file: SampleFile
    labels: Labels
    mapped: _Ints
    has_own_map: bool
    pixel_m2: _Floats
    strata_m2: _Floats
    is_in_m2: bool
    post_stratify: bool

    @property
    def design(self) -> str:
        """Name of the design."""
        return str(self.file.design["design"])

    @property
    def stratum(self) -> _Ints:
        """Stratum (n,) of each pixel, from 0 in the order of the file."""
        order = {row.stratum: k for k, row in enumerate(self.file.strata)}
        return np.array([order[int(number)] for number in self.file.units["stratum"]], np.int64)

    def expand(self, kept: _Bools) -> Expansion:
        """Return the expansion of the chosen pixels (n,) to the map.

        Missing pixels are taken to be like the others of their stratum, or in a cluster sample like all others.

        Raises:
            PointsError: A stratum has no chosen pixel.
        """
        if self.design == "cluster":
            return self._clusters(kept)
        if self.design == "stratified":
            return self._stratified(kept, np.arange(len(self.file.strata)))
        groups = self._groups(kept) if self.post_stratify else np.zeros(len(self.file.strata), np.int64)
        return self._stratified(kept, groups)

    def _stratified(self, kept: _Bools, groups: _Ints) -> StratifiedSample:
        """Return a stratified sample with strata joined to groups (H,)."""
        pixels = np.array([row.pixels for row in self.file.strata], np.float64)
        count = int(groups.max()) + 1
        stratum = groups[self.stratum[kept]]
        empty = [
            row.name
            for row, group in zip(self.file.strata, groups, strict=True)
            if not (stratum == group).any()
        ]
        if empty:
            raise PointsError(
                f"nothing is known about the strata {', '.join(empty)}",
                where=self.file.path,
                expected="labelled points in every stratum",
                got="none in these",
                hint="Label at least two points of each, best all.",
            )
        alone = np.bincount(groups, minlength=count) == 1
        return StratifiedSample(
            Strata(
                np.bincount(groups, pixels, minlength=count).astype(np.float64),
                np.bincount(groups, self.strata_m2, minlength=count).astype(np.float64),
                self._owners(groups, alone),
            ),
            stratum,
            np.ones(int(kept.sum())),
            self.pixel_m2[kept],
        )

    def _owners(self, groups: _Ints, alone: _Bools) -> _Ints:
        """Return the map class of each group; -1 where it may hold several."""
        owners = np.full(len(alone), -1, np.int64)
        if self.has_own_map and self.file.design["strata"] == "map classes":
            for row, group in zip(self.file.strata, groups, strict=True):
                found = self.file.legend.find(row.name)
                owners[group] = found if alone[group] and found is not None else -1
        return owners

    def _groups(self, kept: _Bools) -> _Ints:
        """Join post-strata with fewer than two labelled pixels to the one with the most."""
        counts = np.bincount(self.stratum[kept], minlength=len(self.file.strata))
        target = int(counts.argmax())
        joined = np.where(counts < 2, target, np.arange(len(counts)))
        return np.unique(joined, return_inverse=True)[1].astype(np.int64)

    def _clusters(self, kept: _Bools) -> ClusterSample:
        units, design = self.file.units[kept], self.file.design
        return ClusterSample(
            cluster=units["cluster"].to_numpy(np.int64),
            weight=1 / units["inclusion_probability"].to_numpy(np.float64),
            pixel_area=self.pixel_m2[kept],
            area=float(self.strata_m2.sum()),
            clusters=int(design["clusters"]),
            are_whole=design["per_cluster"] is None and bool(kept.all()),
        )


def match_labels(table: PointTable, sample: SampleFile, *, column: str, progress: Progress) -> Labels:
    """Return the labels of the pixels of a sample, in their order. A pixel without a row is not labelled.

    Raises:
        PointsError: The column or the ids are missing, an id repeats or is not in the sample, or a cell of ``unsure``
            is neither yes nor no.
        LegendError: A class is not in the legend of the sample.
    """
    names = ", ".join(map(str, table.columns.columns))
    for name in ("id", column):
        if table.find(name) is None:
            hint = "Name the column with --reference-column." if name == column else None
            raise PointsError(f"the file has no column {name!r}", where=table.path, got=names, hint=hint)
    rows = _rows(table, sample)
    texts = ["" if is_empty(text) else text.strip() for text in table.texts(column).tolist()]
    found = ids_in_legend(texts, sample.legend, f"{table.path}, column {column!r}")
    for note in found.notes:
        progress.say(note)
    for warning in found.warnings:
        progress.warn(warning)
    class_id = np.full(len(sample.units), UNLABELLED, np.uint8)
    unsure = np.zeros(len(sample.units), np.bool_)
    class_id[rows] = np.where([not text for text in texts], UNLABELLED, found.class_id)
    unsure[rows] = _flags(table)
    return Labels(class_id, unsure)


def warn_of_moved_points(sample: SampleFile, progress: Progress) -> None:
    """Warn of points that do not lie on their pixel any more; the estimates use the drawn pixels."""
    if sample.labels.xy is None:
        return
    rows = _rows(sample.labels, sample)
    transform = sample.design["transform"]
    tolerance = _MOVED_PX * max(map(abs, (*transform[:2], *transform[3:5])))
    drawn = [sample.units[name].to_numpy(np.float64)[rows] for name in ("x", "y")]
    distance = np.hypot(*(now - was for now, was in zip(sample.labels.xy, drawn, strict=True)))
    moved = sample.units.index.to_numpy()[rows[distance > tolerance]]
    if len(moved):
        progress.warn(
            f"{len(moved):,} points were moved from their pixel (id {quote_ids(moved)}). Their labels may be those of "
            "another place."
        )


def quote_ids(ids: NDArray[np.integer]) -> str:
    """Write ids as a list, with at most ten of them."""
    more = f" and {len(ids) - _MAX_QUOTED} more" if len(ids) > _MAX_QUOTED else ""
    return ", ".join(map(str, ids[:_MAX_QUOTED].tolist())) + more


def _rows(table: PointTable, sample: SampleFile) -> _Ints:
    """Return the position in the sample of each row of the table."""
    texts = table.texts("id").tolist()
    numbers = [whole_number(text) for text in texts]
    place = {int(unit): k for k, unit in enumerate(sample.units.index)}
    foreign = [text or "an empty cell" for text, n in zip(texts, numbers, strict=True) if n not in place]
    if foreign:
        raise PointsError(
            "there are ids that are not in the sample",
            where=f"{table.path}, column 'id'",
            expected=f"ids of {sample.path.name}, 1 to {max(place)}",
            got=", ".join(foreign[:_MAX_QUOTED]),
            hint="Do not add points or change ids: the estimates rest on the drawn points.",
        )
    rows = np.array([place[n] for n in numbers if n is not None], np.int64)
    repeated = np.flatnonzero(np.bincount(rows, minlength=len(place)) > 1)
    if len(repeated):
        ids = sample.units.index.to_numpy()[repeated]
        raise PointsError("ids repeat", where=f"{table.path}, column 'id'", got=quote_ids(ids))
    return rows


def _flags(table: PointTable) -> _Bools:
    texts = [text.strip().lower() for text in table.texts(UNSURE).tolist()]
    wrong = [text for text in texts if text not in _YES | _NO and not is_empty(text)]
    if wrong:
        raise table.fault(UNSURE, expected="yes or no", got=repr(wrong[0]))
    return np.array([text in _YES for text in texts], np.bool_)
