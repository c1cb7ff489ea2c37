"""Feature spaces: what the bands of a raster of features stand for, so that two spaces are never mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALPHA_EARTH, TESSERA = "AlphaEarth", "Tessera"


@dataclass(frozen=True)
class FeatureSpace:
    """The space of the feature vectors in a raster.

    Embeddings of two networks, or of two versions of one, have nothing in common but their number of bands.

    Attributes:
        bands: Number of bands, which are one vector per pixel.
        dataset: Name of the dataset, such as ``ALPHA_EARTH``; None if not known.
        version: Version of the network that computed the features; None if not known.
        variant: Variant of the version, such as another run of the network; None if not known.
    """

    bands: int
    dataset: str | None = None
    version: str | None = None
    variant: str | None = None

    @property
    def names(self) -> tuple[str | None, str | None, str | None]:
        """Dataset, version and variant."""
        return self.dataset, self.version, self.variant

    def describe(self) -> str:
        """Return dataset, version, variant and number of bands as text.

        >>> FeatureSpace(128, "Tessera", "1.1", "cambridge").describe()
        'Tessera 1.1 cambridge, 128 bands'
        """
        named = " ".join(filter(None, (self.dataset or "features", self.version, self.variant)))
        return f"{named}, {self.bands} bands"

    def differs_from(self, other: FeatureSpace) -> bool:
        """Return whether the vectors cannot be compared, as far as both spaces are known."""
        if self.bands != other.bands:
            return True
        known = zip(self.names, other.names, strict=True)
        return any(own is not None and its is not None and own != its for own, its in known)

    def is_known_as_well_as(self, other: FeatureSpace) -> bool:
        """Return whether each name is known for both or for neither."""
        known = zip(self.names, other.names, strict=True)
        return all((own is None) == (its is None) for own, its in known)


def join_feature_spaces(spaces: Sequence[FeatureSpace]) -> FeatureSpace:
    """Return the space of vectors that are put together, in this order.

    >>> join_feature_spaces([FeatureSpace(64, "AlphaEarth"), FeatureSpace(128, "Tessera", "1.1")]).describe()
    'AlphaEarth + Tessera unknown + 1.1, 192 bands'
    """
    bands = sum(space.bands for space in spaces)
    if len(spaces) == 1:
        return spaces[0]
    return FeatureSpace(bands, *map(_join_names, zip(*(space.names for space in spaces), strict=True)))


def _join_names(names: Sequence[str | None]) -> str | None:
    return " + ".join(name or "unknown" for name in names) if any(names) else None
