"""Match the values of a mask with the classes of a legend; raise an error if the match is ambiguous."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from geoseg.domain.legend import UNLABELLED, Legend, normalise_name
from geoseg.errors import LegendError

NO_CLASS = ("unlabelled", "unlabeled", "nodata", "none", "ignore")
"""Names of unlabelled pixels, unless the legend has a class of that name."""
_SHOWN_AT_MOST = 12


@dataclass(frozen=True)
class FoundValues:
    """The values of one mask.

    Attributes:
        where: The file.
        counts: Valid pixels by value; colours are 0xRRGGBB.
        nodata: The declared nodata value; its pixels are not in ``counts``.
        nodata_px: Number of pixels with the nodata value.
        is_rgb: Whether the values are colours.
        is_grey: Whether the file has equal red, green and blue bands.
        palette: Colour of each value as ``#rrggbb``, if the file has a colour table.
        names: Class name of each value, if the file has class names.
    """

    where: object
    counts: Mapping[int, int]
    nodata: int | None = None
    nodata_px: int = 0
    is_rgb: bool = False
    is_grey: bool = False
    palette: Mapping[int, str] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)

    def named_in(self, values: Mapping[str, str]) -> dict[int, str]:
        """Return the class names that a user gave to values, by number or by colour."""
        keys = {value: (self.text(value), self.palette.get(value, "")) for value in self.counts}
        return {value: values[key] for value, pair in keys.items() for key in pair if key in values}

    def text(self, value: int) -> str:
        """Return a value in the user's notation: 255, or #ff0000."""
        return f"#{value:06x}" if self.is_rgb else str(value)


@dataclass(frozen=True)
class StatedValues:
    """Available information on the class of each mask value.

    Attributes:
        legend: The target classes.
        codes: The legend file of the masks; None without one, so that mask values can only be ids of ``legend``.
        values: Class names by value, as text, from the user.
    """

    legend: Legend
    codes: Legend | None = None
    values: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Matching:
    """Class ids by value (255: unlabelled), with a note and a warning that do not name the file."""

    ids: Mapping[int, int]
    note: str | None = None
    warning: str | None = None


def match_values(
    found: FoundValues, stated: StatedValues, others: Callable[[], Iterable[FoundValues]]
) -> Matching:
    """Return the class of each value of a mask.

    Sources in order of priority: the user's mask values; ``value`` of the classes in the legend file; class names in
    the mask file; colours; class names that are numbers; ids of the legend.

    Args:
        found: Values of the mask.
        stated: Available information on the classes.
        others: Function that returns the values of the dataset's other masks; called only if the match is ambiguous.

    Raises:
        LegendError: A value has no class, or its class is ambiguous.
    """
    for match in (_by_user, _by_legend_values, _by_names_in_file, _by_colors, _by_numeric_names):
        ids = match(found, stated)
        if ids is not None:
            return Matching(ids, _describe(ids, found, stated, how=_HOW[match.__name__]))
    return _by_ids(found, stated, others)


_HOW = {
    "_by_user": "as given",
    "_by_legend_values": "by the values in the legend",
    "_by_names_in_file": "by the class names in the file",
    "_by_colors": "by colour",
    "_by_numeric_names": "by the class names, which are numbers",
}


def parse_mask_values(text: str) -> dict[str, str]:
    """Read class names by value, written ``255=water,0=background`` or ``#ff0000=water``.

    Raises:
        ValueError: The text does not have this form.
    """
    pairs = [part.split("=", 1) for part in text.split(",") if part.strip()]
    if not pairs or any(len(pair) != 2 or not all(side.strip() for side in pair) for pair in pairs):
        raise ValueError("write it as 255=water,0=background (VALUE=CLASS, separated by commas)")
    return {value.strip().lower(): name.strip() for value, name in pairs}


def named_values(values: Mapping[str, str] | None) -> set[int]:
    """Return the numeric values to which the user assigned a class."""
    return {int(text) for text in values or {} if _is_number(text)}


def _by_user(found: FoundValues, stated: StatedValues) -> dict[int, int] | None:
    if stated.values is None:
        return None
    return _named_ids(found, stated, found.named_in(stated.values))


def _by_legend_values(found: FoundValues, stated: StatedValues) -> dict[int, int] | None:
    codes = stated.codes
    if codes is None or found.is_rgb or codes.classes[0].value is None:
        return None
    names = {c.value: c.name for c in codes.classes if c.value is not None}
    return _named_ids(found, stated, {v: names[v] for v in found.counts if v in names})


def _by_names_in_file(found: FoundValues, stated: StatedValues) -> dict[int, int] | None:
    if not found.names:
        return None
    return _named_ids(found, stated, {v: found.names[v] for v in found.counts if v in found.names})


def _by_colors(found: FoundValues, stated: StatedValues) -> dict[int, int] | None:
    legend = stated.codes or stated.legend
    colors = {value: found.text(value) for value in found.counts} if found.is_rgb else found.palette
    by_color = {c.color: c.name for c in legend.classes}
    named = {value: by_color[colors[value]] for value in found.counts if colors.get(value) in by_color}
    own = [value for value in found.counts if value in named or value != UNLABELLED or found.is_rgb]
    if found.is_rgb and (len(named) < len(own) or len(by_color) < len(legend)):
        raise _ambiguity_error(
            found, stated, "the colours of the mask are not those of the legend", colors=True
        )
    if len(named) == len(own) and len(by_color) == len(legend):
        return _named_ids(found, stated, named) if named else None
    if any(not 0 <= value < len(legend) or legend.names[value] != name for value, name in named.items()):
        raise _ambiguity_error(
            found, stated, "only some of the mask's colours are in the legend", colors=True
        )
    return None


def _by_numeric_names(found: FoundValues, stated: StatedValues) -> dict[int, int] | None:
    legend = stated.codes or stated.legend
    numbers = {
        int(normalise_name(c.name)): c.name for c in legend.classes if _is_number(normalise_name(c.name))
    }
    if len(numbers) < len(legend) or all(numbers.get(c.id) == c.name for c in legend.classes):
        return None
    named = {value: numbers[value] for value in found.counts if value in numbers}
    if any(value not in named and value != UNLABELLED for value in found.counts):
        raise _ambiguity_error(
            found, stated, "the classes are named by numbers, and the mask holds other numbers"
        )
    return _named_ids(found, stated, named)


def _by_ids(
    found: FoundValues, stated: StatedValues, others: Callable[[], Iterable[FoundValues]]
) -> Matching:
    legend = stated.codes or stated.legend
    values = set(found.counts)
    if found.is_grey and any(other.is_rgb for other in others()):
        raise _ambiguity_error(
            found, stated, "the colours of the mask are not those of the legend", colors=True
        )
    if any(not 0 <= value < len(legend) and value != UNLABELLED for value in values):
        raise _ambiguity_error(found, stated, "the mask has values that are not in the legend")
    if found.nodata is not None and 0 <= found.nodata < len(legend):
        what = f"{found.nodata} is both the mask's nodata value and the id of the class {legend.names[found.nodata]!r}"
        raise _ambiguity_error(found, stated, what)
    is_unclear = UNLABELLED in values and values <= {0, UNLABELLED}
    if is_unclear and not any(set(other.counts) - {0, UNLABELLED} for other in others()):
        raise _ambiguity_error(found, stated, "255 may be a class here, or stand for unlabelled pixels")
    named = {value: legend.names[value] for value in values if value != UNLABELLED}
    ids = _named_ids(found, stated, named)
    has_zero = 0 in values or not named
    if stated.codes is None:
        if not has_zero:
            raise _ambiguity_error(found, stated, "the mask has no value 0, so its values may count from 1")
        return Matching(ids, None, _assumption_warning(ids, stated.legend))
    if not has_zero and not any(0 in other.counts for other in others()):
        return Matching(ids, None, _one_based_warning(legend))
    return Matching(ids)


def _named_ids(found: FoundValues, stated: StatedValues, named: Mapping[int, str]) -> dict[int, int]:
    """Return class ids of values with known class names; 255 without a name is unlabelled."""
    unknown = [v for v in found.counts if v not in named and (v != UNLABELLED or found.is_rgb)]
    if unknown:
        got = ", ".join(found.text(value) for value in unknown[:_SHOWN_AT_MOST])
        raise _ambiguity_error(found, stated, f"no class is given for values of the mask ({got})")
    ids = {UNLABELLED: UNLABELLED} if UNLABELLED in found.counts and not found.is_rgb else {}
    for value, name in named.items():
        ids[value] = _id_of(name, stated.legend, found.where)
    return ids


def _id_of(name: str, legend: Legend, where: object) -> int:
    found = legend.find(name)
    if found is not None:
        return found
    if normalise_name(name) in NO_CLASS:
        return UNLABELLED
    raise LegendError(
        f"the mask has a class {name!r} that is not among the classes to compare with",
        where=where,
        expected=f"one of {', '.join(legend.names)}, or unlabelled",
        hint="Name each value's class: --mask-values VALUE=CLASS,...",
    )


def _describe(ids: Mapping[int, int], found: FoundValues, stated: StatedValues, *, how: str) -> str | None:
    """Return a note on how values were matched; None if all values equal their ids."""
    if all(value == class_id for value, class_id in ids.items()):
        return None
    names = stated.legend.names
    pairs = [
        f"{found.text(value)} = {'unlabelled' if class_id == UNLABELLED else names[class_id]}"
        for value, class_id in sorted(ids.items())
    ]
    return f"values matched {how}: {', '.join(pairs)}"


def _assumption_warning(ids: Mapping[int, int], legend: Legend) -> str:
    pairs = [f"{value} = {legend.names[k]}" for value, k in sorted(ids.items()) if k != UNLABELLED]
    return (
        "the mask does not name its classes, so its values are read as class ids of the map: "
        f"{', '.join(pairs)}. If this is wrong, give the mask's legend (--legend) or its values (--mask-values)"
    )


def _one_based_warning(legend: Legend) -> str:
    return (
        f'no pixel has the value 0, {legend.names[0]!r}. If the mask values start at 1, add a "value" to each '
        "class in the legend, or use --mask-values"
    )


def _ambiguity_error(
    found: FoundValues, stated: StatedValues, what: str, *, colors: bool = False
) -> LegendError:
    legend = stated.codes or stated.legend
    most = sorted(found.counts, key=lambda value: -found.counts[value])
    shown = sorted(most[:_SHOWN_AT_MOST])
    pixels = [f"{found.text(v)} ({found.counts[v]:,} pixels{_color(found, v, colors)})" for v in shown]
    more = [f"{len(most) - len(shown):,} more"] if len(most) > len(shown) else []
    nodata = (
        [f"{found.text(found.nodata)} (nodata, {found.nodata_px:,} pixels)"]
        if found.nodata is not None
        else []
    )
    is_a_class = found.nodata is not None and 0 <= found.nodata < len(legend)
    unnamed = [value for value in (found.nodata if is_a_class else None, *shown) if value is not None]
    example = ",".join(f"{found.text(value)}=CLASS" for value in unnamed[:3])
    return LegendError(
        what,
        where=found.where,
        expected=", ".join(
            f"{_code(c.id, c.value)} = {c.name}{f' {c.color}' if colors else ''}" for c in legend.classes
        )
        + ("" if UNLABELLED in {c.value for c in legend.classes} else f", {UNLABELLED} = unlabelled"),
        got=", ".join([*pixels, *more, *nodata]) or "no value",
        hint=f"Name each value's class, or unlabelled: --mask-values {example or '1=CLASS'}, "
        'or a "value" for each class in the legend file.',
    )


def _code(class_id: int, value: int | None) -> int:
    return class_id if value is None else value


def _color(found: FoundValues, value: int, wanted: bool) -> str:
    color = found.palette.get(value)
    return f", {color}" if wanted and color else ""


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
