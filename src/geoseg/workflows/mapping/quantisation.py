"""A model in int8, fitted to the raster that it is to map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from geoseg.domain.choices import stratified_choice
from geoseg.domain.mapping.prediction import ALIGNMENT_PX
from geoseg.domain.ports import Predictor, Progress
from geoseg.domain.windows import spread
from geoseg.errors import RasterError, SettingsError
from geoseg.geodata.reading.rasters import Raster
from geoseg.networks.models.model_file import Model
from geoseg.networks.prediction.exporting import export_onnx
from geoseg.networks.prediction.quantisation import (
    Ranges,
    WindowPixels,
    class_agreement,
    measure_ranges,
    quantise,
    quantiser_versions,
)
from geoseg.networks.prediction.torch_predictor import TorchPredictor

WINDOW_PX = 256
MOST_A_SIDE = 5
LEAST_VALID = 0.5
LEAST_SAME = 0.95
CHECKED = 3  # one window in so many is kept for the comparison with float32


@dataclass(frozen=True)
class Quantised:
    """A network in int8.

    Attributes:
        network: ONNX.
        ranges: What it was quantised by.
    """

    network: bytes
    ranges: Ranges

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What makes it again, and tells whether it is the same; JSON values."""
        return {
            "quantised_by": quantiser_versions(),
            "quantised_network": sha256(self.network).hexdigest(),
            "quantised_ranges": self.ranges,
        }


@dataclass(frozen=True)
class Sample:
    """Windows of a raster: those that a network is fitted to, and those that it is compared on."""

    fitted: Sequence[WindowPixels]
    compared: Sequence[WindowPixels]


def read_sample(source: Raster) -> Sample:
    """Read windows spread evenly over a raster; the same ones every time.

    Raises:
        RasterError: It has no valid pixel there.
    """
    windows = spread(source.height, source.width, WINDOW_PX, most=MOST_A_SIDE, step=ALIGNMENT_PX)
    read = [found for found in map(source.read, windows) if found[1].any()]
    full = [found for found in read if found[1].mean() >= LEAST_VALID] or read
    if not full:
        raise RasterError(
            "no valid pixel was found to fit int8 to",
            where=source.info.path,
            hint="Name a raster with more pixels first, or leave out --precision int8.",
        )
    if len(full) < CHECKED:
        return Sample(full, full)
    compared = stratified_choice(np.zeros(len(full)), len(full) // CHECKED)
    return Sample([w for n, w in enumerate(full) if n not in compared], [full[n] for n in compared])


def quantise_for(model: Model, sample: Sample) -> Quantised:
    """Quantise a model by what its activations are on a sample."""
    network = export_onnx(model)
    ranges = measure_ranges(model, network, sample.fitted)
    return Quantised(quantise(network, ranges), ranges)


def quantise_again(model: Model, identity: Mapping[str, Any]) -> Quantised:
    """Quantise a model as it was for an identity, without a raster.

    Raises:
        SettingsError: Another network comes out, because other versions make it.
    """
    ranges = tuple((str(name), float(low), float(high)) for name, low, high in identity["quantised_ranges"])
    expected, got = identity["quantised_by"], quantiser_versions()
    if expected == got:
        made = Quantised(quantise(export_onnx(model), ranges), ranges)
        expected, got = identity["quantised_network"], made.identity["quantised_network"]
        if expected == got:
            return made
    raise SettingsError(
        "this machine makes another network in int8 than the map was begun with",
        where="--precision",
        expected=expected,
        got=got,
        hint="Use the same versions on every machine, or --overwrite to start anew.",
    )


def report(model: Model, predictor: Predictor, sample: Sample, *, progress: Progress) -> None:
    """Say which share of the pixels of a sample have the same class in int8 as in float32; warn if they are few."""
    share = class_agreement(TorchPredictor(model, "cpu", "float32"), predictor, sample.compared)
    count = len(sample.compared)
    where = "a window" if count == 1 else f"{count} windows"
    apart = "" if sample.compared is sample.fitted else " that it was not fitted to"
    say = progress.say if share >= LEAST_SAME else progress.warn
    say(f"int8: {100 * share:.1f} % of the pixels of {where}{apart} have the class of float32")
