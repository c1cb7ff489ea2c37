"""The record of a model file: reading and validation without torch."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from io import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO, get_args

from safetensors import SafetensorError

from geoseg.domain.feature_spaces import FeatureSpace
from geoseg.domain.legend import Legend, legend_from_records
from geoseg.domain.pixels.value_ranges import BandValues
from geoseg.domain.training_places import TrainingPlaces, read_places
from geoseg.errors import LegendError, ModelFileError
from geoseg.learning.architecture import (
    BACKBONES,
    OUTPUT_STRIDES,
    SCALES,
    Architecture,
    BlockStyle,
    Extractor,
    Head,
)
from geoseg.learning.calibration import Calibration
from geoseg.learning.normalisation import Normalisation

FORMAT = 5
_MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True)
class ModelRecord:
    """Description of a model, stored in its model file.

    Attributes:
        recipe: Training recipe, such as "pfce".
        architecture: The network.
        legend: The classes.
        bands: Bands of the raster that the network uses, 1-based, in order.
        dtype: Data type of the training rasters.
        normalisation: Statistics of these bands, and the spectral indices to add.
        resolution_m: Ground resolution of the training rasters in metres, or None.
        training: The training record: settings, points, history; JSON values.
        calibration: Calibration of the logits.
        context_px: Measured context in pixels that the network needs around a window; None if not measured.
        strict_nodata: Whether nodata in a single band made a pixel invalid in training.
        values: Statistics of the training rasters' pixel values by band; empty if not known.
        feature_space: The space of the training rasters' vectors, for rasters of features; None for images.
    """

    recipe: str
    architecture: Architecture
    legend: Legend
    bands: tuple[int, ...]
    dtype: str
    normalisation: Normalisation
    resolution_m: float | None
    training: Mapping[str, Any]
    calibration: Calibration = field(default_factory=Calibration)
    context_px: int | None = None
    strict_nodata: bool = False
    values: tuple[BandValues, ...] = ()
    feature_space: FeatureSpace | None = None

    @property
    def training_places(self) -> TrainingPlaces | None:
        """Locations of the training points; None if not known.

        Raises:
            ValueError: The record is damaged.
        """
        places = self.training.get("places")
        return None if places is None else read_places(places)

    @property
    def conformal_thresholds(self) -> tuple[float, ...]:
        """Probability of each class from which it belongs to a conformal set; empty if not known."""
        known = self.training.get("validation", {}).get("conformal", {}).get("thresholds", {})
        return tuple(float(known[name]) for name in self.legend.names) if known else ()


def read_record(path: Path) -> ModelRecord:
    """Read the record of a model file without its weights.

    Raises:
        ModelFileError: The file is missing, damaged, not a model file, or from a newer version.
    """
    with model_file_errors(path), path.open("rb") as file:
        return checked_record(path, read_metadata(file))


def _record(content: Mapping[str, Any]) -> ModelRecord:
    return ModelRecord(
        **{
            **content,
            "architecture": _architecture(content["architecture"]),
            "legend": legend_from_records(content["legend"]),
            "bands": tuple(content["bands"]),
            "normalisation": _normalisation(content["normalisation"]),
            "calibration": _calibration(content["calibration"]),
            "values": tuple(BandValues(**band) for band in content["values"]),
            "feature_space": _feature_space(content.get("feature_space")),
        }
    )


def _feature_space(content: Mapping[str, Any] | None) -> FeatureSpace | None:
    return None if content is None else FeatureSpace(**content)


def _architecture(content: Mapping[str, Any]) -> Architecture:
    return Architecture(**{**content, "scales": tuple(content["scales"])})


def _normalisation(content: Mapping[str, Any]) -> Normalisation:
    indices = tuple((one, other) for one, other in content["indices"])
    return Normalisation(tuple(content["mean"]), tuple(content["deviation"]), indices)


def _calibration(content: Mapping[str, Any]) -> Calibration:
    shift = content["shift"]
    return Calibration(content["temperature"], None if shift is None else tuple(shift))


def _checked(record: ModelRecord) -> ModelRecord:
    """Return the record if it is consistent; this prevents building a huge network from a forged record."""
    architecture, normalisation, calibration = record.architecture, record.normalisation, record.calibration
    bands = len(record.bands)
    fits = {
        "backbone": architecture.backbone in BACKBONES or _may_have_any_backbone(architecture),
        "block_style": architecture.block_style in get_args(BlockStyle),
        "output_stride": architecture.output_stride in OUTPUT_STRIDES,
        "patch_px": _is_count(architecture.patch_px),
        "head_dilation": architecture.head_dilation in (1, 2),
        "head": architecture.head in get_args(Head),
        "extractor": architecture.extractor in get_args(Extractor),
        "scales": architecture.scales in SCALES,
        "has_texture": architecture.has_texture in (False, True),
        "classes": architecture.classes == len(record.legend),
        "bands": bands > 0 and all(map(_is_count, record.bands)),
        "input bands": architecture.bands == bands + architecture.indices,
        "indices": architecture.indices == len(normalisation.indices)
        and all(_is_position(position, bands) for pair in normalisation.indices for position in pair),
        "normalisation": len(normalisation.mean) == len(normalisation.deviation) == architecture.bands,
        "context": record.context_px in (None, 0) or _is_count(record.context_px),
        "feature space": record.feature_space is None
        or _is_feature_space(record.feature_space, record.bands),
        "strict_nodata": isinstance(record.strict_nodata, bool),
        "values": not record.values or len(record.values) == bands,
        "finite values": all(math.isfinite(number) for band in record.values for number in astuple(band)),
        "temperature": 0 < calibration.temperature < math.inf,
        "shift": calibration.shift is None or len(calibration.shift) == len(record.legend),
        "finite shift": all(map(math.isfinite, calibration.shift or ())),
        "mean": all(map(math.isfinite, normalisation.mean)),
        "places": _has_readable_places(record),
        "conformal": _has_readable_thresholds(record),
        "deviation": all(0 < d < math.inf for d in normalisation.deviation),
    }
    wrong = [name for name, is_right in fits.items() if not is_right]
    if wrong:
        raise ValueError(f"unusable {', '.join(wrong)}")
    return record


def _has_readable_places(record: ModelRecord) -> bool:
    try:
        _ = record.training_places
    except ValueError:
        return False
    return True


def _has_readable_thresholds(record: ModelRecord) -> bool:
    try:
        return all(0 <= threshold <= 1 for threshold in record.conformal_thresholds)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False


def _may_have_any_backbone(architecture: Architecture) -> bool:
    """Return whether the backbone may be a network of timm, or unused: a valid name without DeepLabV3's head."""
    return architecture.head != "aspp" and re.fullmatch(r"\w[\w.]{,99}", architecture.backbone) is not None


def _is_feature_space(space: FeatureSpace, bands: tuple[int, ...]) -> bool:
    return (
        _is_count(space.bands)
        and max(bands) <= space.bands
        and all(name is None or isinstance(name, str) for name in space.names)
    )


def _is_position(value: object, count: int) -> bool:
    return type(value) is int and 0 <= value < count


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value > 0


@contextmanager
def model_file_errors(path: Path) -> Iterator[None]:
    """Convert errors of reading a safetensors file to ModelFileError."""
    if path.is_dir():
        raise ModelFileError("this is a folder", where=path, expected="a model file, such as model.geoseg")
    if not path.is_file():
        raise ModelFileError("no such model file", where=path, hint="Train one with `geoseg train`.")
    _reject_pickle(path)
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise damaged_file_error(path) from error


def read_metadata(file: BinaryIO) -> dict[str, str]:
    """Read the metadata of a safetensors file.

    The file starts with the length of the JSON header (8 bytes); the header holds the metadata.

    Raises:
        SafetensorError: The header is invalid, or the file does not end with its last tensor.
    """
    length = int.from_bytes(file.read(8), "little")
    if length > _MAX_HEADER_BYTES:
        raise SafetensorError("header too large")
    try:
        header = json.loads(file.read(length))
        metadata = dict(header.pop("__metadata__", None) or {})
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise SafetensorError("invalid header") from error
    if file.seek(0, SEEK_END) != 8 + length + end:
        raise SafetensorError("the file does not end with its last tensor")
    return metadata


def checked_record(path: Path, metadata: Mapping[str, str]) -> ModelRecord:
    """Return the validated record from a model file's metadata.

    Raises:
        ModelFileError: Not a model file, from a newer version, or the record is inconsistent.
    """
    _check_format(path, metadata)
    try:
        return _checked(_record(json.loads(metadata["geoseg_record"])))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, LegendError) as error:
        reason = f": {error}" if str(error).startswith("unusable") else " that cannot be used"
        raise damaged_file_error(path, f"a record{reason}") from error


def _check_format(path: Path, metadata: Mapping[str, str]) -> None:
    version = metadata.get("geoseg_format", "")
    if not version.isdecimal():
        raise ModelFileError(
            "this safetensors file is not a model file",
            where=path,
            expected="a file written by `geoseg train`",
            hint="To start training from it, pass it as --weights.",
        )
    if int(version) < FORMAT:
        raise ModelFileError(
            "this model file is from an earlier version, and holds no inference graph",
            where=path,
            expected=f"format {FORMAT}",
            got=f"format {version}",
            hint="Train it again; the settings are in the folder .run beside it.",
        )
    if int(version) > FORMAT:
        raise ModelFileError(
            "this model file is from a newer version",
            where=path,
            expected=f"format {FORMAT}",
            got=f"format {version}",
            hint="Update GeoSeg-PointAI.",
        )


def _reject_pickle(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(9)
    # A safetensors file begins with the length of its header and a brace. The bytes of the length may equal the start
    # of a pickle or a zip archive by chance.
    if start[8:] != b"{" and start.startswith((b"PK", b"\x80")):
        raise ModelFileError(
            "this is a pickle or a zip archive, which could run code; it was not opened",
            where=path,
            expected="a file written by `geoseg train`",
            hint="If it holds weights, pass it to `geoseg train --weights`.",
        )


def damaged_file_error(path: Path, got: str | None = None) -> ModelFileError:
    """Return the error for a model file that cannot be used."""
    return ModelFileError(
        "the model file is damaged, or it is not a model file",
        where=path,
        expected="a complete file written by `geoseg train`",
        got=got,
    )
